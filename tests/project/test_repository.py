"""The rules of the house, as far as a program can check them."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

import workers
from common.scheduling.scheduler import Scheduler
from devservers.checkout import ROOT

# Folders held to all rules of style; benchmarks and tests are held to some.
FOLDERS = ("common", "workers", "web", "devservers", "testing", "generate", "demo")

MOST_LINES_OF_A_MODULE = 260
MOST_LINES_OF_A_FUNCTION = 50
MOST_MODULES_OF_A_PACKAGE = 13
MOST_IMPORTS_OF_COMMON = 5  # in the file of a scheduler

# BACKGROUND_JOBS.md: service and scheduler; these names are exact, and so are these defaults.
SPECIFIED = """\
blog post-publisher POST_PUBLISHER_ENABLED=true POST_PUBLISHER_INTERVAL=5m
foodfolio item-expiration ITEM_EXPIRATION_ENABLED=true ITEM_EXPIRATION_INTERVAL=24h \
    ITEM_EXPIRATION_WARNING_DAYS=7
foodfolio stock-level STOCK_LEVEL_ENABLED=true STOCK_LEVEL_INTERVAL=6h
link link-expiration LINK_EXPIRATION_ENABLED=true LINK_EXPIRATION_INTERVAL=1h
notification notification-retry NOTIFICATION_RETRY_ENABLED=true NOTIFICATION_RETRY_INTERVAL=5m \
    NOTIFICATION_RETRY_MAX_RETRIES=3
notification notification-cleanup NOTIFICATION_CLEANUP_ENABLED=true \
    NOTIFICATION_CLEANUP_INTERVAL=24h NOTIFICATION_CLEANUP_RETENTION_DAYS=30
sse client-cleanup SSE_CLIENT_CLEANUP_ENABLED=true SSE_CLIENT_CLEANUP_INTERVAL=5m \
    SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT=30m
twitchbot message-cleanup MESSAGE_CLEANUP_ENABLED=true MESSAGE_CLEANUP_INTERVAL=24h \
    MESSAGE_CLEANUP_RETENTION_DAYS=90
twitchbot stream-closer STREAM_CLOSER_ENABLED=true STREAM_CLOSER_INTERVAL=1h \
    STREAM_CLOSER_INACTIVE_TIMEOUT=24h
warcraft character-sync CHARACTER_SYNC_ENABLED=true CHARACTER_SYNC_INTERVAL=6h
warcraft guild-sync GUILD_SYNC_ENABLED=true GUILD_SYNC_INTERVAL=12h
webhook webhook-retry WEBHOOK_RETRY_SCHEDULER_ENABLED=true WEBHOOK_RETRY_SCHEDULER_INTERVAL=5m \
    WEBHOOK_MAX_RETRIES=3
webhook webhook-cleanup WEBHOOK_CLEANUP_ENABLED=true WEBHOOK_CLEANUP_INTERVAL=24h \
    WEBHOOK_CLEANUP_RETENTION_DAYS=30
""".splitlines()

SCHEDULERS = [
    (name, scheduler) for name in workers.SERVICES for scheduler in workers.load(name).schedulers
]

# Services that are English words: only as a literal do they mean the service.
ENGLISH = {"blog", "link", "notification", "sse"}
# Words of services and remote sides that common must not have, not even in a comment.
FOREIGN_WORDS = {
    *(scheduler.name for _, scheduler in SCHEDULERS),
    *(name for name in workers.SERVICES if name not in ENGLISH),
    *("discord", "battle.net", "battle_net", "twitch", "sse service"),
}
# The URL of a webhook is a secret, of whatever service.
ALLOWED_WORDS = {"common/logging/redaction.py": {"webhook"}}
# `toast web link` prints a login link.
ALLOWED_LITERALS = {"common/cli/arguments.py": {"link"}}


def files() -> Iterator[Path]:
    """Every file of the repository: all that .gitignore does not name."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [".git", *(line.strip("/") for line in lines)]

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if any(fnmatch(path.name, pattern) for pattern in ignored):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return walk(ROOT)


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and tree of every Python module below these folders."""
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and name.startswith(tuple(f"{folder}/" for folder in folders)):
            yield name, ast.parse(path.read_text("utf-8"))


COMMON = list(modules("common"))


# --- imports ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "scheduler"), SCHEDULERS, ids=[scheduler.name for _, scheduler in SCHEDULERS]
)
def test_a_scheduler_needs_few_imports_of_common(service: str, scheduler: Scheduler) -> None:
    path = ROOT / "workers" / service / f"{scheduler.name.replace('-', '_')}.py"
    lines = re.findall(r"^(?:from|import) common\b.*", path.read_text("utf-8"), re.MULTILINE)
    assert 1 <= len(lines) <= MOST_IMPORTS_OF_COMMON, lines


def test_the_environment_is_read_in_one_room() -> None:
    readers = {
        name
        for name, tree in modules("common", "workers", "web")
        for node in ast.walk(tree)
        if (
            (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
            # That of a request is another.
            and ast.unparse(node) != "request.environ"
        )
        or (isinstance(node, ast.alias) and node.name in ("environ", "environb", "getenv"))
    }
    assert readers == {"common/config/settings.py", "common/config/environment.py"}


@pytest.mark.parametrize(("name", "tree"), COMMON, ids=[name for name, _ in COMMON])
def test_common_names_no_service(name: str, tree: ast.Module) -> None:
    text = (ROOT / name).read_text("utf-8").lower()
    found = {word for word in FOREIGN_WORDS if word in text}
    assert found <= ALLOWED_WORDS.get(name, set())
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert literals & set(workers.SERVICES) <= ALLOWED_LITERALS.get(name, set())


# --- code -------------------------------------------------------------------------------------


def test_a_broad_except_is_only_where_a_thread_must_go_on() -> None:
    broad = {
        name
        for name, tree in modules("common", "workers", "web")
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_on(node)
        # A foreign __str__ may raise anything, and logging never does.
        if name != "common/logging/formatter.py"
    }
    assert broad == {
        "common/remote/thread_pool.py",
        "common/worker/publisher_thread.py",
        "common/scheduling/pass_runner.py",
        "common/worker/backlog_sampler.py",
        "common/worker/endpoint/server.py",
    }


def _raises_on(handler: ast.ExceptHandler) -> bool:
    """Whether it only tidies up on the way: the error goes on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _is_broad(caught: ast.expr | None) -> bool:
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException"))
        for kind in kinds
    )


