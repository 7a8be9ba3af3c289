"""The Battle.net client: tokens, budget, patience, addresses, settings, and no secret anywhere."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from common import config
from common.logging import redaction
from common.remote.http.client import Client
from common.remote.rate_limit import SlidingWindow
from devservers.network.forward_proxy import ForwardProxy
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.battle_net_game import Guild
from testing.warcraft_worker import CLIENT_ID, CLIENT_SECRET, SILVERMOON, WarcraftWorker
from workers.warcraft.battle_net import addresses, api_request, tokens
from workers.warcraft.battle_net.client import MOST_TRIES, OAUTH_URL, REMOTE
from workers.warcraft.battle_net.errors import StopRequested, Unavailable
from workers.warcraft.battle_net.rate_limit import MOST_IN_FLIGHT, RequestBudget
from workers.warcraft.battle_net.tokens import Credentials, Tokens
from workers.warcraft.sync import MOST_UNAVAILABLE

CHARACTERS, GUILDS = "character-sync", "guild-sync"
BASIC = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the client's own delays; those that a reply asks for stay as they are."""
    monkeypatch.setattr("workers.warcraft.battle_net.client.MOST_DELAY", 0.1)


# --- the token --------------------------------------------------------------------------------


def test_one_token_serves_both_schedulers_and_every_pass(worker: WarcraftWorker) -> None:
    worker.track_many(10)
    worker.track(Guild("Wardens", SILVERMOON))
    assert worker.run(CHARACTERS).counts["processed"] == 10
    assert worker.run(GUILDS).counts["processed"] == 1
    (request,) = worker.battle_net.asked("/token")
    assert (request.method, request.body) == ("POST", b"grant_type=client_credentials")
    assert request.headers["authorization"] == f"Basic {BASIC}"
    # From now on neither would get past a log record or the run history.
    assert (
        redaction.redact(f"{worker.battle_net.token} {BASIC}")
        == f"{redaction.MASK} {redaction.MASK}"
    )


def test_a_token_that_is_refused_is_renewed_once(worker: WarcraftWorker) -> None:
    worker.track_many(12)
    worker.run(CHARACTERS)
    worker.make_due()
    worker.battle_net.expire_token()
    run = worker.run(CHARACTERS)
    assert (run.counts["processed"], run.counts["failed"]) == (12, 0)
    statuses = [request.status for request in worker.battle_net.asked("/character/")]
    assert len(worker.battle_net.asked("/token")) == 1  # however many found out at once
    assert 1 <= statuses.count(401) <= MOST_IN_FLIGHT
    assert statuses.count(200) == 48


def test_a_new_token_that_is_refused_too_fails_the_pass(worker: WarcraftWorker) -> None:
    worker.track_many(1)
    worker.battle_net.order("/character/", status=401)
    run = worker.run(CHARACTERS)
    assert "profile: HTTP 401, with a new token, too" in run.error
    assert len(worker.battle_net.asked("/character/")) == 2
    assert len(worker.battle_net.asked("/token")) == 2


def test_a_token_is_not_used_in_its_last_five_minutes(battle_net: BattleNetServer) -> None:
    now = 1_000.0
    store = Tokens(clock=lambda: now)
    credentials = Credentials(f"{battle_net.url}/token", CLIENT_ID, CLIENT_SECRET)
    http = Client()

    def asked() -> int:
        store.get(http, credentials)
        return len(battle_net.asked("/token"))

    battle_net.token_seconds = 3_600
    assert (asked(), asked()) == (1, 1)
    now += 3_299.9
    assert asked() == 1
    now += 0.1
    # What is handed out near its end is used for a moment: not asked for every time.
    battle_net.token_seconds = 60
    assert (asked(), asked()) == (2, 2)
    now += 10.0
    assert asked() == 3


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"expires_in": 86399.0}, 86_399),
        ({"expires_in": "86399"}, 86_399),
        *(
            ({"expires_in": odd} if odd != "missing" else {}, tokens.DEFAULT_SECONDS)
            for odd in ("missing", None, "soon", -1, 7.5, True, [86_399], 10**30)
        ),
    ],
)
def test_a_token_is_used_whatever_its_reply_says_of_its_life(
    battle_net: BattleNetServer, told: dict[str, object], seconds: int
) -> None:
    now = 1_000.0
    store = Tokens(clock=lambda: now)
    body = json.dumps({"access_token": "some-token", **told}).encode()
    battle_net.order("/token", body=body)
    for moment, asked in ((0.0, 1), (seconds - 301.0, 1), (seconds - 300.0, 2)):
        now = 1_000.0 + moment
        credentials = Credentials(f"{battle_net.url}/token", CLIENT_ID, CLIENT_SECRET)
        assert store.get(Client(), credentials) == "some-token"
        assert len(battle_net.asked("/token")) == asked


