"""`toast takeover --from` and `--switch-off`: from files of live services to settings files."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workers
from common.cli import commands, services
from common.cli.takeover import compose_file, settings_files, switch_off
from common.cli.takeover.live_file import LiveFileError
from common.cli.takeover.settings_command import Wish, run
from common.cli.takeover.translation import translate
from common.config.settings_files import env_file
from devservers.checkout import ROOT

SERVICES = [workers.load(name) for name in workers.SERVICES]

# In the shape of the live one: shared settings by anchor, names that nobody reads, both forms of
# `environment:`, and values that are no default of ours.
COMPOSE = """\
x-common: &common
  DB_HOST: postgres
  DB_PORT: 5432
  DB_USER: ${DB_USER:-toxictoast}
  DB_PASSWORD: ${DB_PASSWORD:?must be set}
  DB_NAME: ${DB_NAME-toxictoast}
  DB_SSL_MODE: disable
  KAFKA_BROKERS: &brokers redpanda:9092
services:
  postgres:
    image: postgres:16-alpine
    container_name: toxictoast-postgres
    ports: ["${DB_PORT:-5432}:5432"]
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD}"}
  redpanda:
    ports: [{published: 19092, target: 9092}]
  blog-service:
    build: ./services/blog-service
    environment:
      <<: *common
      PORT: 8080
      KEYCLOAK_URL: http://keycloak:8080
      MEDIA_UPLOAD_PATH: /app/uploads
      POST_PREVIEW_LENGTH: 200
      DB_MAX_CONNECTIONS: 25
      TZ: Europe/Berlin
      POST_PUBLISHER_ENABLED: true
      POST_PUBLISHER_INTERVAL: ${POST_PUBLISHER_INTERVAL:-1m}
  sse-service:
    environment:
      - KAFKA_BROKERS=redpanda:9092
      - DB_SSL_MODE=require
      - SSE_CLIENT_CLEANUP_ENABLED=false
      - SSE_CLIENT_CLEANUP_INTERVAL=10m
      - SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT=24h
      - CLIENT_CLEANUP_INTERVAL=30m
      - KAFKA_CONSUMER_TOPICS=link.events
      - DB_HOST
      - DB_PASSWORD
      - LOG_LEVEL=
  webhook-service:
    env_file:
      - webhook.env
      - {path: missing.env, required: false}
    environment:
      <<: [{DB_NAME: "web$$hook"}, *common]
      WEBHOOK_RETRY_ENABLED: "true"
      WEBHOOK_RETRY_INTERVAL: 5m
      WEBHOOK_RETRY_MAX_ATTEMPTS: "5"
      WEBHOOK_DELIVERY_TIMEOUT: 30s
      WEBHOOK_WORKER_COUNT: 500
      WEBHOOK_CLEANUP_INTERVAL: 12h
"""
WEBHOOK_ENV = "# retries\nWEBHOOK_MAX_RETRIES=${RETRIES}\nWEBHOOK_CLEANUP_INTERVAL=1h\n"
DOT_ENV = "RETRIES=4\nDB_PASSWORD='geheim $1'\n"


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    (tmp_path / "webhook.env").write_text(WEBHOOK_ENV)
    (tmp_path / ".env").write_text(DOT_ENV)
    path = tmp_path / "docker-compose.yml"
    path.write_text(COMPOSE)
    return path


def wish(*paths: Path, named: str = "", folder: Path | None = None) -> Wish:
    chosen = [workers.load(name) for name in named.split()]
    return Wish(SERVICES, chosen, paths, folder=folder)


def line(text: str) -> int:
    """The number of the first line of the Compose file with this text."""
    return next(n for n, each in enumerate(COMPOSE.splitlines(), 1) if text in each)


def block(text: str, name: str) -> list[str]:
    """The comments above a setting, and its line."""
    return next(
        lines
        for lines in (each.splitlines() for each in text.split("\n\n"))
        if re.match(rf"#?{name}=", lines[-1])
    )


@pytest.fixture
def printed(compose: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What is printed of the Compose file: the text of each settings file, and the errors."""
    assert run(wish(compose)) == 1
    out, errors = capsys.readouterr()
    assert "geheim" not in out + errors
    parts = re.split(r"^# --- (.*) ---\n", out, flags=re.MULTILINE)[1:]
    return {**dict(zip(parts[::2], parts[1::2], strict=True)), "errors": errors}


