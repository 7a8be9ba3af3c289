"""`toast check` of the page: its settings, what its role may do, and whether it listens."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.checkout import ROOT
from testing.database import TestDatabase
from testing.processes import NO_BROKER, Process, bare, toast
from tests.support.role_work import AsRole
from tests.web.process.browser import at_socket, serving

pytestmark = pytest.mark.servers

PASSWORD = "pl4nted-password-of-the-operator"


@pytest.fixture(scope="module")
def operator(module_database: TestDatabase) -> AsRole:
    """The database as toast_operator sees it."""
    module_database.query((ROOT / "db" / "roles.sql").read_text())
    module_database.query(f"ALTER ROLE toast_operator PASSWORD '{PASSWORD}'")
    return AsRole.of(module_database, "toast_operator", PASSWORD)


@pytest.fixture(scope="module")
def env(operator: AsRole, folder: Path) -> dict[str, str]:
    """The services have a role of their own, and the page has that of operators."""
    owner = TestDatabase(operator.server, operator.name, operator.port).environment
    own = {"DB_USER": operator.role, "DB_PASSWORD": operator.password}
    etc = folder / "etc"
    etc.mkdir()
    for name, values in (("toast", {**owner, "KAFKA_BROKERS": NO_BROKER}), ("web", own)):
        (etc / f"{name}.env").write_text("".join(f"{k}={v}\n" for k, v in values.items()))
    return bare(TOAST_CONFIG_DIR=str(etc), **at_socket(folder))


@pytest.fixture(scope="module")
def page(env: dict[str, str]) -> Iterator[Process]:
    with serving(env) as page:
        yield page


def check(env: dict[str, str], *names: str) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Level, message and fix of the last finding of each check, by service and check."""
    answer = toast("check", *names, "--json", env=env)
    return {
        (one["service"], one["check"]): (one["level"], one["message"], one["fix"])
        for one in json.loads(answer.out)
    }


def test_check_finds_that_it_may_do_what_it_needs(
    page: Process, env: dict[str, str], operator: AsRole
) -> None:
    found = check(env, "web")
    # Of a hostile database the session is more than ok.
    assert {check for (_, check), (level, *_) in found.items() if level != "ok"} <= {"session"}
    assert "may do what it needs, and no more" in found["web", "privileges"][1]
    assert found["web", "web"][1] == f"it listens at unix:{env['WEB_LISTEN']}"

    as_owner = {**env, **TestDatabase(operator.server, operator.name, operator.port).environment}
    level, message, fix = check(as_owner, "web")["web", "privileges"]
    assert (level, fix) == ("warning", "use the role toast_operator of db/roles.sql")
    operator.query("REVOKE SELECT ON toast_audit FROM toast_operator")
    level, message, fix = check(env, "web")["web", "privileges"]
    operator.query(fix)
    assert (level, message) == ("error", "toast_operator lacks SELECT on toast_audit")
    assert fix == "GRANT SELECT ON toast_audit TO toast_operator;"


def test_check_names_what_is_wrong_with_its_settings_and_its_address(
    env: dict[str, str], tmp_path: Path
) -> None:
    answer = toast("check", "web", env={**env, "WEB_ACTIONS": "some"})
    assert answer.code == 78
    assert "WEB_ACTIONS in the environment is 'some'" in answer.out
    level, message, fix = check({**env, "WEB_LISTEN": f"{tmp_path}/web.sock"}, "web")["web", "web"]
    assert (level, fix) == ("warning", "systemctl enable --now toast-web")
    assert message.endswith("No such file or directory")


def test_check_of_all_has_the_page_where_it_is_in_use(operator: AsRole) -> None:
    nowhere = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_USER": "toast"}
    env = bare(**nowhere, KAFKA_BROKERS="127.0.0.1:1")
    assert ("web", "web") not in check(env)
    assert ("web", "web") in check({**env, "WEB_ACTIONS": "none"})