def test_refused_credentials_fail_the_pass_with_that_reason(worker: WarcraftWorker) -> None:
    worker.battle_net.credentials = ("somebody", "else")
    worker.track_many(MOST_UNAVAILABLE + 8)
    run = worker.run(CHARACTERS)
    assert run.result == "failed"
    assert "are BLIZZARD_CLIENT_ID and BLIZZARD_CLIENT_SECRET those of a client" in run.error
    assert worker.battle_net.asked("/character/") == []


# --- the request ------------------------------------------------------------------------------


def test_every_request_is_as_battle_net_wants_it(worker: WarcraftWorker) -> None:
    worker.track_many(20)
    worker.battle_net.latency = 0.01
    worker.run(CHARACTERS)
    requests = worker.battle_net.asked("/profile/")
    assert len(requests) == 80
    for request in requests:
        assert request.query == {"namespace": "profile-eu", "locale": "en_US"}
        assert request.headers["authorization"] == f"Bearer {worker.battle_net.token}"
        assert request.headers["accept-encoding"] == "gzip"
        assert request.headers["user-agent"].startswith("toast-workers/")
        assert worker.battle_net.token not in request.target
    # Connections are used again, and no more than so many requests are under way.
    assert 2 <= worker.battle_net.connections <= MOST_IN_FLIGHT
    assert 2 <= worker.battle_net.most_in_flight <= MOST_IN_FLIGHT


@pytest.mark.parametrize(
    ("region", "api", "token"),
    [
        ("us", "https://us.api.blizzard.com", "https://oauth.battle.net/token"),
        ("eu", "https://eu.api.blizzard.com", "https://oauth.battle.net/token"),
        ("kr", "https://kr.api.blizzard.com", "https://oauth.battle.net/token"),
        ("tw", "https://tw.api.blizzard.com", "https://oauth.battle.net/token"),
        ("cn", "https://gateway.battlenet.com.cn", "https://oauth.battlenet.com.cn/token"),
    ],
)
def test_each_region_has_its_hosts(region: str, api: str, token: str) -> None:
    assert (addresses.api_url(region), addresses.token_url(region)) == (api, token)


def test_a_host_can_be_replaced() -> None:
    assert addresses.api_url("cn", "http://127.0.0.1:8080/proxy") == "http://127.0.0.1:8080/proxy"
    for override in ("http://127.0.0.1:8080", "http://127.0.0.1:8080/token"):
        assert addresses.token_url("cn", override) == "http://127.0.0.1:8080/token"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Aggra (Português)", "aggra-português"),
        ("aggra-português", "aggra-português"),
        ("Pozzo dell'Eternità", "pozzo-delleternità"),
        ("Pozzo dell\N{RIGHT SINGLE QUOTATION MARK}Eternità", "pozzo-delleternità"),
        ("Marécage de Zangar", "marécage-de-zangar"),
        ("Azjol-Nerub", "azjol-nerub"),
        ("Area 52", "area-52"),
        ("Mal'Ganis", "malganis"),
        ("Die Aldor", "die-aldor"),
        ("Ревущий фьорд", "ревущий-фьорд"),
        ("A\u0308giel", "ägiel"),
    ],
)
def test_slugs_keep_accents_and_lose_other_signs(name: str, slug: str) -> None:
    assert addresses.slug(name) == slug


def test_a_name_that_makes_no_address_is_not_asked_for(worker: WarcraftWorker) -> None:
    for name in ("", "  ", "..", "/", "?"):
        worker.database.insert("characters", name=name, realm="silvermoon", region="eu")
    worker.database.insert("characters", name="nobody", realm="...", region="eu")
    assert worker.run(CHARACTERS).counts["failed"] == 6
    reasons = worker.failures().values()
    assert "Unaddressable: name is '..', which makes no address" in reasons
    assert "Unaddressable: realm is '...', which makes no address" not in reasons
    assert worker.battle_net.requests == []


def test_a_name_cannot_lead_elsewhere(worker: WarcraftWorker) -> None:
    name = "../x/../../y?namespace=z#"
    worker.database.insert("characters", name=name, realm="silvermoon/../a", region="eu")
    worker.run(CHARACTERS)
    (request,) = worker.battle_net.asked("/profile/")
    assert request.target.startswith("/profile/wow/character/silvermoona/..%2Fx%2F..%2F..%2Fy%3F")


