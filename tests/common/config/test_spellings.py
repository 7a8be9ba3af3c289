"""Which spellings the workers, the live services and systemd read differently.

The other two readers are written here from what they do: both were compared with godotenv 1.5.1
and with systemd 252 on generated lines.
"""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from common.config.settings_files import env_file, spellings
from common.config.settings_files.spellings import SPELLINGS

NAME = "DB_PASSWORD"
# Blanks of Go within a line; a line end is one only between statements.
NEITHER = "no spelling is the same for all"
GO_BLANK = "\t\v\f\r \x85\xa0"

# The text of a file, and how to write the same so that all read it alike; a row per spelling.
EXAMPLES = [
    ("export DB_PASSWORD=abc", "DB_PASSWORD=abc"),
    ("'DB_PASSWORD'=abc", "DB_PASSWORD=abc"),
    ("DB_PASSWORD:abc=", "DB_PASSWORD=abc="),
    ("DB_PASSWORD=abc #def", "DB_PASSWORD='abc #def'"),
    ("DB_PASSWORD=abc\u00a0", "DB_PASSWORD=abc"),
    ("DB_PASSWORD=a${HOME}b", "DB_PASSWORD='a${HOME}b'"),
    ("DB_PASSWORD=a\\b", 'DB_PASSWORD="a\\\\b"'),
    ("DB_PASSWORD='it\\'s'", 'DB_PASSWORD="it\'s"'),
    ('DB_PASSWORD="say \\"abc\\""', "DB_PASSWORD='say \"abc\"'"),
    ('DB_PASSWORD="a\\b c"', 'DB_PASSWORD="a\\\\b c"'),
]

lines = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "", "", " ", "\n\n\t", "# comment\n", "export ", "\f", "\f\n"]),
    st.sampled_from([NAME, NAME, NAME, f"'{NAME}'"]),
    st.sampled_from(["=", "=", "=", " = ", ":", ": ", "\u00a0=", "=\u2003"]),
    st.text("aX1_\\'\"${(})`# \t=:;n-\f\u00a0é\n", max_size=8).flatmap(
        lambda body: st.sampled_from([body, f"'{body}'", f'"{body}"'])
    ),
    st.sampled_from(["", "", "\n", "\r\n", " ", " # c", "#c", "\u00a0", "\n#X\n"]),
)


def of_the_workers(path: Path, text: str) -> env_file.Layer:
    path.write_text(text, encoding="utf-8", newline="")
    return env_file.read(path)


def of_the_live_services(text: str) -> dict[str, str] | None:
    """What godotenv reads, or None if it refuses the file."""
    rest, read = text.replace("\r\n", "\n"), dict[str, str]()
    while rest := re.sub(r"\A[^\S\x1c-\x1f]+", "", rest):
        if rest.startswith("#"):
            rest = "\n" + rest.partition("\n")[2]
            continue
        name = re.match(rf"(?:export[{GO_BLANK}]+)?([\w.{GO_BLANK}]*)[=:]", rest)
        if not name:
            return None
        rest = rest[name.end() :].lstrip(GO_BLANK)
        if rest.startswith(("'", '"')):
            # It ends at the first quote without a backslash before it.
            quoted = re.match(r"(['\"])(.*?)(?<!\\)\1", rest, re.DOTALL)
            if not quoted:
                return None
            value, rest = quoted[0].strip(quoted[1]), rest[quoted.end() :]
            if quoted[1] == '"':
                value = expanded(unescaped(value), read)
        else:
            line = re.split(r"[\n\r]", rest)[0]
            rest = rest[len(line) :]
            commented = re.match(rf"(.*[{GO_BLANK}])#", line)
            value = expanded((commented[1] if commented else line).strip(GO_BLANK), read)
        read[name[1].rstrip()] = value
    return read


def unescaped(value: str) -> str:
    lines = re.sub(r"\\(.)", lambda pair: {"n": "\n", "r": "\r"}.get(pair[1], pair[0]), value)
    return re.sub(r"\\([^$])", r"\1", lines)


