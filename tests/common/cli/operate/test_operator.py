"""Who acts: the audit and the pauses name the operator whom a caller names, not its process."""

from __future__ import annotations

from uuid import UUID

import workers
from common.cli.operate import events, failed_rows, pauses
from common.cli.services import Services
from common.database import audit
from common.database.audit import Operator
from common.events import outbox_admin
from testing.database import TestDatabase
from tests.support.row_faults import add_failed_row

ANN = Operator("ann", "vm-of-the-page")
SERVICES = Services(workers.SERVICES, workers.load)
ROW = UUID(int=7)


def test_every_action_is_recorded_for_its_operator(module_database: TestDatabase) -> None:
    module_database.query(
        "INSERT INTO toast_outbox_set_aside"
        " SELECT n, 'link', 'link.expired', n, gen_random_uuid(), now(), '{}', 5, 'no', now()"
        " FROM generate_series(1, 2) AS n"
    )
    add_failed_row(module_database, row=ROW)
    link = workers.load("link")
    with module_database.session() as connection:
        begun = pauses.pause(connection, ANN, link, None, pauses.end("2h"), "the index is rebuilt")
        assert [(each.paused_by, each.host) for each in begun.values()] == [(ANN.login, ANN.host)]
        assert pauses.resume(connection, ANN, link, "link-expiration") == ["link-expiration"]
        rows = failed_rows.choose(SERVICES, scheduler="link-expiration", ids=[ROW, UUID(int=8)])
        assert failed_rows.count(connection, rows) == 1
        done = failed_rows.retry(connection, ANN, rows)
        assert (done.changed.count, done.refused) == (1, [f"row {UUID(int=8)} is not set aside"])
        assert failed_rows.drop(connection, ANN, failed_rows.choose(SERVICES)).changed.count == 1
        for change, number in ((events.retry, 1), (events.drop, 2)):
            chosen = outbox_admin.Chosen([number])
            assert change(connection, ANN, chosen).changed.first == [str(number)]
        every = audit.listing(connection, None)
        entries = [entry for entry in every if entry["action"] != "migrate"]
    assert {(entry["login"], entry["host"]) for entry in entries} == {(ANN.login, ANN.host)}
    assert [entry["action"] for entry in reversed(entries)] == [
        "pause for 2:00:00",
        "resume",
        "rows retry",
        "rows drop",
        "outbox retry",
        "outbox drop",
    ]
