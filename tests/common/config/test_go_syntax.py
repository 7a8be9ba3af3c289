"""Go's durations and booleans, against cases worked out by hand from the rules of Go's library."""

import re
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.config.go_syntax import format_duration, parse_boolean, parse_duration

INT64_MAX = 2**63 - 1

# What each text is in microseconds; nanoseconds below one are cut off.
DURATIONS = {
    # The zero is the only number that may go without a unit.
    "0": 0,
    "+0": 0,
    "-0": 0,
    "0s": 0,
    "-0.0h": 0,
    # Every unit; the micro sign and the Greek letter look alike and both count.
    "1ns": 0,
    "1500ns": 1,
    "1us": 1,
    "1\u00b5s": 1,
    "1\u03bcs": 1,
    "1ms": 1_000,
    "300ms": 300_000,
    "1s": 1_000_000,
    "1m": 60_000_000,
    "1h": 3_600_000_000,
    "24h": 86_400_000_000,
    # Signs stand once, at the beginning, and hold for the whole.
    "+5s": 5_000_000,
    "-1m": -60_000_000,
    "-1m1s": -61_000_000,
    # Parts add up, in any order, also the same unit twice and parts above their carry.
    "1h30m": 5_400_000_000,
    "30m1h": 5_400_000_000,
    "1h1h": 7_200_000_000,
    "90m90s": 5_490_000_000,
    "1h2m3s4ms5us6ns": 3_723_004_005,
    # Fractions, of any unit and any length, need digits on one side of the point.
    "1.5h": 5_400_000_000,
    "1.s": 1_000_000,
    ".5s": 500_000,
    "-.5s": -500_000,
    "0.5us": 0,
    "1.0000005s": 1_000_000,
    "39h9m14.425s": 140_954_425_000,
    "1.00000000000000000000000000000000000001s": 1_000_000,
    # Go works fractions out in floating point: a third of an hour is twenty minutes exactly.
    "0.3333333333333333333h": 1_200_000_000,
    # Digits beyond 63 bits of fraction are dropped.
    "0.9223372036854775807h": 3_320_413_933,
    "0.100000000000000000000h": 360_000_000,
    "0." + "3" * 5_000 + "s": 333_333,
    "0." + "0" * 5_000 + "3s": 0,
    # Leading zeros weigh nothing.
    "000000000000000000000000000000007m": 420_000_000,
    # Cut off towards zero, on both sides of it.
    "1999ns": 1,
    "-1999ns": -1,
    "-999ns": 0,
    # The sum is cut off, not each part.
    "500ns500ns": 1,
    # The ends of 64 bits.
    "9223372036854775807ns": 9_223_372_036_854_775,
    "-9223372036854775808ns": -9_223_372_036_854_775,
    "9223372036854775.807us": 9_223_372_036_854_775,
    "2562047h47m16.854775807s": 9_223_372_036_854_775,
}

NO_NUMBER = ("", "+", "-", ".", "s", ".s", "-.s", "1h.m", "--1s", "+-1s", " 1s", "h1", "µs")
NO_UNIT = ("1", "00", "-3", "+7", "1.5", "1h30", "1.2.3s", "0.", "0h0")
UNKNOWN_UNIT = (
    *("1d", "1w", "1y", "1S", "1H", "1M", "1Ms", "1mss", "1e3s", "1_0s", "0x1s", "5 minutes"),
    *("1 s", "1s ", "1s\n", "1h 30", "1h, 2m", "1h-2m", "1h+2m", "1\u2009s", "1\u0661s"),
)
OVERFLOW = (
    "9223372036854775808ns",
    "-9223372036854775809ns",
    "9223372036854775.808us",
    "9223372036854ms776us",
    "2562048h",
    "2562047h47m16.854775808s",
    "3000000h",
    "-9223372036854775808ns9223372036854775808ns",
    "9" * 30 + "ns",
    "9" * 10_000 + "h",
)


@pytest.mark.parametrize(("text", "microseconds"), DURATIONS.items())
def test_a_duration_means_what_go_says(text: str, microseconds: int) -> None:
    assert parse_duration(text) == timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (NO_NUMBER, "no number"),
        (NO_UNIT, "no unit after"),
        (UNKNOWN_UNIT, "unknown unit"),
        (OVERFLOW, "more than 64 bits"),
    ],
)
def test_what_go_refuses_is_refused_with_its_reason(texts: tuple[str, ...], reason: str) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=reason):
            parse_duration(text)


def test_digits_of_other_scripts_are_no_numbers() -> None:
    with pytest.raises(ValueError, match="no number"):
        parse_duration("\u0661s")


def test_the_reason_names_the_part_and_stays_short() -> None:
    with pytest.raises(ValueError, match=r"^unknown unit 'fortnights'$"):
        parse_duration("1h2fortnights")
    with pytest.raises(ValueError, match=r"^.{1,60}$"):
        parse_duration("1" + "x" * 10_000)


@pytest.mark.parametrize("word", ["1", "t", "T", "TRUE", "true", "True"])
def test_gos_words_for_true(word: str) -> None:
    assert parse_boolean(word) is True


