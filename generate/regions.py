"""The parts of a file that a program writes: the lines between two marking lines.

    <!-- generated: schedulers -->
    <!-- end generated -->

The marks may be comments of any language.
"""

import re


def replace(text: str, region: str, content: str) -> str:
    """``text`` with the lines ``content`` in this region.

    Raises ValueError if ``text`` does not have the region exactly once.
    """
    begin = rf"^[^\n]*\bgenerated: {re.escape(region)}(?![\w-])[^\n]*\n"
    end = r"^[^\n]*\bend generated\b"
    pattern = re.compile(f"({begin}).*?({end})", re.MULTILINE | re.DOTALL)
    replaced, found = pattern.subn(lambda marks: f"{marks[1]}{content}\n{marks[2]}", text)
    if found != 1:
        raise ValueError(f"{found} regions `generated: {region}` that end with `end generated`")
    return replaced
