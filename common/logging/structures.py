"""Removes secrets from all texts of a structure at once."""

from collections.abc import Container
from typing import TypeVar

from common.logging.redaction import redact
from common.texts import change_texts

T = TypeVar("T")


class _Texts(dict[str, str]):
    """Each text without secrets; looked at once, because most are in many rows."""

    def __init__(self, public: Container[str]) -> None:
        self._public = public

    def __missing__(self, text: str) -> str:
        hidden = self[text] = text if text in self._public else redact(text)
        return hidden


def redact_all(value: T, public: Container[str] = ()) -> T:
    """The value, or a copy of it without secrets.

    Texts that are ``public`` as a whole stay, such as names by which others find a thing.
    """
    return change_texts(value, _Texts(public).__getitem__)
