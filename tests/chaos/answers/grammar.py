"""Answers drawn from a grammar of what HTTP servers send, and what each of them means."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from devservers.network.scripted_server import Script

BODIES = (b"", b"{}", b'{"id": "9"}', b"\xff\x00<html>", b'{"x": "' + b"y" * 300_000 + b'"}')
STATUSES = (
    *(200, 200, 200, 201, 202, 204, 206, 226, 299, 300, 301, 302, 304, 307, 308, 400, 401, 403),
    *(
        404,
        408,
        409,
        410,
        413,
        418,
        421,
        429,
        431,
        451,
        499,
        500,
        502,
        503,
        504,
        520,
        599,
        600,
        999,
    ),
)
REASONS = (
    *(b" OK", b" ", b"", b" \xfc\x00 \t odd", b" O\rK", b"\r", b"\tOK"),
    *(b" " + b"long " * 600, b" " + b"long " * 6_000),
)
NO_STATUS_LINES = (
    *(b"", b"\r\n", b"\n\n", b"220 mail.example ESMTP\r\n", b"ICY 200 OK\r\n", b"<html>\r\n"),
    *(b"HTTP/2 200\r\n", b"HTTP/1.1 2000 OK\r\n", b"HTTP/1.1 20 OK\r\n", b"HTTP/1.1 099 OK\r\n"),
    *(b"http/1.1 200 OK\r\n", b"HTTP/1.1 -200 OK\r\n", b" HTTP/1.1 200\r\n"),
    *(
        b"HTTP/1.1 2\xb2 OK\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"z" * 90_000,
    ),
)
INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 \r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nodd line\r\n\r\n",
    b"HTTP/1.0 199\n\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n",
)
# It continues the header before it.
FOLD = b" led by a fold\r\n"
HEADERS = (
    *(b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", b"Set-Cookie: a=b\r\n", b"Set-Cookie: c=d\r\n"),
    *(b"Retry-After: 7\r\n", b"Retry-After: soon\r\n", b"Location: http://[::1/\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Content-Type: text/html\r\n"),
    *(b"X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset-After: 1e999\r\n", b"X: \x00\xff\xe9\r\n"),
    *(b"no field\r\n", b": nameless\r\n", b"X-Folded: a\r\n\t b\r\n", FOLD),
    *(b"X: bare\rreturn\r\n", b"X: line feed\n", b"Sp ace: x\r\n", b"X-Twice: 1\r\nx-twice: 2\r\n"),
)
MANY_HEADERS = b"".join(b"X-%d: y\r\n" % number for number in range(150))
LONG_HEADER = b"X-Long: " + b"y" * 70_000 + b"\r\n"
ENDLESS_HEADER = b"X-Endless: " + b"y" * 400_000 + b"\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server does, and what a client must make of it.

    ``status`` is that of the final answer whose status line is sent whole; None if there is none,
    so that nobody can know. ``body`` is its body if that is sent whole and well.
    """

    script: Script
    status: int | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Framed:
    """A body as it is sent, after the headers that describe it. ``meant`` is None if it is
    broken; ``by_end`` if only the end of the connection ends it."""

    headers: bytes
    sent: bytes
    meant: bytes | None
    by_end: bool = False


