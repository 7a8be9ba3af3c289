"""post-publisher: the content of its message."""

from datetime import timedelta, timezone

from testing.database import TestDatabase
from testing.passes import DAY, NOW, NOW_TEXT, announcement, outbox, run_pass
from testing.scheduler_cases.blog import post
from workers.blog import post_publisher

INDIA = timezone(timedelta(hours=5, minutes=30))


def test_the_message_has_the_due_time_and_the_publication_time_of_the_post(
    database: TestDatabase,
) -> None:
    title = 'Käse & "Brot" \\ <b>\N{BREAD}</b>\n'
    due_at = (NOW - DAY).astimezone(INDIA)
    row = post(title=title, slug="kaese", published_at=due_at).insert(database)

    run_pass(database, post_publisher.SCHEDULER)

    [event] = outbox(database)
    fields = {
        "post_id": str(row["id"]),
        "title": title,
        "slug": "kaese",
        "scheduled_at": "2024-02-28T12:00:00.500000Z",
        "published_at": NOW_TEXT,
    }
    topic = "blog.post.scheduled.published"
    assert event == announcement(event, "blog", topic, row["id"], fields)


def test_each_post_has_an_event_of_its_own(database: TestDatabase) -> None:
    slugs = {str(post(slug=slug).insert(database)["id"]): slug for slug in ("rye", "oat", "teff")}

    run_pass(database, post_publisher.SCHEDULER)

    events = outbox(database)
    assert {event["key"]: event["payload"]["slug"] for event in events} == slugs
    assert len({event["event_id"] for event in events}) == 3
