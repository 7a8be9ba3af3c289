"""The beginning of a reply: interim replies, the status line and the headers."""

import http.client
import re
from contextlib import suppress
from dataclasses import dataclass

from requests.structures import CaseInsensitiveDict

from common.remote.http.stream import Stream

# More than any server sends on purpose; a body after more than this is not read.
_MOST_HEADER_BYTES = 256 * 1024
# What a phrase holds, and which blanks come before it, decides nothing: the status has come.
_STATUS_LINE = re.compile(rb"HTTP/1\.(?P<minor>\d)[ \t]+(?P<status>[1-9]\d\d)(?:[ \t\r][^\n]*)?\n")
_EMPTY_LINES = (b"\r\n", b"\n")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Head:
    """``complete`` is False if the headers were cut; names in ``headers`` ignore case, and values
    of one name are joined."""

    status: int
    minor_version: int
    headers: CaseInsensitiveDict[str]
    complete: bool


def read(stream: Stream) -> Head:
    """The final reply's; any number of interim ones (1xx) may come before it.

    Raises OSError or http.client.BadStatusLine if no status line of a final reply comes.
    """
    while True:
        line = stream.line(_MOST_HEADER_BYTES)
        if not line:
            raise http.client.RemoteDisconnected("")
        status_line = _STATUS_LINE.fullmatch(line)
        if not status_line:
            raise http.client.BadStatusLine("")
        status = int(status_line["status"])
        if status >= 200:
            headers, complete = _final_headers(stream)
            return Head(status, int(status_line["minor"]), headers, complete)
        if not _skip_headers(stream):
            raise http.client.RemoteDisconnected("")


def _final_headers(stream: Stream) -> tuple[CaseInsensitiveDict[str], bool]:
    """The headers as far as they come, and whether that is all."""
    fields: list[list[str]] = []
    room, complete = _MOST_HEADER_BYTES, False
    with suppress(OSError):
        while not complete and (line := stream.line(room)).endswith(b"\n"):
            room -= len(line)
            complete = line in _EMPTY_LINES
            _add(fields, line.decode("latin-1").rstrip("\r\n"))
    return _joined(fields), complete


def _add(fields: list[list[str]], line: str) -> None:
    """Add a line: a field's name and value, or more of the last one's value."""
    if line[:1] in (" ", "\t"):
        if fields:
            fields[-1].append(line.strip())
        return
    name, _, value = line.partition(":")
    if _NAME.fullmatch(name):
        fields.append([name, value.strip(" \t")])


def _joined(fields: list[list[str]]) -> CaseInsensitiveDict[str]:
    """Each name with its values; one that is repeated, as some proxies do, counts once."""
    values: CaseInsensitiveDict[dict[str, None]] = CaseInsensitiveDict()
    for name, *parts in fields:
        values.setdefault(name, {})[" ".join(parts)] = None
    return CaseInsensitiveDict({name: ", ".join(each) for name, each in values.items()})


def _skip_headers(stream: Stream) -> bool:
    while line := stream.line(_MOST_HEADER_BYTES):
        if line in _EMPTY_LINES:
            return True
    return False
