"""The embed of an event: that of the live service, within every limit of Discord."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devservers.standins.discord_rules import embed_fault
from workers.notification.discord.embed import UnreadablePayload, cut, embed, rebuild

CREATED = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
ENVELOPE = {
    "id": "4f1c",
    "type": "blog.post.scheduled.published",
    "source": "blog-service",
    "timestamp": "2024-02-29T10:30:00.123456789Z",
    "data": {"title": "Käse & Brot", "views": 7},
}


def built(payload: object, color: int = 0x123456) -> dict[str, Any]:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    event = rebuild(text, event_id="row-id", event_type="link.expired", created_at=CREATED)
    return embed(event, color)


def shown(payload: object) -> dict[str, str]:
    """The fields of the embed, by name."""
    return {field["name"]: field["value"] for field in built(payload)["fields"]}


def test_an_envelope_becomes_the_embed_of_the_live_service() -> None:
    assert built(ENVELOPE) == {
        "title": "📢 blog.post.scheduled.published",
        "description": "Event from blog-service",
        "color": 0x123456,
        "timestamp": "2024-02-29T10:30:00.123456+00:00",
        "footer": {"text": "Event ID: 4f1c"},
        "fields": [
            {"name": "title", "value": "Käse & Brot", "inline": True},
            {"name": "views", "value": "7", "inline": True},
        ],
    }


FLAT = {"link_id": "l1", "short_code": "abc", "id": "4f1c", "type": "link.expired"}


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({"title": "Käse & Brot", **ENVELOPE}, {"title": "Käse & Brot", "views": "7"}),
        (FLAT, {"link_id": "l1", "short_code": "abc"}),
        (FLAT | {"data": None}, {"link_id": "l1", "short_code": "abc"}),
        ({"data": [1, 2]}, {"data": "[1,2]"}),
    ],
)
def test_the_fields_are_those_of_data_or_of_a_flat_payload(
    payload: dict[str, object], fields: dict[str, str]
) -> None:
    assert shown(payload) == fields


@pytest.mark.parametrize(
    "created_at", [None, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
def test_an_unknown_time_is_left_out(created_at: datetime | None) -> None:
    def made(payload: str) -> dict[str, Any]:
        return embed(rebuild(payload, event_id="e", event_type="t", created_at=created_at), 1)

    assert "timestamp" not in made("{}")
    assert embed_fault({"embeds": [made("{}")]}) == ""
    made_embed = made('{"timestamp": "2024-02-29T12:00:00Z"}')
    assert made_embed["timestamp"] == "2024-02-29T12:00:00+00:00"


def test_what_the_payload_lacks_comes_from_its_row() -> None:
    made = built({"id": 7, "type": "", "source": None, "timestamp": "yesterday"})
    assert made["title"] == "📢 link.expired"
    assert made["description"] == "Event from link-service"
    assert made["footer"]["text"] == "Event ID: row-id"
    assert made["timestamp"] == CREATED.isoformat()


@pytest.mark.parametrize(
    ("type_", "color"),
    [
        ("blog.post.scheduled.published", 3447003),
        ("twitchbot.stream.ended", 10181046),
        ("link.expired", 3066993),
        ("foodfolio.detail.expired", 5814783),
        ("blogs", 5814783),
    ],
)
@pytest.mark.parametrize("given", [0, -1, 0x1000000])
def test_without_a_color_that_exists_the_event_has_its_own(
    type_: str, color: int, given: int
) -> None:
    assert built({"type": type_}, given)["color"] == color


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, "ü"], "b": None}, '{"a":[1,"ü"],"b":null}'),
        ([], "[]"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (12345678901234567890, "12345678901234567890"),
        ("", "—"),
        (" \n ", "—"),
        ("\ud800", "�"),
    ],
)
def test_a_value_is_shown_as_text_or_compact_json(value: object, text: str) -> None:
    assert shown({"data": {"field": value}}) == {"field": text}


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        ("2024-02-29T12:00:00+02:00", "2024-02-29T10:00:00+00:00"),
        ("2024-02-29T12:00:00", "2024-02-29T12:00:00+00:00"),
        ("0001-01-02T00:00:00Z", "0001-01-02T00:00:00+00:00"),
        # No time: Go's zero time in each of its spellings, the last time, and what is no text.
        *(
            (none, CREATED.isoformat())
            for none in (
                "0001-01-01T00:00:00Z",
                "0001-01-01T00:00:00",
                "0001-01-01T00:00:00.000000000+00:00",
                "0001-01-01T00:53:28+00:53:28",
                "0001-01-01T02:00:00+02:00",
                "0001-01-01T00:00:00+14:00",
                "0001-01-01T00:00:00-05:00",
                "0000-12-31T19:00:00-05:00",
                "0001-01-01 00:00:00 +0000 UTC",
                "9999-12-31T23:59:59.999999Z",
                1709200000,
            )
        ),
    ],
)
def test_a_timestamp_is_shown_in_utc_or_taken_from_the_row(timestamp: object, shown: str) -> None:
    assert built({"timestamp": timestamp})["timestamp"] == shown


def test_the_footer_counts_what_is_left_out_or_shortened() -> None:
    made = built({"data": {f"field{number}": "x" for number in range(40)}})
    assert [field["name"] for field in made["fields"]] == [f"field{n}" for n in range(25)]
    assert made["footer"]["text"] == "Event ID: row-id · 15 of 40 fields left out"

    made = built({"data": {"long": "x" * 1025, "fits": "y" * 1024}})
    assert [field["value"] for field in made["fields"]] == ["x" * 1023 + "…", "y" * 1024]
    assert made["footer"]["text"] == "Event ID: row-id · 1 shortened"


def test_the_whole_stays_within_6000_characters() -> None:
    made = built({"data": {f"field{number}": "x" * 1000 for number in range(10)}})
    texts = [made["title"], made["description"], made["footer"]["text"]]
    texts += [text for field in made["fields"] for text in (field["name"], field["value"])]
    assert 5_900 < sum(map(len, texts)) <= 6_000
    assert made["footer"]["text"] == "Event ID: row-id · 4 of 10 fields left out · 1 shortened"


def test_every_part_is_cut_to_its_own_limit() -> None:
    long = "y" * 9000
    made = built({"type": long, "source": long, "id": long, "data": {long: "value"}})
    assert len(made["title"]) == 256
    assert len(made["description"]) == 6000 - 256 - (2048 - 60) - 60
    assert made["footer"]["text"].endswith("y… · 1 of 1 fields left out")
    assert embed_fault({"embeds": [made]}) == ""


@pytest.mark.parametrize(
    ("text", "cut_to"),
    [
        ("abcdef", "abc…"),
        ("abc", "abc"),
        ("ab" + "e\u0301" + "xyz", "ab…"),  # a letter and its accent
        ("ab" + "👨\u200d👩\u200d👧" + "xyz", "ab…"),
        ("ab" + "👍🏽" + "xyz", "ab…"),
        ("ab" + "🇫🇷" + "xyz", "ab…"),
        ("a" + "🇫🇷" + "xyz", "a🇫🇷…"),
        ("🇩🇪🇫🇷" + "xyz", "🇩🇪…"),
    ],
)
def test_a_cut_is_never_inside_a_character(text: str, cut_to: str) -> None:
    assert cut(text, 4) == cut_to


def test_one_very_long_character_is_cut_too() -> None:
    assert len(cut("a" + "\u0301" * 5000, 1024)) in range(980, 1025)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "no JSON",
        '{"data": ',
        "null",
        "[1]",
        '"text"',
        '{"data": NaN}',
        "[" * 100_000,
        '{"data": ' + "[" * 100_000,
        '{"n": ' + "9" * 5000 + "}",
    ],
)
def test_a_payload_that_is_no_json_object_is_refused_with_a_reason(payload: str) -> None:
    with pytest.raises(UnreadablePayload, match="event_payload") as refusal:
        built(payload)
    assert len(str(refusal.value)) <= 200


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
_long = st.builds(
    lambda text, times: text * times, st.text(min_size=1, max_size=4), st.integers(0, 3000)
)
_objects = st.dictionaries(st.text(max_size=5) | _long, _values | _long, max_size=40)


@settings(max_examples=150)
@given(
    parts=st.fixed_dictionaries(
        {}, optional={"id": _long, "type": _long, "source": _long, "timestamp": _long | _values}
    ),
    fields=_objects,
    flat=st.booleans(),
    color=st.integers(),
)
def test_discord_accepts_the_embed_of_any_payload(
    parts: dict[str, Any], fields: dict[str, Any], flat: bool, color: int
) -> None:
    payload = {**fields, **parts} if flat else {**parts, "data": fields}
    made = built(json.dumps(payload, allow_nan=True).replace("Infinity", "1e999"), color)
    assert embed_fault(json.loads(json.dumps({"embeds": [made]}))) == ""
