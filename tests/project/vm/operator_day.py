"""What an operator does with eight running workers, by the commands alone.

The operator is behind sudo, and has the role `toast_operator`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from devservers.child_processes import poll_until
from testing.database import TestDatabase
from testing.passes import HOUR
from tests.support.expired_links import EXPIRED

LOGIN = "ann"
_ROLE, _PASSWORD = "toast_operator", "not-in-any-file"
_AS_OPERATOR = f"DB_USER={_ROLE} DB_PASSWORD={_PASSWORD}"
WHY = "the index is rebuilt"
JOB = "link link-expiration"
SECONDS = 30.0

_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_bad() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no bad link'; END $$;
CREATE TRIGGER refuse_bad BEFORE UPDATE ON link_links
FOR EACH ROW WHEN (NEW.short_code LIKE 'bad%') EXECUTE FUNCTION refuse_bad()"""

_SET_ASIDE = """
INSERT INTO toast_outbox_set_aside (id, service, topic, key, event_id, occurred_at, payload, tries,
                                    error, set_aside_at)
VALUES (%s, 'link', 'link.expired', 'k', gen_random_uuid(), now(), '{}', 5, 'no', now())"""

_AT_TAB = """bash -c '
source /usr/local/share/bash-completion/completions/toast
COMP_WORDS=(toast pause link ""); COMP_CWORD=3; _shtab_toast; echo "${COMPREPLY[@]}"'"""


def create_role(database: TestDatabase, sql: str) -> None:
    """Let the operator's role be there: ``sql`` is what `toast roles` prints."""
    database.query(sql)
    database.query(f"ALTER ROLE {_ROLE} PASSWORD '{_PASSWORD}'")


@dataclass(frozen=True, slots=True)
class Manager:
    """How one manager of the workers is asked: the process of a worker, and of link's its log and
    to read its settings again, whose interval ``set_interval`` writes."""

    pid: Callable[[str], int]
    log: Callable[[], str]
    reload: Callable[[], object]
    set_interval: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class OperatorDay:
    """One day; ``attempt`` runs a shell command as root: its exit code, and its output."""

    database: TestDatabase
    attempt: Callable[[str], tuple[int, str]]
    manager: Manager

    def play(self) -> None:
        """Do it all, one after another."""
        self.database.query("DELETE FROM toast_audit")
        self._pause_and_resume()
        self._trigger()
        self._mend_rows()
        self._mend_events()
        self._ask()
        self._reload()
        self._look_back()

    def _toast(self, arguments: str, code: int = 0, role: str = _AS_OPERATOR) -> str:
        command = f"SUDO_USER={LOGIN} {role} toast {arguments}"
        found, output = self.attempt(command)
        assert found == code, f"toast {arguments}: {found}\n{output}"
        return output.strip()

    def _json(self, arguments: str, code: int = 0) -> Any:
        return json.loads(self._toast(f"{arguments} --json", code).splitlines()[-1])

    def _add_link(self, code: str = "") -> UUID:
        """Add a link that has expired."""
        columns = {"short_code": f"{code}{uuid4().hex[:6]}"} if code else {}
        row: UUID = self.database.insert("link_links", expires_at=EXPIRED, **columns)["id"]
        return row

    def _is_expired(self, link: UUID) -> bool:
        row = self.database.one("SELECT is_active FROM link_links WHERE id = %s", link)
        return not row["is_active"]

    def _was_skipped(self) -> bool:
        lines = self._toast(f"runs {JOB} --since 10s --json").splitlines()
        return any(json.loads(line)["result"] == "skipped" for line in lines)

    def _pause_and_resume(self) -> None:
        assert f"by {LOGIN} on " in self._toast(f"pause {JOB} --for 2h --reason '{WHY}'")
        assert poll_until(self._was_skipped, SECONDS, 0.5)
        link = self._add_link()
        assert WHY in self._toast("status link")
        assert self._json("status link")["jobs"][0]["state"] == "paused"
        assert self._json(f"trigger {JOB}", code=1)["schedulers"][0]["result"] == "skipped"
        assert not self._is_expired(link)
        assert self._toast(f"resume {JOB}") == "link-expiration: resumed"
        assert poll_until(lambda: self._is_expired(link), SECONDS)

    def _trigger(self) -> None:
        """Twitchbot, whose intervals are long: found by its runs, and without any."""
        for _ in range(2):
            answer = self._json("trigger twitchbot")
            assert [each["result"] for each in answer["schedulers"]] == ["ok", "ok"]
            assert answer["process"] == self.manager.pid("twitchbot")
            self.database.query("DELETE FROM toast_runs WHERE service = 'twitchbot'")

    def _mend_rows(self) -> None:
        self.database.query(_REFUSE)
        link = self._add_link("bad")
        assert poll_until(lambda: str(link) in self._toast("rows --service link"), SECONDS, 0.5)
        assert "no bad link" in self._toast(f"rows show {link}")
        self.database.query("DROP TRIGGER refuse_bad ON link_links")
        assert self._toast("rows retry --all") == f"retry: 1 row: {link}"
        assert poll_until(lambda: self._is_expired(link), SECONDS)

    def _mend_events(self) -> None:
        for number in (1, 2):
            self.database.query(_SET_ASIDE, number)
        assert "2 set aside" in self._toast("outbox")
        assert "link.expired" in self._toast("outbox show 1")
        assert self._toast("outbox drop 1") == "drop: 1 event: 1"
        assert self._toast("outbox retry --all") == "retry: 1 event: 2"
        self._add_link()  # whose event wakes the publisher; else it looks every three minutes

        def is_sent() -> bool:
            return self._toast("outbox").startswith("0 waiting; 0 set aside")

        assert poll_until(is_sent, SECONDS, 0.5)

    def _ask(self) -> None:
        later = self.database.insert("link_links", expires_at=datetime.now(UTC) + HOUR)["id"]
        assert "is not due before" in self._toast(f"why {JOB} {later}", role="")
        assert self._toast("--version").startswith("toast-workers ")
        assert self.attempt(_AT_TAB) == (0, "link-expiration\n")

    def _reload(self) -> None:
        before = self.manager.pid("link")
        self._reload_with("2s", "worker_reloaded")
        self._reload_with("soon", "reload_refused")
        self._reload_with("1s", "worker_reloaded")
        assert self.manager.pid("link") == before

    def _reload_with(self, interval: str, event: str) -> None:
        """Reload this interval: the log has this event once more, and the worker works."""
        seen = self.manager.log().count(event)
        self.manager.set_interval(interval)
        self.manager.reload()
        assert poll_until(lambda: self.manager.log().count(event) == seen + 1, SECONDS, 0.5)
        link = self._add_link()
        assert poll_until(lambda: self._is_expired(link), SECONDS)

    def _look_back(self) -> None:
        lines = self._toast("audit --json").splitlines()
        entries = [json.loads(line) for line in reversed(lines)]
        assert {(entry["login"], entry["role"]) for entry in entries} == {(LOGIN, _ROLE)}
        assert [entry["action"] for entry in entries] == [
            "pause for 2:00:00",
            *("trigger", "resume", "trigger", "trigger"),
            *("rows retry", "outbox drop", "outbox retry"),
        ]