def test_every_setting_is_carried_over_with_its_place(
    compose: Path, printed: dict[str, str]
) -> None:
    at, dot_env = f"# {compose} line", compose.with_name(".env")
    blog, sse, webhook = (printed[f"{name}.env"] for name in ("blog", "sse", "webhook"))
    assert block(blog, "DB_USER") == [f"{at} 4", "DB_USER=toxictoast"]
    assert block(blog, "POST_PUBLISHER_INTERVAL") == [
        f"{at} {line('POST_PUBLISHER_INTERVAL')}",
        "POST_PUBLISHER_INTERVAL=1m",
    ]
    assert block(blog, "POST_PUBLISHER_ENABLED")[-1] == "POST_PUBLISHER_ENABLED=true"
    assert "# Only the live service reads PORT, KEYCLOAK_URL." in blog.splitlines()
    assert "# No settings of the live service or the worker: TZ." in blog.splitlines()
    assert block(sse, "SSE_CLIENT_CLEANUP_ENABLED") == [
        f"{at} {line('SSE_CLIENT_CLEANUP_ENABLED')}",
        "# off in the live service, so off here too; true if the worker shall do it",
        "SSE_CLIENT_CLEANUP_ENABLED=false",
    ]
    assert block(sse, "SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT")[-1].endswith("=24h")
    assert block(sse, "SSE_CLIENT_CLEANUP_INTERVAL")[-1].endswith("=10m")
    assert block(webhook, "DB_NAME")[-1] == "DB_NAME='web$hook'"
    assert block(webhook, "WEBHOOK_MAX_RETRIES") == [
        f"# {compose.with_name('webhook.env')} line 2, with RETRIES of {dot_env} line 1",
        "WEBHOOK_MAX_RETRIES=4",
    ]
    assert block(webhook, "WEBHOOK_CLEANUP_INTERVAL") == [
        f"{at} {line('WEBHOOK_CLEANUP_INTERVAL')}",
        "WEBHOOK_CLEANUP_INTERVAL=12h",
    ]


def test_what_all_services_share_is_in_one_file(compose: Path, printed: dict[str, str]) -> None:
    at, dot_env = f"{compose} line", compose.with_name(".env")
    shared = printed["toast.env"]
    assert block(shared, "KAFKA_BROKERS")[-1] == "KAFKA_BROKERS=redpanda:9092"
    assert block(shared, "DB_PASSWORD") == [
        f"# {at} 5, with DB_PASSWORD of {dot_env} line 2; "
        f"{at} {line('- DB_PASSWORD')}, with {dot_env} line 2",
        "#DB_PASSWORD=(hidden; --output FOLDER writes it)",
    ]
    # sse reads DB_SSLMODE only, so it works with its default.
    assert block(shared, "DB_SSL_MODE") == [
        f"# {at} {line('DB_SSL_MODE')}; default of the live service (the workers': prefer)",
        "DB_SSL_MODE=disable",
    ]
    assert not re.search("DB_SSL_MODE=|KAFKA_BROKERS=", printed["blog.env"])


def test_what_cannot_be_taken_as_it_is_is_said(printed: dict[str, str]) -> None:
    sse, webhook = printed["sse.env"], printed["webhook.env"]
    assert block(printed["blog.env"], "DB_HOST")[1:] == [
        "# postgres is a name among the containers only: write where this machine reaches it "
        "(published ports: 5432:5432)",
        "DB_HOST=postgres",
    ]
    assert "(published ports: 19092:9092)" in block(printed["toast.env"], "KAFKA_BROKERS")[-2]
    assert block(sse, "DB_HOST")[1:] == [
        "# not in the files: Compose passes it on from its shell",
        "#DB_HOST=",
    ]
    timeout = block(webhook, "WEBHOOK_DELIVERY_TIMEOUT")
    assert "the live service takes its default instead" in timeout[1]
    assert timeout[-1] == "WEBHOOK_DELIVERY_TIMEOUT=30s"
    assert timeout[1].endswith("is '30s' (the live service takes its default instead)")
    workers_line = block(webhook, "WEBHOOK_WORKER_COUNT")
    assert "WEBHOOK_WORKER_COUNT is '500' (out of range)" in workers_line[1]
    assert workers_line[-1] == "#WEBHOOK_WORKER_COUNT="
    assert "sse.env: DB_HOST, webhook.env: WEBHOOK_WORKER_COUNT" in printed["errors"]


