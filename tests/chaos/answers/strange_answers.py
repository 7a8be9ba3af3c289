"""Strange answers: thousands of them, drawn from a grammar, to each client of a remote API."""

from __future__ import annotations

import ctypes
import gc
import os
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from unittest.mock import patch

import trustme

from common.remote.http.egress import Egress
from devservers.child_processes import PATIENCE, poll_until
from devservers.network.scripted_server import ScriptedServer
from testing.arena import Arena
from tests.chaos.answers import grammar
from tests.chaos.answers.remote_clients import (
    CLIENTS,
    SECONDS,
    Exchange,
    Outcome,
    is_contrary,
)
from tests.chaos.campaign import Campaign, Figures, Limit, Round, never
from workers.notification.discord import client as discord_client
from workers.warcraft.battle_net import api_request

_MEGABYTE = 1 << 20


def play(arena: Arena, current: Round) -> Figures:
    """Let each client have its answers, one after another; the clients side by side."""
    each = int(current.size(500, 50))
    with tempfile.TemporaryDirectory() as folder, _deadlines():
        egress, tls = _trusted(Path(folder))

        def exchanges() -> Counter[str]:
            seeds = [current.dice.random() for _ in CLIENTS]
            with ThreadPoolExecutor(len(CLIENTS)) as pool:
                found = pool.map(
                    lambda call, seed: _exchanges(call, Random(seed), each, egress, tls),
                    CLIENTS,
                    seeds,
                )
                return sum(found, Counter[str]())

        total = exchanges()  # what is loaded and kept once, is there from now on
        before = _held()
        total += exchanges()
        poll_until(lambda: threading.active_count() <= before["threads left"], PATIENCE)
        after = _held()
    names = ("exchanges", "taken", "contrary", "errors")
    return {
        **{name: total[name] for name in names},
        **{name: max(0.0, after[name] - before[name]) for name in before},
    }


def _exchanges(
    call: Callable[[Exchange], Outcome],
    dice: Random,
    count: int,
    egress: Egress,
    tls: ssl.SSLContext,
) -> Counter[str]:
    found = Counter[str](exchanges=count)
    with ScriptedServer() as plain, ScriptedServer(tls=tls) as secure:
        for _ in range(count):
            server = secure if dice.random() < 0.3 else plain
            answer = grammar.draw(dice)
            server.script = answer.script
            try:
                outcome = call(Exchange(server.url, egress, dice))
            except Exception as error:
                found["errors"] += 1
                print(f"{call.__name__}: {error!r} of {answer}"[:2000])
                continue
            found["taken"] += outcome.taken
            if is_contrary(call, answer, outcome):
                found["contrary"] += 1
                print(f"{call.__name__}: {outcome} of {answer}"[:2000])
    return found


@contextmanager
def _deadlines() -> Iterator[None]:
    with (
        patch.object(discord_client, "TIMEOUT_SECONDS", SECONDS),
        patch.object(api_request, "REPLY_SECONDS", SECONDS),
    ):
        yield


def _trusted(folder: Path) -> tuple[Egress, ssl.SSLContext]:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return Egress(ca_file=str(folder / "ca.pem")), tls


def _held() -> dict[str, float]:
    """What this process holds now, without freed memory that the allocator keeps."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "threads left": threading.active_count(),
        "descriptors left": len(os.listdir("/proc/self/fd")),
        "memory": pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE,
    }


CAMPAIGN = Campaign(
    name="strange-answers",
    promise="no answer of a remote side is taken for its contrary",
    faults="4,000 answers from a grammar to each client, of Discord, webhooks and Battle.net:"
    f" interim ones, {len(set(grammar.STATUSES))} statuses, odd status lines, headers and framing,"
    " before or after the request was read, byte by byte, broken off or reset at any byte, silent;"
    " a third of them with TLS",
    limits=(
        Limit("exchanges", least=10_000, at_full_size=True),
        Limit("taken", least=1),
        *never("contrary", "errors", "threads left", "descriptors left"),
        Limit("memory", most=10, unit=" MB", merge=max, at_full_size=True),
    ),
    play=play,
    rounds=4,
)