# --- the budget -------------------------------------------------------------------------------


class Time:
    """A clock that goes on only while a caller waits."""

    def __init__(self) -> None:
        self.now = 5_000.0

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


def sent(budget: RequestBudget, time: Time, count: int) -> list[float]:
    moments = []
    for _ in range(count):
        with budget.request(time.wait):
            moments.append(time.now)
    return moments


def test_no_second_sees_more_than_its_quota_and_nothing_is_given_away() -> None:
    time = Time()
    budget = RequestBudget([SlidingWindow(100, 1.0)], clock=lambda: time.now)
    moments = sent(budget, time, 1_000)
    assert all(late - early >= 1.0 for early, late in zip(moments, moments[100:], strict=False))
    assert moments[-1] - moments[0] == pytest.approx(9.0)
    time.now += 60.0
    assert sent(budget, time, 101)[-1] - time.now == pytest.approx(0.0)


def test_no_hour_sees_more_than_its_quota() -> None:
    time = Time()
    buckets = [SlidingWindow(100, 1.0), SlidingWindow(36_000, 3_600.0)]
    moments = sent(RequestBudget(buckets, clock=lambda: time.now), time, 72_001)
    assert moments[35_999] - moments[0] < 360.0
    assert moments[36_000] - moments[0] == pytest.approx(3_600.0)
    assert moments[72_000] - moments[0] == pytest.approx(7_200.0)


def test_a_pause_holds_every_thread_and_a_stop_ends_the_wait() -> None:
    time = Time()
    budget = RequestBudget([SlidingWindow(100, 1.0)], clock=lambda: time.now)
    (first,) = sent(budget, time, 1)
    budget.pause(30.0)
    budget.pause(10.0)  # a shorter one takes nothing back
    assert sent(budget, time, 2) == [first + 30.0] * 2
    budget.pause(30.0)
    with pytest.raises(StopRequested), budget.request(lambda seconds: True):
        pytest.fail("sent all the same")


def test_the_quota_of_a_second_is_kept_by_both_schedulers_together(worker: WarcraftWorker) -> None:
    worker.track_many(24)
    worker.track(*(Guild(f"Guild {letter}", SILVERMOON) for letter in "abcdefghijkl"))
    worker.run_at_once(CHARACTERS, GUILDS)
    requests = worker.battle_net.asked("/wow/")
    assert len(requests) == 24 * 4 + 12 * 2 + 2
    assert {request.status for request in requests} == {200}
    assert worker.battle_net.most_in_flight <= MOST_IN_FLIGHT


# --- patience ---------------------------------------------------------------------------------


def test_after_a_429_no_request_is_sent_before_the_time_it_names(worker: WarcraftWorker) -> None:
    worker.track_many(16)
    worker.battle_net.order("/namea", times=1, status=429, headers={"Retry-After": "1"})
    run = worker.run(CHARACTERS)
    assert (run.counts["processed"], run.counts["failed"]) == (16, 0)
    requests = worker.battle_net.asked("/character/")
    (refused,) = [request for request in requests if request.status == 429]
    # What left before the refusal was read, half a second at the very most, does not count.
    early = [request for request in requests if 0.5 < request.at - refused.at < 0.99]
    assert early == []
    assert sum(request.status == 200 for request in requests) == 64


def test_a_passing_failure_is_retried(worker: WarcraftWorker) -> None:
    worker.track_many(5)
    troubles: dict[str, dict[str, object]] = {
        "/namea/statistics": {"status": 429},
        "/nameb/equipment": {"status": 500},
        "/namec/character-media": {"status": 503, "headers": {"Retry-After": "0"}},
        "/named/statistics": {"cut": True},
    }
    for path, trouble in troubles.items():
        worker.battle_net.order(path, times=1, **trouble)
    run = worker.run(CHARACTERS)
    assert (run.counts["processed"], run.counts["failed"]) == (5, 0)
    for path in troubles:
        assert len(worker.battle_net.asked(path)) == 2


def test_a_failed_request_for_a_token_is_retried(worker: WarcraftWorker) -> None:
    worker.track_many(1)
    worker.battle_net.order("/token", times=1, status=503, headers={"Retry-After": "0"})
    worker.battle_net.order("/token", times=1, body=b'{"access_token": 1}')
    assert worker.run(CHARACTERS).counts["processed"] == 1
    assert len(worker.battle_net.asked("/token")) == 3


