"""No secret leaves a process, in any failure: planted ones are searched in all that it wrote.

Each path makes something fail with the real parts - commands and workers as processes,
PostgreSQL, remote sides that repeat what they were sent - and names words that must be in what
is left: hiding everything would be no art.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import grpc
import pytest

from devservers.child_processes import free_port
from devservers.sentry import SentryServer
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.battle_net_game import Character, Realm
from devservers.standins.sse import SseServer, new_client
from devservers.tcp_proxy import TcpProxy
from testing.database import TestDatabase
from testing.passes import NOW
from testing.processes import NO_BROKER
from testing.topics import Topic
from tests.promises.secrets.echo import Echo
from tests.promises.secrets.search import (
    BEARER,
    CLIENT_ID,
    CLIENT_SECRET,
    DB_PASSWORD,
    DISCORD_TOKEN,
    HMAC_SECRET,
    PROBE_SECRET,
    QUERY_TOKEN,
    SECRETS,
    SENTRY_KEY,
    SLACK_KEY,
    TEAMS_KEY,
    leaks,
    rows,
    spelled,
)
from tests.promises.secrets.stage import (
    SHAPES,
    Stage,
    add_delivery,
    add_notification,
    raise_on_update,
)
from workers.webhook.http_delivery.attempt import Attempt, Delivery
from workers.webhook.http_delivery.delivery_client import MOST_BODY_BYTES, ReceiverReply

# SQLSTATEs: of one row's fault, which is set aside; of one that fails the whole pass.
# The SQLSTATE of a plain RAISE, and one that its author has chosen.
PLAIN_CODE, OWN_CODE = "P0001", "55000"

SLACK_PATH = f"/services/T0PLNT7DW/B0PLNT8EX/{SLACK_KEY}"
TEAMS_PATH = f"/webhookb2/0a1b@2c3d/IncomingWebhook/{TEAMS_KEY}/4e5f"
QUERY_PATH = f"/in?v=1&t={QUERY_TOKEN}"

Run = Callable[[Stage], object]


@dataclass(frozen=True, slots=True)
class Failing:
    """A way to fail, and words that must be in what is left of it."""

    run: Run
    words: tuple[str, ...]


PATHS: dict[str, Failing] = {}


def path(name: str, *words: str) -> Callable[[Run], Run]:
    """Put a way to fail into PATHS."""

    def add(run: Run) -> Run:
        PATHS[name] = Failing(run, words)
        return run

    return add


@pytest.fixture
def stage(database: TestDatabase, mock_broker: str) -> Iterator[Stage]:
    settings = {
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "json",
        "BLIZZARD_CLIENT_ID": CLIENT_ID,
        "BLIZZARD_CLIENT_SECRET": CLIENT_SECRET,
        "NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true",
        "WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8",
        "WEBHOOK_DELIVERY_TIMEOUT": "5s",
    }
    stage = Stage(database, mock_broker, settings)
    with stage.exits:
        yield stage


# --- settings ---------------------------------------------------------------------------------


@path("the password in another setting", "DB_PORT", "expected an integer")
def _(stage: Stage) -> None:
    for words in (["outbox"], ["run", "link"], ["once", "link"]):
        stage.toast(*words, DB_PORT=stage.database.server.password)
    for spelling in ("json", "python"):
        stage.toast("migrate", DB_PASSWORD=DB_PASSWORD, LOG_LEVEL=spelled(DB_PASSWORD)[spelling])


@path("a secret in a setting of another kind", "LINK_EXPIRATION_INTERVAL", "expected a Go dur")
def _(stage: Stage) -> None:
    stage.toast("list", LINK_EXPIRATION_INTERVAL=QUERY_TOKEN)
    stage.toast("list", LINK_EXPIRATION_INTERVAL=f"12{SLACK_KEY}")
    stage.toast("once", "link", DB_SSL_MODE=DISCORD_TOKEN, TOAST_MIGRATE=TEAMS_KEY)
    stage.toast("once", "webhook", WEBHOOK_ALLOW_PRIVATE_CIDRS=BEARER, WEBHOOK_MAX_RETRIES=BEARER)


@path("a URL with a password in a setting", "KAFKA_BROKERS", "BLIZZARD_API_URL", "SENTRY_DSN")
def _(stage: Stage) -> None:
    url = f"https://user:{DB_PASSWORD}@kafka:9092"
    stage.toast("once", "link", KAFKA_BROKERS=url, SENTRY_DSN=f"ftp://{SENTRY_KEY}@s/1")
    stage.toast("list", BLIZZARD_API_URL=url, SSE_GRPC_ADDR=url)
    stage.toast("run", "warcraft", BLIZZARD_OAUTH_URL=f"https://{QUERY_TOKEN}@host/")


@path("a settings file that is no settings file", "line 2: expected NAME=value")
def _(stage: Stage) -> None:
    file = Path(os.environ["TOAST_CONFIG_DIR"], "toast.env")
    file.write_text(f"DB_NAME=x\nDB_PASSWORD: {DB_PASSWORD!r}\n=\n{QUERY_TOKEN}\n")
    stage.toast("migrate")


@path("a settings file that other programs read differently", "a colon", "is set in lines 1, 2, 3")
def _(stage: Stage) -> None:
    file = Path(os.environ["TOAST_CONFIG_DIR"], "toast.env")
    file.write_text(
        f"DB_PASSWORD:{DB_PASSWORD}=\nDB_PASSWORD={DB_PASSWORD} #{QUERY_TOKEN}\n"
        f"DB_PASSWORD='{QUERY_TOKEN}\\''\n"
    )
    for words in (["list"], ["outbox"], ["check", "link"]):
        stage.toast(*words)


@path("a secret on the command line", "unrecognized arguments", "unknown service")
def _(stage: Stage) -> None:
    stage.toast("once", "link", f"--dsn=postgres://toast:{DB_PASSWORD}@db")
    stage.toast("outbox", "drop", f"postgres://toast:{DB_PASSWORD}@db")
    stage.toast("run", f"https://discord.com/api/webhooks/1/{DISCORD_TOKEN}")


# --- PostgreSQL -------------------------------------------------------------------------------


@path("PostgreSQL refuses the password", "password authentication failed", "503 PostgreSQL")
def _(stage: Stage) -> None:
    dry_run = ["once", "link", "--dry-run", "--json"]
    for words in (["migrate"], ["outbox"], dry_run, ["status", "--json"]):
        stage.toast(*words, DB_PASSWORD=DB_PASSWORD)
    stage.worker("pass_failed", DB_PASSWORD=DB_PASSWORD)


@path("PostgreSQL is away", "Connection refused", "503 PostgreSQL")
def _(stage: Stage) -> None:
    stage.worker("pass_failed", DB_PORT=str(free_port()), LOG_FORMAT="text")


@path("a connection string in place of a name", "OperationalError", "expected host names")
def _(stage: Stage) -> None:
    url = f"postgres://toast:{QUERY_TOKEN}@db.example/toast"
    stage.toast("once", "link", DB_HOST=url)
    stage.toast("once", "link", DB_HOST=f"host=db password='{QUERY_TOKEN}'")
    stage.once("link", "link-expiration", DB_NAME=url, DB_USER=url)


@path("PostgreSQL dies in a pass", "pass_failed", "OperationalError")
def _(stage: Stage) -> None:
    with TcpProxy(stage.database.server.port) as proxy:
        proxy.cut_at(b"link_links")
        stage.once("link", "link-expiration", DB_PORT=str(proxy.port))


@path("tables that may not be created", "run `toast migrate` once", "permission denied")
def _(stage: Stage) -> None:
    role = f"CREATE ROLE weak LOGIN PASSWORD '{QUERY_TOKEN}'"
    stage.database.query(role)
    try:
        stage.database.query("DROP TABLE toast_migrations")
        stage.worker("pass_failed", DB_USER="weak", DB_PASSWORD=QUERY_TOKEN)
    finally:
        stage.database.query("DROP ROLE weak")


def _trigger_of_a_channel(stage: Stage, code: str) -> None:
    echo = stage.enter(Echo(400))
    add_notification(stage.database, f"{echo.url}/api/webhooks/1/{DISCORD_TOKEN}?x={QUERY_TOKEN}")
    # Bare, as its shape would give it away.
    quoted = "split_part(NEW.webhook_url, '/', 7) || ' ' || NEW.webhook_url"
    raise_on_update(stage.database, "notification_channels", quoted, code=code)
    stage.once("notification", "notification-retry")


def _trigger_of_a_webhook(stage: Stage, code: str) -> None:
    echo = stage.enter(Echo(200))
    add_delivery(stage.database, f"{echo.url}{QUERY_PATH}")
    quoted = "NEW.secret || ' ' || NEW.url || to_json(NEW.secret)"
    raise_on_update(stage.database, "webhook_webhooks", quoted, code=code)
    stage.once("webhook", "webhook-delivery")


for _under, _code in {"": PLAIN_CODE, " under its own code": OWN_CODE}.items():
    path(f"a trigger quotes a channel's URL{_under}", "notification_set_aside", "refused: ")(
        partial(_trigger_of_a_channel, code=_code)
    )
    path(f"a trigger quotes a webhook{_under}", "row_failed", "refused: ")(
        partial(_trigger_of_a_webhook, code=_code)
    )


@path("a row that breaks a constraint", "CheckViolation", "positive_total")
def _(stage: Stage) -> None:
    echo = stage.enter(Echo(200))
    add_notification(stage.database, f"{echo.url}/api/webhooks/1/{DISCORD_TOKEN}")
    add_delivery(stage.database, f"{echo.url}{SLACK_PATH}")
    for table, column in (
        ("notification_channels", "total_notifications"),
        ("webhook_webhooks", "total_deliveries"),
    ):
        stage.database.query(
            f"ALTER TABLE {table} ADD CONSTRAINT positive_total CHECK ({column}=0)"
        )
    stage.once("notification", "notification-retry")
    stage.once("webhook", "webhook-delivery")


@path("two rows that may not be alike", "UniqueViolation")
def _(stage: Stage) -> None:
    echo = stage.enter(Echo(200))
    other = f"{echo.url}{SLACK_PATH}"
    add_delivery(stage.database, other, status="pending")
    add_delivery(stage.database, f"{echo.url}{QUERY_PATH}")
    stage.database.query(
        f"""
        CREATE FUNCTION liken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.url := '{other}'; RETURN NEW;
        END $$"""
    )
    stage.database.query(
        "CREATE TRIGGER liken BEFORE UPDATE ON webhook_webhooks"
        " FOR EACH ROW EXECUTE FUNCTION liken()"
    )
    stage.once("webhook", "webhook-delivery")


def _details(stage: Stage, table: str, code: str, each: str = "ROW") -> None:
    """What names no secret in its message may do so in all that comes with it."""
    stage.database.query(
        f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE kept text := (SELECT string_agg(url || ' ' || secret, ' ') FROM webhook_webhooks);
        BEGIN
            kept := concat(kept, ' ', (SELECT string_agg(webhook_url, ' ') FROM
                                       notification_channels));
            RAISE EXCEPTION 'not today' USING ERRCODE = '{code}', DETAIL = kept, HINT = kept;
        END $$"""
    )
    stage.database.query(
        f"CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON {table}"
        f" FOR EACH {each} EXECUTE FUNCTION refuse()"
    )