def expanded(value: str, read: dict[str, str]) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1]:
            return found[0][1:]
        return read.get(found[2], "") if found[2] else found[0]

    return re.sub(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?", one, value)


def of_systemd(text: str) -> dict[str, str]:
    """What systemd reads; it drops a name that is none."""
    read = {}
    quoted = re.compile(r"[ \t]*(?:'([^']*)'|\"((?:\\.|[^\"\\])*)\")", re.DOTALL)
    while text := text.lstrip(" \t\r\n"):
        start = re.match(r"([^\n\r]*?)[ \t]*=|[^\n\r]*", text)
        assert start is not None
        text = text[start.end() :]
        if start[1] is None:
            continue
        value = ""
        while start[0][0] not in "#;" and (part := quoted.match(text)):
            escaped = re.sub(r"\\([\"\\`$])|\\\n", r"\1", part[2] or "")
            value, text = value + (part[1] or "") + escaped, text[part.end() :]
        bare = re.match(r"[ \t]*((?:\\.|[^\n\r\\])*\\?)", text, re.DOTALL)
        assert bare is not None
        text = text[bare.end() :]
        bare_value = re.sub(r"(?<!\\)[ \t]+\Z", "", bare[1])
        value += re.sub(r"\\([\r\n]|(.?))", lambda pair: pair[2] or "", bare_value)
        if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", start[1]):
            read[start[1]] = value
    return read


@pytest.mark.parametrize(
    ("text", "better", "reason"),
    [(*pair, reason) for pair, (_, reason, _) in zip(EXAMPLES, SPELLINGS, strict=True)],
)
def test_each_spelling_has_a_warning_whose_advice_helps(
    tmp_path: Path, text: str, better: str, reason: str
) -> None:
    path = tmp_path / "toast.env"
    [(name, remark)] = of_the_workers(path, f"A=1\n\n{text}\n").remarks
    assert name == NAME
    assert remark.startswith(f"{NAME} in {path} line 3: {reason}; ")
    assert NEITHER not in remark
    layer = of_the_workers(path, better)
    assert layer.remarks == ()
    assert layer.values == of_the_live_services(better) == of_systemd(better)
    assert "abc" not in remark


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text("aX1_\\'\"${(})`#=:;", min_size=1, max_size=6), st.sampled_from(["{}", "'{}'", '"{}"'])
)
@example("it's$X", "{}")
@example("it's$X", '"{}"')
@example("it's\\", '"{}"')
def test_the_advice_can_be_followed_or_says_that_there_is_none(
    tmp_path: Path, text: str, spelling: str
) -> None:
    path = tmp_path / "toast.env"
    escaped = re.sub(r"[\\\"]" if spelling == '"{}"' else r"[\\']", r"\\\g<0>", text)
    layer = of_the_workers(path, f"{NAME}={spelling.format(escaped)}\n")
    if layer.faults or not layer.remarks:
        return
    [(_, remark)] = layer.remarks
    value = layer.values[NAME]
    inside = re.sub(r'[\\"]', r"\\\g<0>", value)
    quoted = {"single": f"'{value}'", "double": f'"{inside}"'}
    alike = {
        kind: of_the_workers(path, f"{NAME}={written}").values
        == of_the_live_services(f"{NAME}={written}")
        == of_systemd(f"{NAME}={written}")
        == {NAME: value}
        for kind, written in quoted.items()
    }
    if advised := re.search("; write the value in (single|double) quotes", remark):
        assert alike[advised[1]]
    elif NEITHER in remark:
        assert not any(alike.values())


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines)
@example("DB_PASSWORD=")
@example("DB_PASSWORD=pa$$word-${a}-$(b)$")
@example("DB_PASSWORD=pa$1")
@example('DB_PASSWORD="pa$(_"')
@example("DB_PASSWORD=it's")
@example('DB_PASSWORD="\\"abc\\\\def"')
@example("DB_PASSWORD='a\\b'")
@example("\fDB_PASSWORD=a")
def test_there_is_a_warning_if_and_only_if_the_readers_differ(tmp_path: Path, text: str) -> None:
    layer = of_the_workers(tmp_path / "toast.env", text)
    if layer.faults or {*layer.values, *dict(layer.remarks)} > {NAME}:  # several statements
        return
    live = of_the_live_services(text)
    readings = {
        layer.values.get(NAME),
        "refused" if live is None else live.get(NAME),
        of_systemd(text).get(NAME),
    }
    assert [name for name, _ in layer.remarks] == [NAME] * (len(readings) > 1)


one_line = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one_line | st.text("aX1_\\'\"${(})`# =:;é", max_size=6))
@example("it's $5")
@example("\\'$A")
@example('"\\')
def test_a_written_value_is_read_as_the_same_by_all_if_there_is_a_spelling(
    tmp_path: Path, value: str
) -> None:
    statement = spellings.written(NAME, value)
    layer = of_the_workers(tmp_path / "toast.env", f"A=1\n{statement}\nB=2\n")
    assert {"A": "1", NAME: value, "B": "2"} == layer.values
    if not layer.remarks:
        assert of_the_live_services(statement) == of_systemd(statement) == {NAME: value}
    else:
        assert "'" in value or "\\" in value
