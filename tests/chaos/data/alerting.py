"""Alerts fire on change only: stock and expiry dates flap, processes start again and again."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from testing.arena import Arena
from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from testing.scheduler_cases.foodfolio import stored, variant
from testing.topics import Topic
from tests.chaos.campaign import Campaign, Figures, Limit, Round

EXPIRED, SOON = "foodfolio.detail.expired", "foodfolio.detail.expiring.soon"
EMPTY, LOW = "foodfolio.variant.stock.empty", "foodfolio.variant.stock.low"
TOPICS = (EXPIRED, SOON, EMPTY, LOW)

ITEMS_A_VARIANT = 5
MIN_STOCK = 5
EDITED = 0.05
RESTARTS_A_PASS = 5
DAYS = (None, -1, 3, 30)
WARNING = timedelta(days=7)

_EDIT = """
UPDATE foodfolio_item_details AS item
SET deleted_at = CASE WHEN edit.consumed THEN now() END, expiry_date = edit.expiry
FROM unnest(%s::uuid[], %s::bool[], %s::timestamptz[]) AS edit (id, consumed, expiry)
WHERE item.id = edit.id"""


def play(arena: Arena, current: Round) -> Figures:
    """Edit, look, and look again without an edit; then compare all events with the model's."""
    passes = int(current.size(20, 2))
    restarts = int(current.size(RESTARTS_A_PASS, 1))
    with arena.database() as database:
        topics = {name: Topic(arena.kafka.address, name) for name in TOPICS}
        env = environment(database, arena.kafka.address)
        kitchen = Kitchen(database, int(current.size(50_000, 2_000)))
        for _ in range(passes):
            kitchen.edit(current.dice)
            # Two passes at once: an alert that one raises, the other does not.
            with Process("workers.foodfolio", env=env) as worker:
                _once(env)
                worker.wait_for("pass_finished", count=2)
                worker.stop()
            kitchen.look()
            for _ in range(restarts):
                _once(env)
        raised = Counter(
            (name, message.key) for name, topic in topics.items() for message in topic.so_far()
        )
        return {
            "events": kitchen.expected.total(),
            "missing": (kitchen.expected - raised).total(),
            "too many": (raised - kitchen.expected).total(),
        }


def _once(env: dict[str, str]) -> None:
    finished = toast("once", "foodfolio", env=env)
    assert finished.code == 0, finished.err


@dataclass(slots=True)
class Item:
    """One item as the model knows it."""

    variant: str
    consumed: bool = False
    expiry: datetime | None = None


@dataclass(slots=True)
class Kitchen:
    """The rows, and a model of the alerts that they must raise."""

    database: TestDatabase
    size: int
    expected: Counter[tuple[str, str]] = field(default_factory=Counter)
    _items: dict[str, Item] = field(default_factory=dict)
    _known: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shelf = variant(MIN_STOCK, *(stored() for _ in range(ITEMS_A_VARIANT)))
        shelf.insert_many(self.database, self.size // ITEMS_A_VARIANT, "slug")
        rows = self.database.query(
            "SELECT id::text AS id, item_variant_id::text AS variant FROM foodfolio_item_details"
        )
        self._items = {row["id"]: Item(row["variant"]) for row in rows}

    def edit(self, dice: Random) -> None:
        """Consume some items, put some back, and change some dates."""
        chosen = dice.sample(sorted(self._items), int(len(self._items) * EDITED))
        for each in chosen:
            item, days = self._items[each], dice.choice(DAYS)
            item.consumed = dice.random() < 0.7
            item.expiry = None if days is None else datetime.now(UTC) + timedelta(days=days)
        edited = [self._items[each] for each in chosen]
        consumed, expiry = [item.consumed for item in edited], [item.expiry for item in edited]
        self.database.query(_EDIT, chosen, consumed, expiry)

    def look(self) -> None:
        """Expect the alerts that a pass must raise now."""
        now = datetime.now(UTC)
        left = Counter(item.variant for item in self._items.values() if not item.consumed)
        for variant_id in {item.variant for item in self._items.values()}:
            stock = left[variant_id]
            short = stock < MIN_STOCK
            self._expect(EMPTY if stock == 0 else LOW, variant_id, (stock,) if short else None)
        for item_id, item in self._items.items():
            expired = item.expiry is not None and item.expiry <= now
            due = item.expiry is not None and item.expiry <= now + WARNING and not item.consumed
            facts = (expired, item.expiry) if due else None
            self._expect(EXPIRED if expired else SOON, item_id, facts)

    def _expect(self, topic: str, subject: str, facts: tuple[object, ...] | None) -> None:
        if facts is None:
            self._known.pop(subject, None)
        elif self._known.get(subject) != facts:
            self._known[subject] = facts
            self.expected[topic, subject] += 1


CAMPAIGN = Campaign(
    name="alerts",
    promise="alerts fire on change only",
    faults="50,000 items, 20 passes by two at once, stock and dates flapping, 100 restarts",
    limits=(Limit("events", least=1), Limit("missing", most=0), Limit("too many", most=0)),
    play=play,
)
