"""Secrets are hidden in every text of a structure; what has none is not copied."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

from common.logging.structures import redact_all

SECRET = "password=hunter2hunter2"
HIDDEN = "password=***"

Pair = namedtuple("Pair", ("left", "right"))


@dataclass(frozen=True, slots=True)
class Part:
    text: str
    number: int = 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SECRET, HIDDEN),
        ([1, SECRET, None], [1, HIDDEN, None]),
        ((SECRET,), (HIDDEN,)),
        ({SECRET: {"a": [SECRET]}}, {HIDDEN: {"a": [HIDDEN]}}),
        (Part(SECRET), Part(HIDDEN)),
        ([Part("a"), {"b": Part(SECRET, 8)}], [Part("a"), {"b": Part(HIDDEN, 8)}]),
        (Pair(SECRET, 1), Pair(HIDDEN, 1)),
    ],
)
def test_every_text_is_looked_at(value: Any, expected: Any) -> None:
    assert redact_all(value) == expected
    assert type(redact_all(value)) is type(expected)


def test_a_part_without_secrets_stays_the_same() -> None:
    part = Part("no secret")
    assert redact_all(part) is part


def test_a_public_name_stays_whatever_it_looks_like() -> None:
    assert redact_all([SECRET, f"{SECRET}s"], public={SECRET}) == [SECRET, HIDDEN]
