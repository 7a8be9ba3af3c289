"""Log events have one form: a noun and a past participle, as in `pass_finished`."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.project.test_repository import modules

LEVELS = {"debug", "info", "warning", "error", "exception"}
IRREGULAR = ("found", "lost", "missing", "set_aside", "uncaught")
FORM = re.compile(rf"[a-z]+(_[a-z]+)*_([a-z]+ed|{'|'.join(IRREGULAR)})")


def is_log_call(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="_log"), attr=level):
            return level in LEVELS
        case ast.Attribute(value=ast.Call(func=ast.Attribute(attr="getLogger")), attr=level):
            return level in LEVELS
        case ast.Name(id="write"):  # the method of _log that a condition chose
            return True
        case ast.Attribute(value=ast.Attribute(attr=name), attr="write"):
            return name.endswith("_log")
    return False


def log_events() -> Iterator[tuple[str, str]]:
    """Place and name of every event; the text of what is no literal fails the test."""
    for name, tree in modules("common", "workers", "web"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and is_log_call(node):
                match node.args:
                    case [ast.Constant(value=str(event))]:
                        yield f"{name}:{node.lineno}", event
                    case _:
                        yield f"{name}:{node.lineno}", ast.unparse(node)


EVENTS = sorted(log_events())


def test_the_events_of_all_services_are_found() -> None:
    assert {"pass_finished", "metrics_port_open_failed", "sync_failed", "exception_uncaught"} <= {
        event for _, event in EVENTS
    }


@pytest.mark.parametrize(
    ("place", "event"), EVENTS, ids=[f"{event}-{place}" for place, event in EVENTS]
)
def test_a_log_event_is_a_noun_and_a_past_participle(place: str, event: str) -> None:
    assert FORM.fullmatch(event), f"{place}: {event}"
