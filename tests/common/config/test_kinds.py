"""What each kind of setting accepts, and how it refuses the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.config import METRICS_BIND, METRICS_HOSTS, kinds, network_kinds
from common.config.kinds import Variable

HOURS = timedelta(hours=1)

NAME = kinds.text("NAME", None, "")
SECRET = kinds.text("SECRET", None, "", secret=True)
PORT = kinds.integer("PORT", None, "", minimum=1, maximum=65535)
OFFSET = kinds.integer("OFFSET", None, "", minimum=-10, maximum=10)
SHARE = kinds.share("SHARE", "0.33", "")
RETENTION = kinds.days("RETENTION_DAYS", "30", "")
INTERVAL = kinds.interval("INTERVAL", "1h", "")
TIMEOUT = kinds.duration("TIMEOUT", "30s", "", minimum="1s", maximum="5m")
SECONDS = kinds.duration("SECONDS", "30s", "", minimum="1s", maximum="5m", bare="s")
IN_HOURS = kinds.interval("IN_HOURS", "6h", "", bare="h")
MODE = kinds.choice("MODE", ("auto", "verify-full"), "auto", "")
SERVERS = network_kinds.addresses("SERVERS", None, "")
ENABLED = kinds.boolean("ENABLED", "true", "")


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        (NAME, "db.internal", "db.internal"),
        (NAME, "two words", "two words"),
        (NAME, "größe\N{BREAD}", "größe\N{BREAD}"),
        (SECRET, " blanks around ", " blanks around "),
        (PORT, "1", 1),
        (PORT, "65535", 65535),
        (PORT, "+05432", 5432),
        (OFFSET, "-10", -10),
        (SHARE, "1", 1.0),
        (SHARE, "0.05", 0.05),
        (RETENTION, "1", timedelta(days=1)),
        (RETENTION, "36500", timedelta(days=36500)),
        (INTERVAL, "100ms", timedelta(milliseconds=100)),
        (INTERVAL, "1h30m", 1.5 * HOURS),
        (TIMEOUT, "1s", timedelta(seconds=1)),
        (TIMEOUT, "5m", timedelta(minutes=5)),
        (SECONDS, "30", timedelta(seconds=30)),
        (SECONDS, "4m", timedelta(minutes=4)),
        (IN_HOURS, "6", 6 * HOURS),
        (IN_HOURS, "1.5", 1.5 * HOURS),
        (MODE, "Verify-FULL", "verify-full"),
        (ENABLED, "t", True),
        (ENABLED, "False", False),
        (SERVERS, "kafka:9092", ("kafka:9092",)),
        (SERVERS, " a:1,\tb.example-1.org:65535 ", ("a:1", "b.example-1.org:65535")),
        (METRICS_BIND, "0.0.0.0", "0.0.0.0"),
        (METRICS_BIND, "0:0::1", "::1"),
        (METRICS_BIND, f"/run/{'x' * 102}", f"/run/{'x' * 102}"),
        (METRICS_HOSTS, "", ()),
        (METRICS_HOSTS, "VM-1.example.org, 10.0.0.5", ("vm-1.example.org", "10.0.0.5")),
        (METRICS_HOSTS, "fd00:0::5,[::2]", ("[fd00::5]", "[::2]")),
        (SERVERS, "[::1]:9092,127.0.0.1:9092", ("[::1]:9092", "127.0.0.1:9092")),
    ],
)
def test_a_valid_value_is_read(variable: Variable[Any], text: str, value: object) -> None:
    assert variable.parse(text) == value


@pytest.mark.parametrize(
    ("variable", "texts", "reason"),
    [
        (NAME, (" a", "a ", "\u2003a", " "), "blank"),
        (NAME, ("a\nb", "a\rb", "a\0b", "\x1b[0m", "a\x85b", "a\u2028b", "\udcff"), "control"),
        (SECRET, ("a\nb", "a\0b", "\udcff"), "control"),
        (METRICS_BIND, ("", "localhost", "[::1]", "127.0.0.1:80", "run/a", " ::"), "IPv4 or IPv6"),
        (METRICS_BIND, (f"/run/{'x' * 103}", "/run/a\nb", "/run/\0"), "bytes"),
        (METRICS_HOSTS, ("a:80", "a b", "*", "a,", "http://a", "[a]", "a\n"), "without port"),
        (PORT, ("", "a", "1.0", " 1", "1 ", "1_0", "\u0661", "0x1", "--1", "9" * 5000), "integer"),
        (PORT, ("0", "65536", "-1"), "out of range"),
        (OFFSET, ("-11", "11"), "out of range"),
        (RETENTION, ("0", "-1", "36501"), "out of range"),
        (SHARE, ("", "0,5", ".5", "33%", "1/3", "1e-1", "-0.5", " 1", "nan", "inf"), "decimal"),
        (SHARE, ("0", "0.0", "1.01", "33"), "out of range"),
        (RETENTION, ("30d", "1.5", "720h"), "integer"),
        (INTERVAL, ("99.999ms", "0", "-5m"), "less than 100ms"),
        (INTERVAL, ("5", "60"), "no unit"),
        (TIMEOUT, ("999ms", "-1m"), "less than 1s"),
        (TIMEOUT, ("5m1us", "24h"), "more than 5m"),
        (SECONDS, ("0", "0.5"), "less than 1s"),
        (SECONDS, ("301", "9" * 30), "more than"),
        (SECONDS, ("-30", "30 ", "1_0", ".5", "5.", "1e1", ""), "number|unit|less than"),
        (MODE, ("", "verify", "auto "), "not one of them"),
        (ENABLED, ("yes", "tRUE"), "Go boolean"),
        (SERVERS, ("", ",", "a:1,", ",a:1", "a:1,,b:2", "a:1, ,b:2"), "empty"),
        (SERVERS, ("a", "a:", ":1", "a:b", "a:1:2", "::1:9092", "a b:1", "a:1 b:2"), "host:port"),
        (SERVERS, ("kafka://a:1", "u:p@a:1", "a/b:1", "a\n:1", "a:1\n", "a:\u0661"), "host:port"),
        (SERVERS, ("a:0", "a:65536", "a:1,b:99999"), "port"),
        (SERVERS, ("[::g]:1", "[127.0.0.1]:1", "[a]:1"), "."),
    ],
)
def test_an_invalid_value_is_refused_with_its_reason(
    variable: Variable[Any], texts: tuple[str, ...], reason: str
) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=reason):
            variable.parse(text)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (INTERVAL, "a Go duration of at least 100ms, such as 5m or 1h30m"),
        (TIMEOUT, "a Go duration from 1s to 5m, such as 30s"),
        (SHARE, "a number above 0, at most 1, such as 0.33"),
        (RETENTION, "a number of whole days from 1 to 36500"),
        (PORT, "an integer from 1 to 65535"),
        (MODE, "one of auto, verify-full"),
        (NAME, "text without control characters or blanks around it"),
        (SECRET, "text without control characters"),
    ],
)
def test_a_setting_describes_what_it_expects(variable: Variable[Any], expected: str) -> None:
    assert variable.expected == expected


def test_the_longest_retention_still_reaches_a_valid_date() -> None:
    assert datetime.now(UTC) - RETENTION.parse("36500") > datetime(1900, 1, 1, tzinfo=UTC)


def test_only_what_is_declared_secret_is_secret() -> None:
    assert (NAME.secret, SECRET.secret) == (False, True)