def draw(dice: Random) -> Answer:
    """One answer; each dice draw the same ones every time."""
    interim = b"".join(dice.choices(INTERIM, k=dice.choice((0, 0, 0, 1, 2, 5))))
    if dice.random() < 0.01:
        interim = INTERIM[2] * 1000
    status = dice.choice(STATUSES)
    line = b"HTTP/1.%d%s%d%s%s" % (
        dice.choice((1, 1, 1, 0)),
        dice.choice((b" ", b" ", b"  ", b"\t")),
        status,
        dice.choice(REASONS),
        dice.choice((b"\r\n", b"\r\n", b"\n")),
    )
    is_answer = dice.random() < 0.9
    if not is_answer:
        line = dice.choice(NO_STATUS_LINES)
    framed = _framed(dice)
    headers = [*dice.choices(HEADERS, k=dice.randrange(4)), framed.headers, *_more_headers(dice)]
    dice.shuffle(headers)
    head = interim + line + b"".join(headers) + b"\r\n"
    reads = dice.choice(("all", "all", "all", "head", "nothing"))
    [end] = dice.choices(("close", "reset", "stall"), (64, 33, 3))
    if reads == "nothing" and end == "reset":
        end = "close"  # a reset may come before the client has its connection
    whole = head + framed.sent
    cut = _cut(dice, len(whole))
    script = Script(_pieces(dice, whole[:cut]), reads, end, dice.choice((0.0, 0.0, 0.001)))
    has_status = is_answer and cut >= len(interim + line)
    # A length that goes on behind a fold is no length.
    after_length = headers[headers.index(framed.headers) + 1 :]
    is_folded = framed.headers != b"" and after_length[:1] == [FOLD]
    is_whole = has_status and ENDLESS_HEADER not in headers and not is_folded
    body = framed.meant if is_whole else None
    if status in (204, 304):
        body = b"" if cut >= len(head) and body is not None else None
    elif cut < len(whole) or (framed.by_end and (reads, end) != ("all", "close")):
        body = None
    return Answer(script, status if has_status else None, body)


def _cut(dice: Random, length: int) -> int:
    """Where the answer breaks off: most often not, or near its beginning."""
    if dice.random() < 0.6:
        return length
    return dice.randrange(min(length, dice.choice((20, 120, 1000, length))) + 1)


def _more_headers(dice: Random) -> list[bytes]:
    found = dice.random()
    if found < 0.04:
        return [MANY_HEADERS]
    return [LONG_HEADER] if found < 0.08 else [ENDLESS_HEADER] if found < 0.1 else []


def _framed(dice: Random) -> _Framed:
    body = dice.choice(BODIES)
    length = b"Content-Length: %d\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n"
    packed = gzip.compress(body, 1, mtime=0)
    odd = dice.choice((b"-5", b"five", b"", b"0x5", b"5, 6"))
    less = body[: len(body) // 2]
    chunks = b"".join(_chunks(dice, body))
    return dice.choice(
        (
            _Framed(length % len(body), body, body),
            _Framed(length % len(body) * 2, body, body),
            _Framed(length % (len(body) + 5), body, None),
            _Framed(length % len(less), body, less),
            _Framed(b"Content-Length: " + odd + b"\r\n", body, body, by_end=True),
            _Framed(b"", body, body, by_end=True),
            _Framed(chunked, chunks + b"0\r\n\r\n", body),
            _Framed(chunked, chunks + b"0;x=y\r\nTrailer: t\r\n\r\n", body),
            _Framed(chunked + length % 3, chunks + b"0\r\n\r\n", body),
            _Framed(chunked, chunks, None),
            _Framed(chunked, chunks + dice.choice((b"zz\r\n", b"-1\r\n", b"fffffff\r\nx")), None),
            _Framed(b"Content-Encoding: gzip\r\n" + length % len(packed), packed, body),
            _Framed(b"Content-Encoding: gzip\r\n" + length % len(packed[:-3]), packed[:-3], None),
            _Framed(b"Content-Encoding: gzip\r\n" + length % 5, b"plain", None),
            _Framed(b"Content-Encoding: br\r\n" + length % len(body), body, body),
        )
    )


def _chunks(dice: Random, body: bytes) -> Iterator[bytes]:
    size = dice.choice((1, 7, 4096)) if len(body) < 100 else 60_000
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)


def _pieces(dice: Random, sent: bytes) -> list[bytes]:
    """The same bytes in one piece, in a few, or for a while one by one."""
    way = dice.random()
    if way < 0.1:
        return [*(sent[at : at + 1] for at in range(min(len(sent), 100))), sent[100:]]
    cuts = sorted(dice.randrange(len(sent) + 1) for _ in range(0 if way < 0.5 else 3))
    return [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
