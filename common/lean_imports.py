"""Import libraries without asyncio and other modules that only their unused halves need.

psycopg and gRPC import asyncio, and psycopg importlib.metadata for its own version. Together with
what these import, that is a tenth of an idle worker's memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn


class _Unused(BaseException):
    """Every attribute of a placeholder; it can be caught, subclassed and subscripted."""

    def __class_getitem__(cls, parameters: Any) -> type["_Unused"]:
        return cls


class _Placeholder(ModuleType):
    def __getattr__(self, name: str) -> type[_Unused]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unused


class _Metadata(_Placeholder):
    def version(self, distribution: str) -> NoReturn:
        """Always raises: no distribution is known."""
        raise _Unused


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Replace these modules by placeholders while the block imports.

    Modules that are already loaded stay real; after the block, all imports get the real ones.
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
    """Import psycopg without asyncio, unless it is loaded already.

    Its asynchronous classes do not work then, and its version reads 0.0.0.0.
    """
    if "psycopg" in sys.modules:
        return
    with without("asyncio", "importlib.metadata"):
        import psycopg  # noqa: F401