def test_each_name_that_the_live_service_does_not_read_is_named_with_the_real_one(
    compose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(wish(compose, named="blog sse webhook"))
    lines = capsys.readouterr().out.splitlines()
    found = [line for line in lines if "the live service does not read it" in line]

    def unread(name: str, meant: str, at: str = "") -> str:
        place = f"{compose} line {line(at or name)}"
        return f"# {name} ({place}): the live service does not read it{meant}"

    def real(name: str, value: str = "") -> str:
        return f"; did you mean {name}?{f' It takes {name}={value}.' if value else ''}"

    assert found == [
        unread("MEDIA_UPLOAD_PATH", real("MEDIA_STORAGE_PATH")),
        # Begins as one of the service's settings, and is like none of them.
        unread("POST_PREVIEW_LENGTH", ""),
        # Like two of them.
        unread("DB_MAX_CONNECTIONS", ""),
        unread("DB_SSL_MODE", real("DB_SSLMODE", "disable"), at="DB_SSL_MODE=require"),
        unread(
            "CLIENT_CLEANUP_INTERVAL",
            real("SSE_CLIENT_CLEANUP_INTERVAL", "10m"),
            at="- CLIENT_CLEANUP_INTERVAL",
        ),
        unread("KAFKA_CONSUMER_TOPICS", real("KAFKA_TOPICS")),
        unread("DB_SSL_MODE", real("DB_SSLMODE", "disable")),
        unread("WEBHOOK_RETRY_ENABLED", real("WEBHOOK_RETRY_SCHEDULER_ENABLED", "true")),
        unread("WEBHOOK_RETRY_INTERVAL", real("WEBHOOK_RETRY_SCHEDULER_INTERVAL", "5m")),
        unread("WEBHOOK_RETRY_MAX_ATTEMPTS", real("WEBHOOK_MAX_RETRIES", "4")),
    ]


def test_secrets_are_only_in_files_of_their_owner(
    compose: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "etc"
    assert run(wish(compose, named="blog", folder=folder)) == 0
    path = folder / "blog.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    layer = env_file.read(path)
    assert (layer.values["DB_PASSWORD"], layer.remarks) == ("geheim $1", ())
    before = path.read_text()
    with pytest.raises(Exception, match="exists; nothing was written"):
        run(wish(compose, named="webhook blog", folder=folder))
    assert (path.read_text(), [*folder.iterdir()]) == (before, [path])
    printed = capsys.readouterr()
    assert "geheim" not in printed.out + printed.err


def test_a_live_services_own_env_is_read_as_it_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "HOURS=6\nDB_HOST=10.0.0.5\nDB_PASSWORD=geheim\nCHARACTER_SYNC_INTERVAL=${HOURS}\n"
        "GUILD_SYNC_INTERVAL='1h$HOURS'\nGUILD_SYNC_ENABLED=on\nBLIZZARD_CLIENTID=geheim2\n"
        "LINK_EXPIRATION_INTERVAL=5m\nKAFKA_BROKERS=a:1 # geheim3\nDB_NAME=a\\$HOURS\n"
    )
    assert run(wish(path, named="warcraft")) == 0
    out = capsys.readouterr().out
    assert block(out, "CHARACTER_SYNC_INTERVAL") == [
        f"# {path} line 4",
        "CHARACTER_SYNC_INTERVAL=6",
    ]
    assert block(out, "GUILD_SYNC_INTERVAL")[-1] == "GUILD_SYNC_INTERVAL=12h"
    assert block(out, "DB_NAME")[-1] == "DB_NAME='a$HOURS'"
    assert block(out, "GUILD_SYNC_ENABLED")[-1] == "GUILD_SYNC_ENABLED=true"
    assert "but not for systemd" in block(out, "KAFKA_BROKERS")[1]
    assert f"BLIZZARD_CLIENTID ({path} line 7): the live service does not read it; " in out
    assert "LINK_EXPIRATION" not in out
    assert "geheim" not in out


@pytest.mark.parametrize("of_compose", [False, True])
def test_a_colon_ends_a_name_as_it_does_for_godotenv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], of_compose: bool
) -> None:
    path = tmp_path / "link.env"
    path.write_text(
        "# DB_USER: nobody\nDB_HOST: 10.0.0.5\nexport DB_PASSWORD: 'geheim: a=b'\n"
        "DB_NAME=a:b\n\nKAFKA_BROKERS : a:1,b:2 # two\nENVIRONMENT:x=y\n"
        'UNKNOWN: "DB_USER: first\nDB_USER: second"\nDB_USER: toast\nLOG_LEVEL:\n'
    )
    if of_compose:
        (tmp_path / "compose.yml").write_text("services: {link: {env_file: link.env}}")
    given = tmp_path / "compose.yml" if of_compose else path

    assert run(wish(given, named="link")) == 0

    out = capsys.readouterr().out
    assert dict(re.findall(r"^(#?\w+)=(.*)$", out, re.MULTILINE)) == {
        "DB_HOST": "10.0.0.5",
        "DB_USER": "toast",
        "#DB_PASSWORD": "(hidden; --output FOLDER writes it)",
        "DB_NAME": "a:b",
        "DB_SSL_MODE": "disable",
        "KAFKA_BROKERS": "a:1,b:2",
        "ENVIRONMENT": "x=y",
    }
    assert block(out, "KAFKA_BROKERS")[0] == f"# {path} line 6"


