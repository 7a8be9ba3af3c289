"""The rooms in docs/architecture.md, with their imports and modules as they are, and in
docs/evidence.md what the tests of each hold."""

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

import grimp

from devservers.checkout import ROOT
from generate import markdown

_LINE = "common"


def picture() -> str:
    """A diagram of the rooms, and a table with the modules and the imports of each."""
    packages, line = _layers("packages"), _layers("rooms")
    rooms = [f"{_LINE}.{name}" for name in line if (ROOT / _LINE / name).is_dir()]
    outside = [name for name in packages if name != _LINE]
    imports = _imports(packages, [*rooms, *outside])
    columns = ("room", "modules", "imports", "what is in it")
    return f"{_diagram(rooms, imports)}\n\n{markdown.table(columns, _rows(imports))}"


def promises() -> str:
    """A table of the files of tests, with what each says that it holds."""
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    rows = ((f"`{path.relative_to(ROOT)}`", _summary(path)) for path in tests)
    return markdown.table(("held by", "promise"), rows)


def _layers(contract: str) -> list[str]:
    """The layers of a contract of import-linter, the lowest first."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    names = parser[f"importlinter:contract:{contract}"]["layers"].replace("|", " ").split()
    return names[::-1]


def _imports(packages: list[str], rooms: list[str]) -> dict[str, list[str]]:
    """The other rooms that each room imports, both in the order of ``rooms``.

    A module of common outside its rooms belongs to none.
    """
    graph = grimp.build_graph(*packages, cache_dir=None)
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for module in graph.modules:
        importer = _room(module, rooms)
        if importer:
            imported = graph.find_modules_directly_imported_by(module)
            found[importer].update(_room(name, rooms) for name in imported)
    return {
        room: [name for name in rooms if name in found[room] and name != room] for room in rooms
    }


def _room(module: str, rooms: list[str]) -> str:
    return next((room for room in rooms if f"{module}.".startswith(f"{room}.")), "")


def _diagram(line: list[str], imports: dict[str, list[str]]) -> str:
    """In Mermaid. From outside, one arrow to common stands for all to its rooms.

    An arrow is left out if a way along others leads there, too; the table has every import.
    """
    inside = {_short(room): [_short(other) for other in imports[room]] for room in line}
    outside = {
        room: list(dict.fromkeys(_LINE if other in line else other for other in others))
        for room, others in imports.items()
        if room not in line
    }
    arrows = {**inside, **outside, _LINE: []}
    return "\n".join(
        [
            "```mermaid",
            "flowchart RL",
            f"    subgraph {_LINE}",
            *(f"        {room}" for room in inside),
            "    end",
            *(f"    {room} --> {other}" for room in arrows for other in _nearest(room, arrows)),
            "```",
        ]
    )


def _nearest(room: str, arrows: dict[str, list[str]]) -> list[str]:
    """The rooms that this one imports and that none of the others leads to."""
    behind = {far for other in arrows[room] for far in _reachable(other, arrows)}
    return [other for other in arrows[room] if other not in behind]


def _reachable(room: str, arrows: dict[str, list[str]]) -> set[str]:
    return {far for other in arrows[room] for far in (other, *_reachable(other, arrows))}


def _rows(imports: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    for room, others in imports.items():
        folder = ROOT.joinpath(*room.split("."))
        modules = [path for path in folder.rglob("*.py") if not path.stem.startswith("__")]
        yield (
            f"`{folder.relative_to(ROOT).as_posix()}/`",
            str(len(modules)),
            ", ".join(map(_short, others)),
            _summary(folder / "__init__.py"),
        )


def _short(room: str) -> str:
    return room.removeprefix(f"{_LINE}.")


def _summary(path: Path) -> str:
    """The first paragraph of the module's docstring; empty if it has none."""
    text = path.read_text("utf-8") if path.exists() else ""
    return " ".join((ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0].split())