def test_modules_are_short() -> None:
    long = {
        name: lines
        for name, _ in modules(*FOLDERS)
        if (lines := len((ROOT / name).read_text("utf-8").splitlines())) > MOST_LINES_OF_A_MODULE
    }
    assert long == {}


def test_packages_are_small() -> None:
    """Not counted: `__init__`, `__main__`, and what protoc writes."""
    written = (
        path for path in files() if path.suffix == ".py" and not re.search(r"^__|_pb2$", path.stem)
    )
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in written)
    assert {name: count for name, count in sizes.items() if count > MOST_MODULES_OF_A_PACKAGE} == {}


def test_functions_are_short() -> None:
    long = {
        f"{name}: {node.name}": lines
        for name, tree in modules(*FOLDERS, "benchmarks", "tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_every_module_has_a_docstring() -> None:
    silent = [name for name, tree in modules(*FOLDERS) if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_no_unfinished_work_is_marked() -> None:
    unfinished = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|NotImplemented" r"Error)\b")
    assert [place for place, _ in matches(unfinished)] == []


def test_no_file_contains_a_path_of_one_machine() -> None:
    private = re.compile(r"(?<![\w.:*/-])/(?:home|root|Users|work|tmp)/\w")
    assert [place for place, _ in matches(private)] == []


def matches(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """File and line number, and text, of every line that matches."""
    for path in files():
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # an image
        for number, line in enumerate(lines, 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}", line


# --- services and schedulers ------------------------------------------------------------------


@pytest.mark.parametrize("line", SPECIFIED)
def test_schedulers_and_defaults_are_those_of_the_specification(line: str) -> None:
    service, name, *settings = line.split()
    [scheduler] = [one for one in workers.load(service).schedulers if one.name == name]
    defaults = {variable.name: variable.default for variable in scheduler.variables}
    assert defaults.items() >= dict(setting.split("=") for setting in settings).items()


@pytest.mark.parametrize("name", workers.SERVICES)
def test_a_service_is_a_package_that_runs(name: str) -> None:
    assert workers.load(name).name == name
    assert (ROOT / "workers" / name / "__main__.py").is_file()


def test_there_is_no_package_beside_the_services() -> None:
    packages = {path.parent.name for path in (ROOT / "workers").glob("*/__init__.py")}
    assert packages == set(workers.SERVICES)


@pytest.mark.parametrize(
    ("service", "scheduler"), SCHEDULERS, ids=[scheduler.name for _, scheduler in SCHEDULERS]
)
def test_a_scheduler_has_one_file_of_its_name(service: str, scheduler: Scheduler) -> None:
    module = import_module(f"workers.{service}.{scheduler.name.replace('-', '_')}")
    assert module.SCHEDULER is scheduler
    assert (module.__doc__ or "").startswith(f"{scheduler.name}: ")


def test_no_two_schedulers_share_a_name_or_a_switch() -> None:
    assert len({scheduler.name for _, scheduler in SCHEDULERS}) == len(SCHEDULERS)
    assert len({scheduler.enabled.name for _, scheduler in SCHEDULERS}) == len(SCHEDULERS)


def test_the_ports_for_metrics_are_in_the_order_of_the_services() -> None:
    ports = [workers.load(name).metrics_port for name in workers.SERVICES]
    assert ports == list(range(9801, 9801 + len(workers.SERVICES)))
