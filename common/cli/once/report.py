"""What `toast once` has done, or would do, as text or JSON."""

import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common import exit_codes
from common.cli import output, text_table
from common.cli.once.outcome import PassOutcome

_COLUMNS = ("processed", "events", "failed")


@dataclass(frozen=True, slots=True)
class Left:
    """Events of this command's own passes that Kafka does not have.

    ``refused`` of the ``number`` are those that it has refused; ``why`` is one reason.
    """

    number: int = 0
    refused: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of all events of the service.

    ``waiting`` is None if they were not counted, ``reason`` is why they wait. ``left`` of the own
    events is None if that is not known.
    """

    published: int = 0
    set_aside: int = 0
    waiting: int | None = None
    reason: str = ""
    left: Left | None = Left()


@dataclass(frozen=True, slots=True)
class OnceReport:
    """The result of `toast once`, or of its dry run.

    ``signal`` ended it, if that is not 0; ``complete`` is False if it broke down. Without
    ``wait_events``, own events that are left are no failure.
    """

    service: str
    schedulers: list[PassOutcome]
    delivery: Delivery
    signal: int = 0
    complete: bool = True
    dry_run: bool = False
    wait_events: bool = True

    @property
    def failed(self) -> bool:
        lacks_events = self.wait_events and self.delivery.left != Left()
        has_failed = any(each.failed for each in self.schedulers)
        return not self.complete or has_failed or lacks_events

    @property
    def exit_code(self) -> int:
        if self.signal:
            return exit_codes.SIGNAL + self.signal
        return exit_codes.FAILED if self.failed else exit_codes.FINE

    def as_json(self) -> str:
        """One object: the facts."""
        return output.as_json(self.facts)

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON: service, schedulers, what became of the events, ended_by."""
        schedulers = [outcome.facts for outcome in self.schedulers]
        about = {"service": self.service, "schedulers": schedulers, **asdict(self.delivery)}
        return {**about, "ended_by": self._ended_by()}

    def as_text(self) -> str:
        """Due rows in a dry run, otherwise counts and events, as text."""
        if self.dry_run:
            return "\n\n".join(map(_preview_text, self.schedulers))
        lines = outcome_lines(self.service, self.schedulers)
        events = self.delivery
        lines.append(f"published {events.published} events")
        if events.set_aside:
            lines.append(f"set aside {events.set_aside} events; see `toast outbox`")
        if events.waiting != 0:
            number = "not counted" if events.waiting is None else events.waiting
            reason = f"; {events.reason}" if events.reason else ""
            lines.append(f"events are waiting: {number}{reason}")
        if events.left != Left():
            lines.append(_left_text(events.left))
        if self.signal:
            lines.append(f"ended by {self._ended_by()}; the next pass does the rest")
        return "\n".join(lines)

    def _ended_by(self) -> str:
        return signal.Signals(self.signal).name if self.signal else ""


def outcome_lines(service: str, outcomes: Sequence[PassOutcome]) -> list[str]:
    """A table of the passes of a service, and what there is to say of them."""
    header = ("scheduler", "result", *_COLUMNS, "took", "details")
    lines = [text_table.render(header, map(_row, outcomes))]
    lines += [f"{each.name}: {each.error}" for each in outcomes if each.error]
    if any(each.paused for each in outcomes):
        lines.append(
            f"`toast resume {service}` ends a pause; `toast once {service} --force`"
            " runs a pass nevertheless"
        )
    return lines


def _left_text(left: Left | None) -> str:
    if left is None:
        return "whether Kafka has the events of this run is not known"
    refused = f" ({left.refused} refused)" if left.refused else ""
    why = left.why or "see `toast outbox`"
    return f"Kafka does not have {left.number} events of this run{refused}: {why}"


def _row(outcome: PassOutcome) -> tuple[object, ...]:
    details = ", ".join(
        f"{name} {count}" for name, count in outcome.counts.items() if name not in _COLUMNS
    )
    figures = (outcome.counts.get(name, 0) for name in _COLUMNS)
    return (outcome.name, outcome.result, *figures, f"{outcome.seconds:.2f}s", details)


def _preview_text(outcome: PassOutcome) -> str:
    if outcome.error:
        return f"{outcome.name}: {outcome.error}"
    due, rows = outcome.counts["due"], outcome.rows or []
    title = f"{outcome.name}: {due} due"
    if not rows:
        return title
    shown = "" if due <= len(rows) else f", the first {len(rows)}"
    return (
        f"{title}{shown}\n{text_table.render(list(rows[0]), (list(row.values()) for row in rows))}"
    )