def test_retry_after_may_be_a_date_or_nonsense(battle_net: BattleNetServer) -> None:
    def parsed(header: str) -> float | None:
        headers = {"Retry-After": header}
        battle_net.order(f"/{len(battle_net.requests)}", status=429, headers=headers)
        url = f"{battle_net.url}/{len(battle_net.requests)}"
        with pytest.raises(Unavailable) as unavailable:
            api_request.request("battle_net", Client(), "GET", url, "Bearer x", name="reply")
        return unavailable.value.retry_after

    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    assert parsed(in_a_minute) == pytest.approx(60, abs=30)
    assert (parsed("7"), parsed("-1"), parsed("soon"), parsed("")) == (7.0, None, None, None)
    assert parsed("99999999999") == api_request.MOST_RETRY_AFTER
    assert parsed("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_a_character_that_always_fails_does_not_affect_the_others(
    worker: WarcraftWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_request, "REPLY_SECONDS", 0.5)
    worker.track_many(10)
    worker.battle_net.order("/namea/", status=500)
    worker.battle_net.order("/nameb/equipment", drip=0.2)
    run = worker.run(CHARACTERS)
    assert (run.result, run.counts["processed"], run.counts["failed"]) == ("ok", 8, 2)
    assert len(worker.battle_net.asked("/namea/equipment")) == MOST_TRIES
    rows = worker.database.query(
        "SELECT c.name, f.* FROM toast_failed_rows f JOIN characters c ON c.id = row_id"
        " ORDER BY c.name"
    )
    assert [row["name"] for row in rows] == ["namea", "nameb"]
    assert rows[0]["reason"] == "Unavailable: equipment: HTTP 500, 4 times"
    assert re.fullmatch(r"Unavailable: equipment: .*cut off, 4 times", rows[1]["reason"])
    assert {row["grace"] for row in rows} == {timedelta(0)}
    assert rows[0]["retry_at"] - rows[0]["failed_at"] == timedelta(minutes=5)


def test_an_outage_fails_the_pass_soon_and_the_next_one_goes_on(worker: WarcraftWorker) -> None:
    worker.track_many(26)
    outage = worker.battle_net.order("/character/", status=502)
    run = worker.run(CHARACTERS)
    assert run.result == "failed"
    assert "Battle.net does not answer: profile: HTTP 502, 4 times (0 synced, 10 not" in run.error
    assert worker.database.count("toast_failed_rows") == MOST_UNAVAILABLE
    outage.times = 0
    assert worker.run(CHARACTERS).counts["processed"] == 26 - MOST_UNAVAILABLE
    worker.database.query("UPDATE toast_failed_rows SET retry_at = now()")
    assert worker.run(CHARACTERS).counts["processed"] == MOST_UNAVAILABLE
    assert worker.database.count("toast_failed_rows") == 0


