"""The body of a reply, as far as it comes."""

import re
import zlib
from collections.abc import Iterator

from common.remote.http.reply_head import Head
from common.remote.http.stream import Stream

_PIECE_BYTES = 16 * 1024
_MOST_LINE_BYTES = 8 * 1024
_CHUNK = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
# zlib's sign that it shall recognise gzip and deflate by their headers.
_ANY_HEADER = 47


class _Broken(OSError):
    """The body ends, or is framed, as it should not."""


def read(stream: Stream, head: Head, most: int) -> tuple[bytes, bool]:
    """At most ``most`` bytes, and whether that is all of it; gzip and deflate are unpacked.

    A body that is broken, late or cut is as long as it came.
    """
    if not head.complete:
        return b"", False
    body = bytearray()
    try:
        for piece in _unpacked(_pieces(stream, head), head.headers.get("Content-Encoding", "")):
            body += piece
            if len(body) > most:
                return bytes(body[:most]), False
    except (OSError, zlib.error):
        return bytes(body), False
    return bytes(body), True


def is_framed(head: Head) -> bool:
    """Whether the end of the body shows without the end of the connection."""
    return _is_empty(head) or _is_chunked(head) or _length(head) is not None


def _pieces(stream: Stream, head: Head) -> Iterator[bytes]:
    if _is_empty(head):
        return iter(())
    if _is_chunked(head):
        return _chunks(stream)
    if (length := _length(head)) is not None:
        return _counted(stream, length)
    return iter(lambda: stream.some(_PIECE_BYTES), b"")


def _is_empty(head: Head) -> bool:
    return head.status in (204, 304)


def _is_chunked(head: Head) -> bool:
    return head.headers.get("Transfer-Encoding", "").lower().endswith("chunked")


def _length(head: Head) -> int | None:
    length = head.headers.get("Content-Length", "")
    return int(length) if _LENGTH.fullmatch(length) else None


def _counted(stream: Stream, length: int) -> Iterator[bytes]:
    while length:
        piece = stream.some(min(length, _PIECE_BYTES))
        if not piece:
            raise _Broken
        length -= len(piece)
        yield piece


def _chunks(stream: Stream) -> Iterator[bytes]:
    while size := _chunk_size(stream):
        yield from _counted(stream, size)
        if stream.line(2) not in (b"\r\n", b"\n"):
            raise _Broken
    while (line := stream.line(_MOST_LINE_BYTES)) not in (b"\r\n", b"\n"):
        if not line:
            raise _Broken


def _chunk_size(stream: Stream) -> int:
    line = _CHUNK.fullmatch(stream.line(_MOST_LINE_BYTES))
    if not line:
        raise _Broken
    return int(line["size"], 16)


def _unpacked(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        yield from pieces
        return
    unpacker, is_empty = zlib.decompressobj(_ANY_HEADER), True
    for piece in pieces:
        is_empty = False
        if unpacker.eof:
            continue  # zlib would keep whatever follows the end, without a bound
        yield unpacker.decompress(piece, _PIECE_BYTES)
        while unpacker.unconsumed_tail:
            yield unpacker.decompress(unpacker.unconsumed_tail, _PIECE_BYTES)
    if not unpacker.eof and not is_empty:
        raise _Broken
