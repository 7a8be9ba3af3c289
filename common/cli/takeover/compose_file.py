"""Reads the environment of each service of a Compose file.

`environment:` as map or list, `env_file:`, anchors and merge keys, and variables, which come from
the `.env` beside the file. Compose's shell, `extends:` and override files are not known here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from common.cli.takeover import dot_env
from common.cli.takeover.live_file import Container, Given, LiveFile, LiveFileError, place

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"

_Values = Mapping[str, Given]


def read(path: Path) -> LiveFile:
    """The containers of a Compose file and their host names. Raises LiveFileError."""
    try:
        root = yaml.compose(dot_env.text_of(path), Loader=_LOADER)
        return _Reader(path).live_file(root)
    except yaml.MarkedYAMLError as error:
        # Not its text, which quotes the line.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LiveFileError(f"{place(path, line)}: no YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise LiveFileError(f"{path} has characters that YAML does not allow") from None
    except RecursionError:
        raise LiveFileError(f"{path} is nested too deeply") from None


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        beside = path.with_name(".env")
        project = dot_env.of_compose(beside, {}) if beside.exists() else []
        self._project: _Values = {given.name: given for given in project}

    def live_file(self, root: Node | None) -> LiveFile:
        services = {
            name: self._entries(node)
            for name, node in self._entries(self._entries(root).get("services")).items()
        }
        containers = [
            Container(name, [*self._of_files(service), *self._environment(service)])
            for name, service in services.items()
        ]
        hosts = {
            host: self._ports(service)
            for name, service in services.items()
            for host in (name, *map(self._text, self._only(service, "container_name", "hostname")))
        }
        return LiveFile(str(self._path), containers, hosts)

    def _environment(self, service: Mapping[str, Node]) -> Iterator[Given]:
        node = service.get("environment")
        if isinstance(node, SequenceNode):
            for item in node.value:
                name, equals, value = self._text(item).partition("=")
                yield self._given(name, value if equals else None, item)
        else:
            for name, value in self._entries(node).items():
                is_null = value.tag == _NULL
                yield self._given(name, None if is_null else self._text(value), value)

    def _given(self, name: str, value: str | None, node: Node) -> Given:
        origin = self._place(node)
        if value is not None:
            return dot_env.interpolated(Given(name, value, origin), self._project)
        if passed := self._project.get(name):
            origin = f"{origin}, with {passed.origin}"
            return Given(name, passed.value, origin, passed.doubts, passed.is_open)
        return Given(name, "", origin, (dot_env.PASSED_ON,), is_open=True)

    def _of_files(self, service: Mapping[str, Node]) -> Iterator[Given]:
        node = service.get("env_file")
        for item in node.value if isinstance(node, SequenceNode) else filter(None, [node]):
            options = self._entries(item) if isinstance(item, MappingNode) else {"path": item}
            path = self._path.parent / self._text(options.get("path"))
            is_required = self._text(options.get("required")) != "false"
            if is_required or path.exists():
                yield from dot_env.of_compose(path, self._project)

    def _ports(self, service: Mapping[str, Node]) -> str:
        node = service.get("ports")
        ports = node.value if isinstance(node, SequenceNode) else []
        return ", ".join(map(self._port, ports))

    def _port(self, node: Node) -> str:
        if isinstance(node, MappingNode):
            options = self._entries(node)
            published = self._text(options.get("published"))
            return f"{published}:{self._text(options.get('target'))}"
        return dot_env.interpolated(Given("", self._text(node), ""), self._project).value

    def _only(self, entries: Mapping[str, Node], *names: str) -> list[Node]:
        return [entries[name] for name in names if name in entries]

    def _entries(self, node: Node | None) -> dict[str, Node]:
        """The values of a mapping by key; its own come before those of a merge key."""
        if node is None or node.tag == _NULL:
            return {}
        if not isinstance(node, MappingNode):
            raise LiveFileError(f"{self._place(node)}: expected a mapping")
        merged, own = dict[str, Node](), dict[str, Node]()
        for key, value in node.value:
            if key.tag == _MERGE:
                several = value.value if isinstance(value, SequenceNode) else [value]
                for each in reversed(several):
                    merged |= self._entries(each)
            else:
                own[self._text(key)] = value
        return merged | own

    def _text(self, node: Node | None) -> str:
        if node is None or node.tag == _NULL:
            return ""
        if not isinstance(node, ScalarNode):
            raise LiveFileError(f"{self._place(node)}: expected one value")
        return str(node.value)

    def _place(self, node: Node) -> str:
        return place(self._path, node.start_mark.line + 1)
