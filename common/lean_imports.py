"""Libraries without what only their asynchronous halves use.

psycopg and gRPC import asyncio for these, and psycopg importlib.metadata to learn its own version.
With all that these import in turn, it is a tenth of an idle worker's memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn


class _Unused(BaseException):
    """What a placeholder has by any name: it can be caught, subclassed and subscripted."""

    def __class_getitem__(cls, parameters: Any) -> type["_Unused"]:
        return cls


class _Placeholder(ModuleType):
    def __getattr__(self, name: str) -> type[_Unused]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unused


class _Metadata(_Placeholder):
    def version(self, distribution: str) -> NoReturn:
        """No distribution is known here."""
        raise _Unused


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Import in the block what asks for these modules without need.

    Whoever asks afterwards gets the real ones, as in the block those that are there already.
    """
    spared = [name for name in names if name not in sys.modules]
    for name in spared:
        kind = _Metadata if name == "importlib.metadata" else _Placeholder
        sys.modules[name] = kind(name)
    try:
        yield
    finally:
        for name in spared:
            del sys.modules[name]


def load_psycopg() -> None:
    """Import psycopg for the modules that do so next, unless somebody has.

    Its asynchronous classes are of no use then, and it says that its version is 0.0.0.0.
    """
    if "psycopg" in sys.modules:
        return
    with without("asyncio", "importlib.metadata"):
        import psycopg  # noqa: F401
