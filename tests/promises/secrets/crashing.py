"""A worker with bugs, each of which quotes secrets.

`python -m tests.promises.secrets.crashing BUG`. Everything around the bug is the real thing:
settings, runtime, threads, log.
"""

import sys
import threading
import warnings

from common import config
from common.errors import PassError
from common.scheduling.preview import Preview, Reasons
from common.scheduling.scheduler import Custom, Pass, PassResult, Scheduler
from common.scheduling.service import Service
from common.worker import worker_process

ENABLED = config.boolean("PROBE_ENABLED", "true", "whether the probe runs")
SECRET = config.text("PROBE_SECRET", None, "what the probe must not show", secret=True)
INTERVAL = config.interval("PROBE_INTERVAL", "1h", "time from one probe to the next")


class _RaisesWhenDeleted:
    """An object whose deletion raises an error that cannot be caught."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __del__(self) -> None:
        raise RuntimeError(self._text)


def _quoted(current: Pass) -> str:
    """What a bug may quote: the password as it is, and secrets that only show by their shape."""
    password = current.settings[config.DB_PASSWORD]
    shapes = current.settings[config.ENVIRONMENT]
    secret = current.settings[SECRET]
    return f"{password!r} {secret} dsn=postgresql://toast:{password}@db/toast {shapes}"


def _exception(current: Pass) -> None:
    try:
        dict[str, str]()[_quoted(current)]
    except KeyError as missing:
        missing.add_note(_quoted(current))
        raise ExceptionGroup(_quoted(current), [ValueError(_quoted(current))]) from missing


def _pass_error(current: Pass) -> None:
    raise PassError(_quoted(current))


def _thread(current: Pass) -> None:
    def die() -> None:
        raise RuntimeError(_quoted(current))

    thread = threading.Thread(target=die, name="doomed")
    thread.start()
    thread.join()


def _warning(current: Pass) -> None:
    warnings.warn(_quoted(current), RuntimeWarning, stacklevel=1)


def _unraisable(current: Pass) -> None:
    _RaisesWhenDeleted(_quoted(current))


def _note(current: Pass) -> PassResult:
    return PassResult(failed=1, note=_quoted(current))


def _skipped(current: Pass) -> PassResult:
    return PassResult(skipped=_quoted(current))


def _parse(text: str) -> str:
    """No ValueError, as a setting's reader may raise: this ends the process, on its main thread."""
    raise RuntimeError(f"no setting can be {text}")


BUGS = {
    "exception": _exception,
    "pass error": _pass_error,
    "thread": _thread,
    "warning": _warning,
    "unraisable": _unraisable,
    "note": _note,
    "skipped": _skipped,
}
SETTING = config.Variable("PROBE_SETTING", _parse, "never anything", None, "ends the process")


def _service(bug: str) -> Service:
    def run(current: Pass) -> PassResult:
        return BUGS[bug](current) or PassResult(processed=1)

    def preview(current: Pass) -> Preview:
        return Preview(0, ())

    def why(current: Pass, row: str) -> Reasons:
        raise PassError("it has no rows")

    settings = (SECRET,) if bug in BUGS else (SECRET, SETTING)
    work = Custom(run=run, preview=preview, why=why, settings=settings)
    probe = Scheduler("link-expiration", "has a bug", ENABLED, INTERVAL, work)
    return Service("link", (probe,))


if __name__ == "__main__":
    sys.exit(worker_process.main(_service(sys.argv[1])))