@pytest.mark.usefixtures("uncaught")
def test_an_error_in_our_code_fails_the_pass_instead_of_hanging_it(
    worker: WarcraftWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.track_many(3)
    monkeypatch.setattr("workers.warcraft.character_replies.read_profile", lambda reply: 1 / 0)
    run = worker.run(CHARACTERS)
    assert (run.result, worker.database.count("character_details")) == ("failed", 0)
    assert "an error of our own, whose traceback is in the log" in run.error


def test_an_unreachable_battle_net_fails_the_pass(worker: WarcraftWorker) -> None:
    worker.track_many(MOST_UNAVAILABLE)
    nowhere = "http://127.0.0.1:9"
    run = worker.run(CHARACTERS, BLIZZARD_API_URL=nowhere, BLIZZARD_OAUTH_URL=nowhere)
    assert run.result == "failed"
    assert "Connection refused" in run.error


# --- settings ---------------------------------------------------------------------------------


def test_a_proxy_is_the_way_to_the_tokens_and_the_api(worker: WarcraftWorker) -> None:
    worker.track_many(1)
    api = dict.fromkeys(("BLIZZARD_API_URL", "BLIZZARD_OAUTH_URL"), "http://battle.example")
    with ForwardProxy({"battle.example": worker.battle_net.port}) as proxy:
        way = {"OUTBOUND_PROXY": f"http://127.0.0.1:{proxy.port}"}
        assert worker.run(CHARACTERS, **api, **way).counts["processed"] == 1
        # What readiness and `toast check` connect to, besides their request.
        settings = worker.load(**api, **way)
        assert REMOTE.address(settings) == f"127.0.0.1:{proxy.port}"
        assert REMOTE.check(settings) == "a token from http://battle.example/token"
    assert len(proxy.asked) == len(worker.battle_net.requests)


def test_credentials_are_needed_while_a_sync_is_enabled(worker: WarcraftWorker) -> None:
    process = worker.start(
        "run",
        "warcraft",
        BLIZZARD_CLIENT_ID="",
        BLIZZARD_CLIENT_SECRET="",
        GUILD_SYNC_ENABLED="false",
        BLIZZARD_REGION="mars",
        BLIZZARD_API_URL="ftp://x",
        GUILD_SYNC_INTERVAL="never",
    )
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 78
    text = "text without control characters"
    needed = f"{text} while CHARACTER_SYNC_ENABLED is true"
    lines = errors.splitlines()
    assert len(lines) == 5
    assert f"BLIZZARD_CLIENT_ID is not set; expected {needed}" in lines
    assert f"BLIZZARD_CLIENT_SECRET is not set; expected {needed}" in lines
    for name in ("BLIZZARD_REGION", "BLIZZARD_API_URL", "GUILD_SYNC_INTERVAL"):
        assert sum(line.startswith(f"{name} in the environment is") for line in lines) == 1


def test_credentials_are_not_needed_while_both_syncs_are_disabled(worker: WarcraftWorker) -> None:
    switches = {"CHARACTER_SYNC_ENABLED": "false", "GUILD_SYNC_ENABLED": "false"}
    worker.track_many(1)
    run = worker.run(CHARACTERS, BLIZZARD_CLIENT_ID="", **switches)  # asked for all the same
    assert (run.result, worker.battle_net.requests) == ("failed", [])
    assert "BLIZZARD_CLIENT_ID is not set" in run.error


@pytest.mark.parametrize(
    "value", ["ftp://host", "host:80", "http://", "http://u:p@h", "http://h/?q", "http://a b"]
)
def test_an_override_must_be_an_address(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("BLIZZARD_OAUTH_URL", value)
    with pytest.raises(config.SettingsError, match="BLIZZARD_OAUTH_URL in the environment is"):
        config.load("warcraft", [OAUTH_URL], common=())


def test_the_list_works_without_credentials_and_hides_them(worker: WarcraftWorker) -> None:
    for credentials in ({"BLIZZARD_CLIENT_ID": "", "BLIZZARD_CLIENT_SECRET": ""}, {}):
        process = worker.start("list", **credentials)
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
        assert re.search(r"warcraft +character-sync +6h +yes", output)
        assert re.search(r"warcraft +guild-sync +12h +yes", output)
        assert re.search(r"BLIZZARD_REGION +us +default", output)
        assert CLIENT_ID not in output
        assert CLIENT_SECRET not in output


# --- secrets ----------------------------------------------------------------------------------


def test_no_secret_shows_up_anywhere(worker: WarcraftWorker, mock_broker: str) -> None:
    token = worker.battle_net.token
    secrets = (CLIENT_ID, CLIENT_SECRET, BASIC, token)
    worker.track_many(4)
    worker.track(Guild("Wardens", SILVERMOON))
    # An error page that quotes what it was sent, and a reply that holds it where text belongs.
    page = " ".join(secrets).encode()
    worker.battle_net.order("/namea", status=418, body=page)
    worker.battle_net.order("/nameb", body=b'{"level": "' + page + b'"}')
    worker.battle_net.order("/namec/", status=401, times=2, body=page)
    worker.battle_net.order("/token", times=1, status=500, body=page)
    output = ""
    for _ in range(2):
        process = worker.start(
            "once", "warcraft", LOG_LEVEL="debug", LOG_FORMAT="json", KAFKA_BROKERS=mock_broker
        )
        output += "".join(process.communicate(timeout=60))
        worker.battle_net.credentials = ("refused", "now")
        worker.database.query("UPDATE toast_failed_rows SET retry_at = now()")
    assert "sync_failed" in output
    assert "are BLIZZARD_CLIENT_ID and BLIZZARD_CLIENT_SECRET those" in output
    tables = worker.database.query(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
    )
    rows = [
        str(row)
        for table in tables
        for row in worker.database.query(f"SELECT t.*::text AS row FROM {table['name']} AS t")
    ]
    assert len(rows) > 10
    for secret in secrets:
        assert secret not in output
        assert not [row for row in rows if secret in row]
