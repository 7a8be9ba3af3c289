"""Variables in a Compose file, by the rules that the Compose Specification gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.cli.takeover.interpolation import Interpolated, InterpolationError, interpolate

VALUES = {"SET": "value", "EMPTY": "", "OTHER": "${SET}"}


@pytest.mark.parametrize(
    ("text", "expected", "used", "is_open"),
    [
        # Direct substitution, with and without braces.
        ("a${SET}b", "avalueb", ("SET",), False),
        ("$SET-$SET", "value-value", ("SET",), False),
        ("${EMPTY}", "", ("EMPTY",), False),
        ("${UNSET}$UNSET_2", "", (), True),
        # A default: with a colon also for an empty value.
        ("${SET:-default}", "value", ("SET",), False),
        ("${EMPTY:-default}", "default", (), False),
        ("${UNSET:-default}", "default", (), False),
        ("${SET-default}", "value", ("SET",), False),
        ("${EMPTY-default}", "", ("EMPTY",), False),
        ("${UNSET-default}", "default", (), False),
        ("${UNSET:-}", "", (), False),
        ("${UNSET:-redpanda:9092,b-c:1}", "redpanda:9092,b-c:1", (), False),
        # Required.
        ("${SET:?not set}", "value", ("SET",), False),
        ("${EMPTY?not set}", "", ("EMPTY",), False),
        # Alternative value.
        ("${SET:+other}", "other", (), False),
        ("${EMPTY:+other}", "", (), False),
        ("${EMPTY+other}", "other", (), False),
        ("${UNSET+other}", "", (), False),
        # Nested.
        ("${UNSET:-${SET}}", "value", ("SET",), False),
        ("${UNSET:-${EMPTY:-default}}x", "defaultx", (), False),
        ("${UNSET:-a$SET}}", "avalue}", ("SET",), False),
        ("${SET?$UNSET}", "value", ("SET",), False),
        # A value is not replaced again.
        ("$OTHER", "${SET}", ("OTHER",), False),
        # $$ is a literal $; another $ that begins nothing is kept.
        ("$$SET $${SET} $$$SET", "$SET ${SET} $value", ("SET",), False),
        ("5$ $1 $-", "5$ $1 $-", (), False),
        ("${UNSET:-$$}", "$", (), False),
        ("", "", (), False),
    ],
)
def test_the_rules_of_compose(
    text: str, expected: str, used: tuple[str, ...], is_open: bool
) -> None:
    assert interpolate(text, VALUES.get) == Interpolated(expected, used, is_open)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${EMPTY:?geheim}", "required"),
        ("${UNSET?geheim}", "required"),
        ("${UNSET:-${UNSET?geheim}}", "required"),
        ("${geheim", "not closed"),
        ("${UNSET:-${SET}", "not closed"),
        ("${}", "not written as"),
        ("${1geheim}", "not written as"),
        ("${SET/geheim/x}", "not written as"),
        ("${SET }", "not written as"),
    ],
)
def test_what_compose_refuses_is_refused_without_a_word_of_it(text: str, reason: str) -> None:
    with pytest.raises(InterpolationError, match=reason) as caught:
        interpolate(text, VALUES.get)
    assert "geheim" not in str(caught.value)


@given(st.text())
def test_any_text_can_be_written_with_doubled_dollars(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), VALUES.get) == Interpolated(text)