def test_a_line_that_is_no_statement_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("DB_HOST: a\nDB_NAME\n")
    with pytest.raises(LiveFileError, match="line 2: expected NAME=value"):
        run(wish(path, named="link"))


def test_a_number_of_workers_that_means_the_default_is_written_as_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".env"
    path.write_text("DB_HOST=db\nDB_PASSWORD=x\nWEBHOOK_WORKER_COUNT=0\n")
    assert run(wish(path, named="webhook")) == 0
    assert block(capsys.readouterr().out, "WEBHOOK_WORKER_COUNT")[1:] == [
        "# WEBHOOK_WORKER_COUNT is '0' (the live service takes its default instead)",
        "WEBHOOK_WORKER_COUNT=10",
    ]


def test_files_that_follow_count_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "docker-compose.yml", tmp_path / "docker-compose.override.yml"
    first.write_text(
        "services: {link: {environment: {LINK_EXPIRATION_INTERVAL: 2h, LOG_LEVEL: warn}}}"
    )
    second.write_text("services: {link: {environment: {LINK_EXPIRATION_INTERVAL: 3h}}}")
    assert run(wish(first, second)) == 0
    out = capsys.readouterr().out
    assert block(out, "LINK_EXPIRATION_INTERVAL")[-1] == "LINK_EXPIRATION_INTERVAL=3h"
    assert block(out, "LOG_LEVEL")[-1] == "LOG_LEVEL=warn"