@pytest.mark.parametrize("word", ["0", "f", "F", "FALSE", "false", "False"])
def test_gos_words_for_false(word: str) -> None:
    assert parse_boolean(word) is False


NO_BOOLEANS = (
    *("", "yes", "no", "on", "off", "y", "n", "None", "tr", "1t", "01", "2", "-1"),
    *("tRUE", "FaLSE", " true", "1 ", "true\n", "\u0661"),
)


@pytest.mark.parametrize("word", NO_BOOLEANS)
def test_no_other_word_is_a_boolean(word: str) -> None:
    with pytest.raises(ValueError, match="not a Go boolean"):
        parse_boolean(word)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(microseconds=1), "1µs"),
        (timedelta(microseconds=999), "999µs"),
        (timedelta(milliseconds=1), "1ms"),
        (timedelta(microseconds=1_500), "1.5ms"),
        (timedelta(milliseconds=300), "300ms"),
        (timedelta(seconds=1), "1s"),
        (timedelta(milliseconds=1_500), "1.5s"),
        (timedelta(seconds=1, microseconds=10), "1.00001s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(hours=1, milliseconds=500), "1h0.5s"),
        (timedelta(hours=1, seconds=1), "1h1s"),
        (timedelta(days=1), "24h"),
        (timedelta(days=30), "720h"),
        (timedelta(minutes=-1), "-1m"),
        (timedelta(microseconds=-1), "-1µs"),
        (timedelta(milliseconds=-1_500), "-1.5s"),
    ],
)
def test_a_duration_is_written_without_its_zero_parts(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


# --- properties; derandomize makes every run try the same cases -----------------------------

property_test = settings(derandomize=True, deadline=None, max_examples=300)

SIZES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
go_durations = st.integers(min_value=-(INT64_MAX // 1000), max_value=INT64_MAX // 1000).map(
    lambda microseconds: timedelta(microseconds=microseconds)
)
parts = st.lists(
    st.tuples(st.integers(min_value=0, max_value=10**6), st.sampled_from(sorted(SIZES))),
    min_size=1,
    max_size=6,
)


def truncated(nanoseconds: int) -> timedelta:
    magnitude = timedelta(microseconds=abs(nanoseconds) // 1000)
    return magnitude if nanoseconds >= 0 else -magnitude


@property_test
@given(go_durations)
@example(timedelta(microseconds=INT64_MAX // 1000))
@example(timedelta(microseconds=-(INT64_MAX // 1000)))
def test_what_is_written_reads_back_the_same(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@property_test
@given(go_durations)
def test_what_is_written_has_no_zero_part(duration: timedelta) -> None:
    numbers = re.findall(r"[0-9.]+", format_duration(duration))
    assert all(float(number) > 0 for number in numbers) or not duration


@property_test
@given(st.sampled_from(["", "+", "-"]), parts)
@example("", [(INT64_MAX, "ns")])
@example("", [(INT64_MAX, "ns"), (1, "ns")])
@example("-", [(INT64_MAX, "ns"), (1, "ns")])
@example("-", [(INT64_MAX, "ns"), (2, "ns")])
def test_whole_parts_add_up_or_overflow(sign: str, parts: list[tuple[int, str]]) -> None:
    text = sign + "".join(f"{count}{unit}" for count, unit in parts)
    nanoseconds = sum(count * SIZES[unit] for count, unit in parts)
    nanoseconds = -nanoseconds if sign == "-" else nanoseconds
    if -INT64_MAX - 1 <= nanoseconds <= INT64_MAX:
        assert parse_duration(text) == truncated(nanoseconds)
    else:
        with pytest.raises(ValueError, match="more than 64 bits"):
            parse_duration(text)


@property_test
@given(
    st.sampled_from(["", "-"]),
    st.integers(min_value=0, max_value=10**6),
    st.from_regex(r"[0-9]{1,6}", fullmatch=True),
    st.sampled_from(["us", "ms", "s", "m", "h"]),
)
def test_a_fraction_is_its_share_of_the_unit(
    sign: str, whole: int, fraction: str, unit: str
) -> None:
    share, rest = divmod(int(fraction) * SIZES[unit], 10 ** len(fraction))
    # Where the share is no whole number of nanoseconds, floating point may settle either way.
    possible = {truncated(whole * SIZES[unit] + share + more) for more in range(1 + bool(rest))}
    if sign:
        possible = {-duration for duration in possible}
    assert parse_duration(f"{sign}{whole}.{fraction}{unit}") in possible


GO_DURATION = re.compile(
    r"[-+]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)"
)


@property_test
@given(st.text(alphabet="0123456789.+-hmsnuµμ eEd\n_\u0661", max_size=7))
@example("")
@example("00")
@example("1h30")
def test_garbage_is_never_accepted_and_gos_grammar_always(text: str) -> None:
    if GO_DURATION.fullmatch(text):
        parse_duration(text)
    else:
        with pytest.raises(ValueError, match=r"no number|no unit|unknown unit"):
            parse_duration(text)


@property_test
@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    if not GO_DURATION.fullmatch(text):
        with pytest.raises(ValueError, match=r"no number|no unit|unknown unit|more than 64 bits"):
            parse_duration(text)
