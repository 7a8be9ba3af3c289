"""link-expiration: the content of its message."""

from testing.database import TestDatabase
from testing.passes import DAY, NOW, announcement, outbox, run_pass
from testing.scheduler_cases.link import link
from workers.link import link_expiration


def test_the_message_names_the_link_by_its_id_and_its_code(database: TestDatabase) -> None:
    row = link(short_code="brot", custom_alias="bread", expires_at=NOW - DAY).insert(database)

    run_pass(database, link_expiration.SCHEDULER)

    [event] = outbox(database)
    fields = {
        "link_id": str(row["id"]),
        "short_code": "brot",
        "expires_at": "2024-02-28T12:00:00.500000Z",
    }
    assert event == announcement(event, "link", "link.expired", row["id"], fields)