@pytest.mark.parametrize(
    ("environment", "dot_env", "expected"),
    [
        ("{LOG_LEVEL: warn, <<: *base}", "", "LOG_LEVEL=warn"),
        ("{<<: [*base, {LOG_LEVEL: warn}]}", "", "LOG_LEVEL=debug"),
        ("{<<: *base, LOG_LEVEL: '${LEVEL}'}", "LEVEL=warn", "LOG_LEVEL=warn"),
        ("{LOG_LEVEL: '${LEVEL}'}", "LEVEL=${OF_THE_SHELL}", "#LOG_LEVEL="),
        ("{LOG_LEVEL: '${LEVEL:?say it}'}", "", "#LOG_LEVEL="),
        ("{LOG_LEVEL: }", "LOG_LEVEL=warn", "LOG_LEVEL=warn"),
        ("[LOG_LEVEL]", "", "#LOG_LEVEL="),
        ("['LOG_LEVEL=$$LEVEL']", "", "#LOG_LEVEL="),
    ],
)
def test_a_value_is_the_one_that_compose_passes_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    environment: str,
    dot_env: str,
    expected: str,
) -> None:
    path = tmp_path / "compose.yml"
    services = f"services: {{link: {{environment: {environment}}}}}"
    path.write_text(f"x-base: &base {{LOG_LEVEL: debug}}\n{services}\n")
    (tmp_path / ".env").write_text(dot_env)
    assert run(wish(path)) == (1 if expected.startswith("#") else 0)
    assert block(capsys.readouterr().out, "LOG_LEVEL")[-1] == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("services: {link: [1]}", "line 1: expected a mapping"),
        ("services:\n  link: {environment: {A: [x]}}", "line 2: expected one value"),
        ("services: {link: {env_file: none.env}}", "none.env cannot be read: No such file"),
        ("services:\n  a: 'geheim\n", "line 3: no YAML"),
        ("services: &a {<<: *a}", "nested too deeply|no YAML"),
        ("services: " + "[" * 50_000, "nested too deeply|no YAML"),
        ("\x07", "does not allow|no YAML"),
        ("services: {a-link: {}, link-b: {}}", "a-link and link-b are named like link"),
        ("services: {other: {}}", "no service of .* is named like link; it has: other"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, content: str, reason: str
) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(content)
    with pytest.raises(LiveFileError, match=reason) as caught:
        run(wish(path, named="link"))
    assert "geheim" not in str(caught.value)


values = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1).filter(
    lambda text: text == text.strip()
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values,
    values,
    st.sampled_from(["1", "t", "False"]),
    st.sampled_from(["90s", "1h30m", "2.5h"]),
    st.booleans(),
)
def test_what_is_written_is_read_as_the_same_values(
    tmp_path: Path, password: str, name: str, enabled: str, interval: str, as_list: bool
) -> None:
    given_values = {
        "DB_HOST": "db",
        "DB_PASSWORD": password,
        "DB_NAME": name,
        "LINK_EXPIRATION_ENABLED": enabled,
        "LINK_EXPIRATION_INTERVAL": interval,
    }
    doubled = {each: value.replace("$", "$$") for each, value in given_values.items()}
    environment = [f"{each}={value}" for each, value in doubled.items()] if as_list else doubled
    path = tmp_path / "docker-compose.yml"
    path.write_text(yaml.safe_dump({"services": {"link": {"environment": environment}}}))
    (container,) = compose_file.read(path).containers
    (file,) = settings_files.files([translate(workers.load("link"), container.given, {}, ())], "x")
    written = tmp_path / "link.env"
    written.write_text(file.text(secrets=True))
    layer = env_file.read(written)
    assert not layer.faults
    assert {each: layer.values[each] for each in given_values} == given_values


def test_the_live_schedulers_are_switched_off_in_both_forms() -> None:
    text = switch_off.text([workers.load("webhook"), workers.load("blog")], {"blog": "the-blog"})
    plain, override = text.split("\n\n")
    assert "cannot be switched off" in plain
    off = ["WEBHOOK_RETRY_SCHEDULER_ENABLED", "WEBHOOK_CLEANUP_ENABLED", "POST_PUBLISHER_ENABLED"]
    assert [line for line in plain.splitlines() if "#" not in line] == [f"{x}=false" for x in off]
    assert yaml.safe_load(override) == {
        "services": {
            "webhook-service": {"environment": dict.fromkeys(off[:2], "false")},
            "the-blog": {"environment": {off[2]: "false"}},
        }
    }


def test_the_command_takes_files_or_the_switch(
    compose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def toast(*words: str) -> int:
        return commands.main(
            services.Services(workers.SERVICES, workers.load), ["takeover", *words]
        )

    assert toast("--from", str(compose), "--switch-off", "blog") == 0
    assert "  blog-service:" in capsys.readouterr().out
    for words in ([], ["--output", "x"], ["--switch-off", "--output", "x"], ["blgo"]):
        assert toast(*words) == 2
    assert toast("--from", str(compose.with_name("no.yml"))) == 1
    assert "no.yml cannot be read: No such file" in capsys.readouterr().err


def test_nothing_else_loads_the_reader_of_yaml() -> None:
    program = (
        "import sys, common.cli.commands, common.worker.worker_process;"
        "import common.cli.takeover.settings_command; sys.exit('yaml' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
