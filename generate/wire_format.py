"""The table of messages in docs/wire-format.md."""

import ast
import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

from generate import markdown
from generate.services import SERVICES


def messages() -> str:
    """A row per topic: its scheduler, the message's key and its fields."""
    rows: list[tuple[str, ...]] = []
    for service in SERVICES:
        for scheduler in service.schedulers:
            name = scheduler.name.replace("-", "_")
            announced = _announced(import_module(f"workers.{service.name}.{name}"))
            for topic in scheduler.topics:
                given = announced[topic]
                fields = ", ".join(given["fields"])
                rows.append((f"`{topic}`", scheduler.name, given["key"], fields))
    return markdown.table(("topic", "published by", "key", "fields"), rows)


def _announced(module: ModuleType) -> dict[str, dict[str, Any]]:
    """The keyword arguments of the module's calls of envelope.announce, by topic.

    Read from the source, because only the SQL is left of a call when the module is imported.
    """
    found: dict[str, dict[str, Any]] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "envelope.announce":
            topic = _value(node.args[1], module)
            found[topic] = {
                keyword.arg: _value(keyword.value, module)
                for keyword in node.keywords
                if keyword.arg
            }
    return found


def _value(expression: ast.expr, module: ModuleType) -> Any:
    return eval(ast.unparse(expression), vars(module))
