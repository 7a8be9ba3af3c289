"""The settings of what is reported: log and errors."""

from urllib.parse import urlsplit

from common.config.kinds import Variable, choice, text


def _log_level(text: str) -> str:
    level = text.lower()
    if level == "warn":  # the Go services' spelling
        return "warning"
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError("not one of them")
    return level


def _sentry_dsn(text: str) -> str:
    """As strict as the SDK, so that a bad DSN is a settings error."""
    parts = urlsplit(text)
    project = parts.path.rpartition("/")[2]
    known = parts.scheme in ("http", "https") and parts.hostname and parts.username
    if text and not (known and project.isascii() and project.isdecimal() and parts.port != 0):
        raise ValueError("not a DSN")
    return text


LOG_LEVEL = Variable(
    "LOG_LEVEL",
    _log_level,
    "one of debug, info, warning (or warn), error",
    "info",
    "the least severe log records to write",
)
LOG_FORMAT = choice(
    "LOG_FORMAT",
    ("auto", "text", "json"),
    "auto",
    "text for people, json for machines; auto is text at a terminal and json elsewhere",
)
ENVIRONMENT = text("ENVIRONMENT", "production", "name of the installation, for error reports")
SENTRY_DSN = Variable(
    "SENTRY_DSN",
    _sentry_dsn,
    "the DSN that Sentry shows, such as https://key@sentry.example.org/1, or nothing",
    "",
    "where errors are reported to; empty: nowhere",
    secret=True,
)

REPORTING = (LOG_LEVEL, LOG_FORMAT, ENVIRONMENT, SENTRY_DSN)
