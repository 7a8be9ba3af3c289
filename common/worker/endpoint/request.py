"""Reads the head of an HTTP request, as strictly as RFC 9112 allows."""

import re
from typing import NamedTuple

from common.worker.endpoint.page import Page

MOST_BYTES = 8 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%s) ([\x21-\x7e]+) HTTP/(\d)\.\d" % _TOKEN)
_FIELD_LINE = re.compile(rb"(%s):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*" % _TOKEN)
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?")


class Request(NamedTuple):
    """A request; ``host`` is the name in its Host field, in lower case and without the port."""

    method: str
    target: str
    host: str


class Refused(Exception):
    """The request is not answered; the argument is the page that tells why."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(Page(f"{reason}\n", status=status))


def parse(received: bytes) -> Request | None:
    """The request that these bytes begin with; None if its head is not complete.

    Raises Refused if it is not valid, or not short enough.
    """
    begin = received[:MOST_BYTES]
    is_full = len(begin) == MOST_BYTES
    first, line_end, _ = begin.partition(b"\n")
    if not line_end:
        if is_full:
            raise Refused("414 URI Too Long", "the request line is too long")
        return None
    line = _request_line(first)
    end = _END_OF_HEAD.search(begin)
    if not end:
        if is_full:
            raise Refused("431 Request Header Fields Too Large", "the header is too large")
        return None
    return Request(line[1].decode(), line[2].decode(), _host(begin[: end.start()]))


def _request_line(line: bytes) -> re.Match[bytes]:
    match = _REQUEST_LINE.fullmatch(line.removesuffix(b"\r"))
    if not match:
        raise Refused("400 Bad Request", "expected METHOD PATH HTTP/1.1")
    if match[3] != b"1":
        raise Refused("505 HTTP Version Not Supported", "expected HTTP/1.1 or HTTP/1.0")
    return match


def _host(head: bytes) -> str:
    hosts = []
    for line in head.split(b"\n")[1:]:
        field = _FIELD_LINE.fullmatch(line.removesuffix(b"\r"))
        if not field:
            raise Refused("400 Bad Request", "a header line is malformed")
        if field[1].lower() == b"host":
            hosts.append(field[2].decode("latin-1"))
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if not match:
        raise Refused("400 Bad Request", "expected one Host header, with a name")
    return match[1].lower()