@path("details of a row that fails", "row_set_aside", "not today")
def _(stage: Stage) -> None:
    add_delivery(stage.database, f"https://r.example{QUERY_PATH}", status="failed")
    _details(stage, "webhook_deliveries", PLAIN_CODE)
    stage.once("webhook", "webhook-retry")
    stage.once("webhook", "webhook-cleanup")


@path("details of a statement that fails", "pass_failed", "not today")
def _(stage: Stage) -> None:
    add_delivery(stage.database, f"https://r.example{QUERY_PATH}", status="failed")
    _details(stage, "webhook_deliveries", OWN_CODE, each="STATEMENT")
    stage.once("webhook", "webhook-retry")
    stage.worker("pass_failed", "workers.webhook")


@path("details of a reason that cannot be recorded", "reason_record_failed", "not today")
def _(stage: Stage) -> None:
    add_notification(stage.database, f"https://r.example{QUERY_PATH}")
    _details(stage, "notification_notifications", PLAIN_CODE)
    stage.once("notification", "notification-retry")


@path("an error at the end of a transaction", "sync_failed", "not today")
def _(stage: Stage) -> None:
    add_delivery(stage.database, f"https://r.example{QUERY_PATH}")
    _details(stage, "toast_alerts", PLAIN_CODE)
    stage.database.query("DROP TRIGGER refuse ON toast_alerts")
    stage.database.query(
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON character_details"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    _sync(stage, stage.enter(BattleNetServer()))


@path("last errors of the live services", '"due": 1')
def _(stage: Stage) -> None:
    add_delivery(
        stage.database,
        "https://r.example/",
        status="failed",
        last_error=f'Post "https://discord.com/api/webhooks/1/{DISCORD_TOKEN}": EOF; {SHAPES}',
    )
    for words in (["--json"], []):
        stage.toast("once", "webhook", "webhook-retry", "--dry-run", *words)
    stage.database.query("UPDATE webhook_deliveries SET last_error = ''")


# --- Discord ----------------------------------------------------------------------------------


def _discord(*urls: str) -> Run:
    def run(stage: Stage) -> None:
        for url in urls:
            add_notification(stage.database, url)
        # As long as a 429 would be waited for.
        stage.once("notification", "notification-retry", NOTIFICATION_RETRY_INTERVAL="1s")

    return run


def _discord_answers(status: int) -> Run:
    def run(stage: Stage) -> None:
        echo = stage.enter(Echo(status, [DISCORD_TOKEN, f"Bearer {BEARER}"]))
        webhook = f"{echo.url}/api/webhooks/1/{DISCORD_TOKEN}"
        _discord(f"{webhook}?thread_id=7&token={QUERY_TOKEN}")(stage)
        assert echo.signatures == []

    return run


for _status in (302, 401, 404, 500):
    path(f"Discord answers {_status} and repeats all", f"HTTP {_status}", "no such thing as")(
        _discord_answers(_status)
    )
path("Discord answers 429 and repeats all", "rate_limited")(_discord_answers(429))
path("Discord answers 200 and repeats all", '"delivered": 1')(_discord_answers(200))
path("Discord is away", "Connection refused")(
    _discord(f"http://127.0.0.1:{free_port()}/api/webhooks/1/{DISCORD_TOKEN}?token={QUERY_TOKEN}")
)
path("a channel's URL is not one", "not https", "not a URL", "not that of a Discord webhook")(
    _discord(
        f"http://discord.com/api/webhooks/1/{DISCORD_TOKEN}",
        f"https://[discord.com/api/webhooks/1/{DISCORD_TOKEN}",
        f"https://hooks.slack.com{SLACK_PATH}",
        f"https://x.webhook.office.com{TEAMS_PATH}",
        f"https://user:{QUERY_TOKEN}@discord.com/api/webhooks/1/{DISCORD_TOKEN}",
        DISCORD_TOKEN,
    )
)


@path("Discord without TLS where it should be", "WRONG_VERSION_NUMBER")
def _(stage: Stage) -> None:
    echo = stage.enter(Echo(200))
    _discord(f"https://127.0.0.1:{echo.port}/api/webhooks/1/{DISCORD_TOKEN}")(stage)


# --- webhook receivers ------------------------------------------------------------------------


def _receiver_answers(status: int, **how: int) -> Run:
    def run(stage: Stage) -> None:
        echo = stage.enter(Echo(status, [HMAC_SECRET, f"Bearer {BEARER}"], **how))
        for target in (SLACK_PATH, TEAMS_PATH, QUERY_PATH, f"/hook?token={QUERY_TOKEN}"):
            add_delivery(stage.database, f"{echo.url}{target}")
        stage.once("webhook", "webhook-delivery")
        assert len(echo.signatures) == 12
        stage.secrets |= {f"signature {n}": made for n, made in enumerate(echo.signatures)}

    return run


for _status in (200, 301, 401, 500):
    path(f"a receiver answers {_status} and repeats all", f'"response_status": {_status}')(
        _receiver_answers(_status)
    )
path("a receiver repeats all where its answer is cut off", '"response_status": 400')(
    _receiver_answers(400, filler=9_900)
)


@path("receivers that cannot be reached", "percent-encoded", "not be resolved", "failed", "a blank")
def _(stage: Stage) -> None:
    echo = stage.enter(Echo(200))
    for url in (
        # One that is reached: else it is an outage, and few are asked.
        f"http://localhost:{echo.port}{SLACK_PATH}",
        f"https://user:{QUERY_TOKEN}@127.0.0.1:{echo.port}{SLACK_PATH}",
        f"https://user:{QUERY_TOKEN}%@127.0.0.1:{echo.port}{SLACK_PATH}",
        f"https://127.0.0.1:{echo.port}{SLACK_PATH}",
        f"http://127.0.0.1:{free_port()}{SLACK_PATH}",
        f"http://no-such-host.invalid{SLACK_PATH}",
        f"http://[no-address]{SLACK_PATH}",
        f"http://a b/{QUERY_TOKEN}",
        QUERY_TOKEN,
    ):
        add_delivery(stage.database, url)
    stage.once("webhook", "webhook-delivery")


# --- Battle.net -------------------------------------------------------------------------------


def _sync(stage: Stage, battle_net: BattleNetServer, *, checked: bool = False) -> None:
    battle_net.credentials = (CLIENT_ID, CLIENT_SECRET)
    battle_net.game.add(Character("Ann", Realm("Silvermoon", "silvermoon")))
    stage.database.insert("characters", name="ann", realm="silvermoon", region="eu")
    stage.secrets["Battle.net token"] = battle_net.token
    urls = {"BLIZZARD_API_URL": battle_net.url, "BLIZZARD_OAUTH_URL": battle_net.url}
    stage.once("warcraft", "character-sync", **urls)
    if checked:
        stage.toast("check", "warcraft", DB_PASSWORD=DB_PASSWORD, **urls)


def _battle_net(at: str, status: int, body: str = "{}") -> Run:
    def run(stage: Stage) -> None:
        battle_net = stage.enter(BattleNetServer())
        quoted = f"{CLIENT_ID} {CLIENT_SECRET} Bearer {battle_net.token} {body}"
        page = body.replace("{}", json.dumps(f"{quoted} {json.dumps(quoted)}"))
        at_once = {"Retry-After": "0"} if status == 500 else {}
        battle_net.order(at, status=status, body=page.encode(), headers=at_once)
        _sync(stage, battle_net, checked=at == "/token" and status == 401)

    return run


for _status in (401, 418, 500):
    path(f"Battle.net's login answers {_status} and repeats all", f"token reply: HTTP {_status}")(
        _battle_net("/token", _status)
    )
    path(f"Battle.net answers {_status} and repeats all", f"HTTP {_status}")(
        _battle_net("/character/", _status)
    )
path("Battle.net's login answers no JSON", "token reply is not JSON")(
    _battle_net("/token", 200, "<{}")
)
path("Battle.net answers no JSON", "is not JSON")(_battle_net("/character/", 200, "{} {}"))
path("Battle.net answers other JSON", "sync_failed", "is missing")(
    _battle_net("/character/", 200, '{"name": "Ann", "realm": {}, "level": {}}')
)


# --- the SSE service --------------------------------------------------------------------------


@path("the SSE service refuses and repeats all", "client_disconnect_failed", "refused by")
def _(stage: Stage) -> None:
    sse = stage.enter(SseServer())
    for name in ("one", "two", f"three?token={QUERY_TOKEN}"):
        client = new_client(datetime.now(UTC), idle=timedelta(hours=2))
        client.id = name
        sse.connect(client)
    sse.orders.refused["one"] = f"refused by {SHAPES} password={DB_PASSWORD}"
    sse.orders.broken[f"three?token={QUERY_TOKEN}"] = grpc.StatusCode.INTERNAL
    stage.once("sse", "client-cleanup", SSE_GRPC_ADDR=sse.address)
    stage.toast("once", "sse", "--dry-run", "--json", SSE_GRPC_ADDR=sse.address)


@path("the SSE service is away", "SSE_GRPC_ADDR", "UNAVAILABLE", "503 ")
def _(stage: Stage) -> None:
    stage.worker("pass_failed", "workers.sse", SSE_GRPC_ADDR=f"127.0.0.1:{free_port()}")


# --- Kafka ------------------------------------------------------------------------------------


def _expire_a_link(stage: Stage) -> None:
    stage.database.insert("link_links", short_code="a", is_active=True, expires_at=NOW)


@path("Kafka is away", "publish_failed", "503 ", "Connection refused")
def _(stage: Stage) -> None:
    _expire_a_link(stage)
    stage.brokers = NO_BROKER
    stage.worker("publish_failed")
    stage.toast("outbox", "list")


@path("Kafka gets its events", "events_published", "link.expired")
def _(stage: Stage) -> None:
    topic = Topic(stage.brokers, "link.expired")
    _expire_a_link(stage)
    stage.worker("events_published")
    [message] = topic.read(1)
    stage.keep({"Kafka": f"{message.key} {message.value.decode()} {message.headers}"})


# --- bugs -------------------------------------------------------------------------------------


def _bug(bug: str, event: str, **settings: str) -> Run:
    """Run a worker with this bug until it logs this event, then look at its status."""

    def run(stage: Stage) -> None:
        sentry = stage.enter(SentryServer())
        planted = {"PROBE_SECRET": PROBE_SECRET, "ENVIRONMENT": SHAPES, **settings}
        planted["SENTRY_DSN"] = sentry.dsn
        stage.worker(event, "tests.promises.secrets.crashing", bug, pages=True, **planted)
        stage.keep({"Sentry": f"{sentry.events} {sentry.check_ins}"})
        words = ["--json"] if bug == "exception" else []
        stage.toast("status", "link", *words, SENTRY_DSN=f"http://{SENTRY_KEY}@127.0.0.1:1/1")

    return run


path("a bug in a pass", "pass_failed", "ExceptionGroup", "KeyError", "Traceback")(
    _bug("exception", "pass_failed")
)
path("a bug in a pass, for a person", "pass_failed", "ExceptionGroup", "Traceback")(
    _bug("exception", "pass_failed", LOG_FORMAT="text")
)
path("an explained failure", "pass_failed", "PassError")(_bug("pass error", "pass_failed"))
path("a note on failed rows", "pass_finished")(_bug("note", "pass_finished"))
path("a pass that is skipped", "pass_finished", "skipped")(_bug("skipped", "pass_finished"))
path("a thread that dies", "exception_uncaught", "doomed", "RuntimeError")(
    _bug("thread", "exception_uncaught")
)
path("a warning of the interpreter", "RuntimeWarning")(_bug("warning", "pass_finished"))
path("an error that cannot be caught", "exception_uncaught", "RuntimeError")(
    _bug("unraisable", "exception_uncaught")
)


@path("a bug before the first line of the log", "RuntimeError", "no setting can be")
def _(stage: Stage) -> None:
    stage.worker(
        "exception_uncaught",
        "tests.promises.secrets.crashing",
        "none",
        pages=False,
        PROBE_SETTING=SHAPES,
        PROBE_SECRET="none",
    )


@pytest.mark.parametrize("name", PATHS)
def test_no_secret_is_left_of(name: str, stage: Stage) -> None:
    PATHS[name].run(stage)

    stage.keep(rows(stage.database))
    stage.secrets |= {**SECRETS, "the server's password": stage.database.server.password}
    assert leaks(stage.places, stage.secrets) == []
    everything = "\n".join(stage.places.values())
    assert [words for words in PATHS[name].words if words not in everything] == []


def test_no_part_of_a_secret_stays_where_an_answer_is_cut_off() -> None:
    url = f"https://r.example{QUERY_PATH}"
    taken = Delivery(uuid4(), uuid4(), "link.expired", "{}", 0, NOW, "r.example", url, HMAC_SECRET)
    spellings = json.dumps([*spelled(HMAC_SECRET).values(), url])
    for room in range(len(spellings)):
        body = "." * (MOST_BODY_BYTES - room) + spellings
        kept = str(Attempt(taken, {}, ReceiverReply(200, body=body)).columns()["response_body"])
        assert len(kept) <= MOST_BODY_BYTES
        assert leaks({f"with {room} left": kept}, {"it": HMAC_SECRET, "token": QUERY_TOKEN}) == []


def test_a_leak_is_found_whole_in_part_and_in_any_spelling() -> None:
    for secret in SECRETS.values():
        for spelling in [*spelled(secret).values(), quote(secret, safe=""), secret[:20]]:
            assert leaks({"log": json.dumps(f"a{spelling}b")}, {"it": secret})
        assert leaks({"log": b64encode(f"id:{secret}".encode()).decode()}, {"it": secret})
        assert not leaks({"log": "\n".join(set(SECRETS.values()) - {secret})}, {"it": secret})
