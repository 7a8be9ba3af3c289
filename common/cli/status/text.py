"""Formats the status: a table for a terminal of any width, with or without colours, or JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from common.cli import output, text_table
from common.cli.status import job_history
from common.cli.status.collector import Server, Status
from common.cli.status.job_history import Job
from common.worker.status_line import ago, ahead

_BARS = "▁▂▃▄▅▆▇█"

_COLOURS = {
    job_history.OK: "32",
    job_history.RUNNING: "36",
    job_history.FAILING: "1;31",
    job_history.OVERDUE: "1;33",
    job_history.WAITING: "1;33",
    job_history.NEVER_RAN: "1;33",
    job_history.UNKNOWN: "33",
    job_history.DISABLED: "2",
    job_history.PAUSED: "35",
}

# Columns to drop if the terminal is too narrow, in this order; at 60 characters all are dropped.
_DISPENSABLE = ("durations", "on", "runs 24 h", "next run", "last success", "service", "took")
_FIRST_COUNTS = ("processed", "events", "failed")
# On a narrow terminal.
_COUNTS_CHARACTERS = 24


def as_json(found: Status) -> str:
    """One object: bad, jobs, databases, processes; times in RFC 3339, durations in seconds."""
    answer = {"bad": found.is_bad, **asdict(found)}
    answer["databases"] = answer.pop("servers")
    for database, server in zip(answer["databases"], found.servers, strict=True):
        database["busy"] = [{**asdict(each), "waits": each.waits} for each in server.busy]
    return output.as_json(answer)


def as_text(
    found: Status,
    *,
    width: int | None = None,
    colours: bool = False,
    urgent_first: bool = False,
) -> str:
    """The status as printable text; no line is longer than ``width``, if given.

    If ``urgent_first``, it begins with the schedulers that are not ok, and ends with the servers.
    """
    jobs = sorted(found.jobs, key=_urgency) if urgent_first else found.jobs
    head = [_cut(line, width) for line in _head(found)]
    details = [
        _cut(f"{job.service} {job.scheduler}: {detail}", width)
        for job in jobs
        for detail in _about(job)
    ]
    table = _jobs(found, jobs, width, colours=colours)
    parts = (table, details, head) if urgent_first else (head, table, details)
    return "\n\n".join("\n".join(part) for part in parts if part)


def _urgency(job: Job) -> tuple[bool, bool]:
    """Sorts those first for which an operator must act, and those last that are ok."""
    return job.state == job_history.OK, job.state not in job_history.BAD


def _jobs(found: Status, jobs: Sequence[Job], width: int | None, *, colours: bool) -> list[str]:
    """The table of these schedulers."""
    clocks = {service: server.now for server in found.servers for service in server.services}
    header, *body = _table([_row(job, clocks[job.service]) for job in jobs], width)
    place = header.find("STATE")
    cut = [_cut(line, width) for line in body]
    if colours:
        cut = [_coloured(line, place, job.state) for job, line in zip(jobs, cut, strict=True)]
    return [_cut(header, width), *cut]


def _head(found: Status) -> Iterator[str]:
    by_state = Counter(
        (process.manager, process.state.split()[0]) for process in found.processes if process.is_up
    )
    up = ", ".join(
        f"{count} {state}{f' by {manager}' if manager else ''}"
        for (manager, state), count in by_state.items()
    )
    yield f"processes: {up or 'none is known to be up'}"
    for process in found.processes:
        if not process.is_up:
            manager = f" ({process.manager})" if process.manager else ""
            yield f"  toast-{process.service}{manager}: {process.state}"
    for server in found.servers:
        yield f"database {server.name}: {_outbox(server)}"
        for session in server.busy:
            waits = f"; it waits {session.waits}" if session.waits else ""
            seconds = _seconds(session.seconds)
            yield f"  toast-{session.service}: in one statement for {seconds}{waits}"


def _about(job: Job) -> Iterator[str]:
    """Details that have no column."""
    if job.running_for is not None:
        before = f", {_seconds(max(job.durations))} at most before" if job.durations else ""
        waits = f"; it waits {job.waits}" if job.waits else ""
        yield f"under way for {_seconds(job.running_for)}{before}{waits}"
    if job.pause:
        yield str(job.pause)
    if job.error:
        yield job.error


def _outbox(server: Server) -> str:
    box = server.outbox
    if box is None or server.now is None:
        return f"not known, nor what its schedulers did: {server.fault}"
    oldest = f", the oldest from {_ago(box.oldest, server.now)}" if box.oldest else ""
    return f"outbox {box.waiting} waiting{oldest}, {box.set_aside} set aside"


def _table(rows: Sequence[Mapping[str, str]], width: int | None) -> list[str]:
    """The lines of the table, without columns that do not fit."""
    columns = list(rows[0])
    lines = text_table.render(columns, [list(row.values()) for row in rows]).splitlines()
    if width is None or _fits(lines, width):
        return lines
    shorter = [{**row, "counts": _cut(row["counts"], _COUNTS_CHARACTERS)} for row in rows]
    for dispensable in ("", *_DISPENSABLE):
        columns = [column for column in columns if column != dispensable]
        body = [[row[column] for column in columns] for row in shorter]
        lines = text_table.render(columns, body).splitlines()
        if _fits(lines, width):
            break
    return lines


def _fits(lines: Sequence[str], width: int) -> bool:
    return max(map(len, lines)) <= width


def _row(job: Job, now: datetime | None) -> dict[str, str]:
    """The cells of one scheduler, by column; unknown values are a dash."""
    is_known = now is not None and job.last_run is not None
    return {
        "service": job.service,
        "scheduler": job.scheduler,
        "on": "yes" if job.enabled else "no",
        "state": job.state,
        "last run": _ago(job.last_run, now),
        "took": "-" if job.seconds is None else _seconds(job.seconds),
        "counts": counts(job.counts) or "-",
        "last success": _ago(job.last_success, now),
        "next run": _next(job, now),
        "runs 24 h": _runs(job) if is_known else "-",
        "durations": _sparkline(job.durations),
    }


def _ago(moment: datetime | None, now: datetime | None) -> str:
    return ago((now - moment).total_seconds()) if moment and now else "-"


def _next(job: Job, now: datetime | None) -> str:
    if job.state == job_history.FAILING:
        return "soon"
    if job.next_run is None or now is None:
        return "-"
    seconds = (job.next_run - now).total_seconds()
    return ahead(seconds)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _runs(job: Job) -> str:
    failed = f", {job.failures_24h} failed" if job.failures_24h else ""
    return f"{job.runs_24h}{failed}"


def counts(numbers: Mapping[str, int]) -> str:
    """The counts that are not 0, and always `processed`; the common ones first."""
    names = sorted(numbers, key=lambda name: (*(name != each for each in _FIRST_COUNTS), name))
    shown = (f"{numbers[name]} {name}" for name in names if numbers[name] or name == "processed")
    return ", ".join(shown)


def _sparkline(durations: Sequence[float]) -> str:
    """A bar for each run, oldest first; the longest has full height."""
    longest = max(durations, default=0.0) or 1.0
    return "".join(_BARS[round(each / longest * (len(_BARS) - 1))] for each in durations)


def _cut(line: str, width: int | None) -> str:
    line = output.printable(line, keep="")
    return line if width is None or len(line) <= width else f"{line[: width - 1]}…"


def _coloured(line: str, place: int, state: str) -> str:
    """The line with its state in colour."""
    end = place + len(state)
    return f"{line[:place]}\x1b[{_COLOURS[state]}m{line[place:end]}\x1b[0m{line[end:]}"
