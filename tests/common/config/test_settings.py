"""Where settings come from, and which faults an operator sees when they cannot be used."""

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common import config
from common.config import COMMON, DB_HOST, DB_PASSWORD, DB_SSL_MODE, KAFKA_BROKERS, SettingsError

INTERVAL = config.interval("LINK_EXPIRATION_INTERVAL", "1h", "time between two passes")
API_SECRET = config.text("BLIZZARD_CLIENT_SECRET", "", "secret of the client", secret=True)


class Installation:
    """The files and the environment of a worker on a machine of its own."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.config_dir = folder / "etc"
        self.config_dir.mkdir()
        self.environment = environment
        environment.setenv("TOAST_CONFIG_DIR", str(self.config_dir))
        self.toast_env("")

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.environment.setenv(name, value)

    def toast_env(self, content: str) -> Path:
        return self._write(self.config_dir / "toast.env", content)

    def link_env(self, content: str) -> Path:
        return self._write(self.config_dir / "link.env", content)

    def credentials(self, **contents: bytes) -> Path:
        """A folder as systemd makes it; names with a double underscore have a dot there."""
        folder = self.config_dir / "credentials"
        folder.mkdir()
        for name, content in contents.items():
            (folder / name.replace("__", ".")).write_bytes(content)
        self.set(CREDENTIALS_DIRECTORY=str(folder))
        return folder

    @staticmethod
    def _write(path: Path, content: str) -> Path:
        path.write_text(content, encoding="utf-8")
        return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A machine on which nothing is set."""
    for name in os.environ:
        if name.startswith(("DB_", "KAFKA_", "LOG_", "TOAST_", "LINK_")) or name == "ENVIRONMENT":
            monkeypatch.delenv(name)
    return Installation(tmp_path, monkeypatch)


@pytest.fixture
def machine(bare: Installation) -> Installation:
    """A machine on which what must be set is set."""
    bare.set(DB_HOST="db.internal", DB_USER="toast")
    return bare


def load(*variables: config.Variable[Any]) -> config.Settings:
    return config.load("link", variables)


def faults(*variables: config.Variable[Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(*variables)
    both = (*caught.value.faults, *caught.value.warnings)
    assert tuple(str(caught.value).splitlines()) == both
    return caught.value.faults


# --- where a value comes from -----------------------------------------------------------------


def test_a_credential_of_systemd_stands_above_every_file_and_below_the_environment(
    machine: Installation,
) -> None:
    machine.credentials(DB_PASSWORD=b"of systemd\n", DB_NAME=b"of_systemd")
    machine.link_env("DB_PASSWORD=of the file\n")
    machine.set(DB_NAME="of_the_environment")
    settings = load()
    assert settings[config.DB_PASSWORD] == "of systemd"
    assert settings[config.DB_NAME] == "of_the_environment"
    assert "of systemd" in settings.secrets


def test_a_credential_that_is_no_setting_is_left_alone(machine: Installation) -> None:
    machine.credentials(CA_KEY=b"\xff\xfe", DB_PASSWORD=b"of systemd", tls__key=b"\xff\xfe")
    settings = load()
    assert (settings[config.DB_PASSWORD], settings.warnings) == ("of systemd", ())


def test_a_credential_that_is_no_text_is_a_fault_and_hides_no_other(machine: Installation) -> None:
    folder = machine.credentials(DB_NAME=b"\xff", DB_PASSWORD=b"\0", DB_PORT=b"x")
    (folder / "DB_USER").mkdir()
    machine.environment.delenv("DB_USER")
    assert [fault.split(";")[0] for fault in faults()] == [
        f"{folder}/DB_NAME is not UTF-8 text",
        f"{folder}/DB_USER cannot be read: Is a directory",
        f"DB_PORT in {folder} is 'x' (not an integer)",
        "DB_USER is not set",
        f"DB_PASSWORD in {folder} is (hidden)",
    ]


def test_a_folder_of_credentials_that_cannot_be_read_is_a_fault(
    machine: Installation, tmp_path: Path
) -> None:
    machine.set(CREDENTIALS_DIRECTORY=str(tmp_path / "nowhere"))
    assert faults() == (f"{tmp_path / 'nowhere'} cannot be read: No such file or directory",)


def test_the_defaults_are_those_of_the_live_services(machine: Installation) -> None:
    settings = load()
    values = {variable.name: settings[variable] for variable in COMMON}
    security = {
        name: values.pop(name) for name in list(values) if "_SASL_" in name or "_SSL_" in name
    }
    assert security == {
        **dict.fromkeys(security, ""),
        "DB_SSL_MODE": "prefer",
        "KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM": "https",
    }
    assert values == {
        "DB_HOST": ("db.internal",),
        "DB_PORT": (5432,),
        "DB_USER": "toast",
        "DB_PASSWORD": "",
        "DB_NAME": "toxictoast",
        "DB_CHANNEL_BINDING": "prefer",
        "DB_TARGET_SESSION_ATTRS": "primary",
        "KAFKA_BROKERS": ("localhost:19092",),
        "KAFKA_SECURITY_PROTOCOL": "plaintext",
        "KAFKA_TOPIC_PARTITIONS": 3,
        "KAFKA_TOPIC_REPLICATION_FACTOR": 0,
        "TOAST_EVENTS_PER_SECOND": 0,
        "METRICS_BIND": "127.0.0.1",
        "METRICS_HOSTS": (),
        "LOG_LEVEL": "info",
        "LOG_FORMAT": "auto",
        "ENVIRONMENT": "production",
        "SENTRY_DSN": "",
        "TOAST_FIRST_PASS": "go",
        "TOAST_RETENTION_SHARE": 0.33,
        "TOAST_PUNCTUAL": True,
        "TOAST_MIGRATE": True,
    }
    assert settings.service == "link"


def test_each_place_wins_over_the_one_below(machine: Installation) -> None:
    assert (load(INTERVAL)[INTERVAL], load(INTERVAL).origin(INTERVAL)) == (
        timedelta(hours=1),
        "default",
    )
    places = [
        (machine.toast_env, str(machine.config_dir / "toast.env")),
        (machine.link_env, str(machine.config_dir / "link.env")),
        (lambda line: machine.set(**dict([line.split("=")])), "environment"),
    ]
    for minutes, (write, origin) in enumerate(places, 1):
        write(f"LINK_EXPIRATION_INTERVAL={minutes}m")
        settings = load(INTERVAL)
        assert settings[INTERVAL] == timedelta(minutes=minutes)
        assert settings.origin(INTERVAL) == origin


def test_another_services_file_is_not_read(machine: Installation) -> None:
    (machine.config_dir / "blog.env").write_text("DB_NAME=blog")
    assert load()[config.DB_NAME] == "toxictoast"


def test_without_a_config_dir_the_files_are_those_of_etc_toast(machine: Installation) -> None:
    machine.environment.delenv("TOAST_CONFIG_DIR")
    # A name too long shows which path was tried, without a file in the real /etc.
    with pytest.raises(SettingsError, match=r"^/etc/toast/x{5000}\.env cannot be read: "):
        config.load("x" * 5000, ())


@pytest.mark.parametrize("place", ["environment", "link.env"])
def test_an_empty_value_is_not_set(machine: Installation, place: str) -> None:
    machine.toast_env("LINK_EXPIRATION_INTERVAL=2h\nDB_PASSWORD=from-below\n")
    if place == "environment":
        machine.set(LINK_EXPIRATION_INTERVAL="", DB_PASSWORD="")
    else:
        machine.link_env("LINK_EXPIRATION_INTERVAL=\nDB_PASSWORD=''\n")
    settings = load(INTERVAL)
    assert settings[INTERVAL] == timedelta(hours=2)
    assert settings[DB_PASSWORD] == "from-below"


def test_an_empty_value_does_not_stand_for_a_required_one(machine: Installation) -> None:
    machine.set(DB_HOST="")
    assert [fault.split(";")[0] for fault in faults()] == ["DB_HOST is not set"]


def test_a_file_may_have_comments_quotes_exports_and_a_byte_order_mark(
    machine: Installation,
) -> None:
    machine.toast_env(
        "\ufeff# comment\n"
        "\n"
        "export DB_NAME='toast # not a comment'\n"
        'ENVIRONMENT="stag\\"ing"  # a comment\n'
        "KAFKA_BROKERS = a:1 , b:2 # two\r\n"
        "DB_PASSWORD=pa$$word-${HOME}\n"
        "DB_PORT=6000\nDB_PORT=6001\n"
    )
    settings = load()
    assert settings[config.DB_NAME] == "toast # not a comment"
    assert settings[config.ENVIRONMENT] == 'stag"ing'
    assert settings[KAFKA_BROKERS] == ("a:1", "b:2")
    assert settings[DB_PASSWORD] == "pa$$word-${HOME}"
    assert settings[config.DB_PORT] == (6001,)


def test_a_setting_that_is_not_declared_cannot_be_read(machine: Installation) -> None:
    with pytest.raises(KeyError, match="LINK_EXPIRATION_INTERVAL"):
        load()[INTERVAL]


def test_the_common_settings_can_be_left_out(bare: Installation) -> None:
    settings = config.load("link", (INTERVAL,), common=(KAFKA_BROKERS,))
    assert settings[KAFKA_BROKERS] == ("localhost:19092",)
    with pytest.raises(KeyError, match="DB_HOST"):
        settings[DB_HOST]


def test_settings_cannot_be_changed(machine: Installation) -> None:
    settings = load()
    with pytest.raises(AttributeError):
        settings.service = "blog"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings[DB_HOST] = "elsewhere"  # type: ignore[index]


# --- two names for one setting ----------------------------------------------------------------


def test_either_name_of_the_ssl_mode_will_do(machine: Installation) -> None:
    machine.toast_env("DB_SSLMODE=disable")
    assert load()[DB_SSL_MODE] == "disable"
    machine.toast_env("DB_SSL_MODE=require\nDB_SSLMODE=require")
    assert load()[DB_SSL_MODE] == "require"


def test_two_names_with_different_values_in_one_place_are_a_fault(machine: Installation) -> None:
    path = machine.toast_env("DB_SSL_MODE=require\nDB_SSLMODE=disable")
    assert faults() == (f"DB_SSL_MODE and DB_SSLMODE in {path} differ; expected only one",)


def test_the_higher_place_wins_under_whichever_name(machine: Installation) -> None:
    machine.toast_env("DB_SSL_MODE=require")
    machine.link_env("DB_SSLMODE=allow")
    settings = load()
    assert settings[DB_SSL_MODE] == "allow"
    assert settings.origin(DB_SSL_MODE) == str(machine.config_dir / "link.env")


def test_a_fault_names_the_alias_that_was_set(machine: Installation) -> None:
    machine.set(DB_SSLMODE="on")
    (fault,) = faults()
    assert fault.startswith("DB_SSLMODE in the environment is 'on'")


@pytest.mark.parametrize("written", ["warn", "WARN", "warning", "Warning"])
def test_the_go_services_word_for_warning_is_understood(
    machine: Installation, written: str
) -> None:
    machine.set(LOG_LEVEL=written)
    assert load()[config.LOG_LEVEL] == "warning"


# --- faults -----------------------------------------------------------------------------------


def test_every_fault_is_reported_at_once(bare: Installation) -> None:
    toast_env = bare.toast_env("DB_PORT=70000\nthis is no setting\nKAFKA_BROKERS=broker\n")
    link_env = bare.link_env("\n\n\nLINK_EXPIRATION_INTERVAL=50ms\n")
    bare.set(
        LOG_LEVEL="loud", TOAST_MIGRATE="yes", BLIZZARD_CLIENT_SECRET="line\nbreak", DB_USER="toast"
    )
    assert faults(INTERVAL, API_SECRET) == (
        f"{toast_env} line 2: expected NAME=value",
        f"DB_HOST is not set; expected {DB_HOST.expected} ({DB_HOST.help})",
        f"DB_PORT in {toast_env} is '70000' (out of range); expected an integer from 1 to 65535,"
        " or one for each host in DB_HOST, joined by commas",
        f"KAFKA_BROKERS in {toast_env} is 'broker' (not host:port); "
        "expected a comma-separated list of host:port, such as kafka-1:9092,[::1]:9092",
        "LOG_LEVEL in the environment is 'loud' (not one of them); "
        "expected one of debug, info, warning (or warn), error",
        "TOAST_MIGRATE in the environment is 'yes' (not a Go boolean); "
        "expected a Go boolean: 1, t, T, TRUE, true, True or 0, f, F, FALSE, false, False",
        f"LINK_EXPIRATION_INTERVAL in {link_env} is '50ms' (less than 100ms); "
        "expected a Go duration of at least 100ms, such as 5m or 1h30m",
        "BLIZZARD_CLIENT_SECRET in the environment is (hidden); "
        "expected text without control characters",
    )


def test_an_invalid_value_does_not_fall_back_to_the_place_below(machine: Installation) -> None:
    machine.toast_env("LINK_EXPIRATION_INTERVAL=5m")
    machine.set(LINK_EXPIRATION_INTERVAL="5 m")
    (fault,) = faults(INTERVAL)
    assert "LINK_EXPIRATION_INTERVAL in the environment is '5 m' (unknown unit ' m')" in fault


BATCH = config.interval("LINK_BATCH_INTERVAL", "1m", "", bare="h")
SWITCHES = {"LINK_BATCH_INTERVAL": ["LINK_ENABLED", "LINK_OTHER_ENABLED"]}
ENABLED = (
    config.boolean("LINK_ENABLED", "false", ""),
    config.boolean("LINK_OTHER_ENABLED", "", ""),
)


def test_a_wrong_value_is_a_warning_while_all_that_read_it_are_off(machine: Installation) -> None:
    machine.set(LINK_BATCH_INTERVAL="soon", LINK_ENABLED="false", LINK_OTHER_ENABLED="0")
    settings = config.load("link", (*ENABLED, BATCH), switches=SWITCHES)
    (warning,) = settings.warnings
    assert warning.startswith("LINK_BATCH_INTERVAL in the environment is 'soon' (")
    assert warning.endswith(
        "; not used while LINK_ENABLED is false and LINK_OTHER_ENABLED is false"
    )
    assert settings[BATCH] == timedelta(minutes=1)
    assert (settings.written(BATCH), settings.origin(BATCH)) == ("soon", "environment")


@pytest.mark.parametrize(
    ("one", "other"), [("true", "f"), ("false", "t"), ("maybe", "false"), ("true", "true")]
)
def test_a_wrong_value_is_a_fault_if_one_that_reads_it_may_be_on(
    machine: Installation, one: str, other: str
) -> None:
    machine.set(LINK_BATCH_INTERVAL="soon", LINK_ENABLED=one, LINK_OTHER_ENABLED=other)
    with pytest.raises(SettingsError, match="LINK_BATCH_INTERVAL in the environment is 'soon'"):
        config.load("link", (*ENABLED, BATCH), switches=SWITCHES)


def test_a_value_in_a_fault_is_one_short_printable_line(machine: Installation) -> None:
    machine.set(DB_PORT="1\n\x1b[31m\u2028" + "9" * 5_000, DB_NAME="x\udcff")
    found = faults()
    assert len(found) == 2
    assert all(fault.isprintable() and len(fault) < 250 for fault in found)


def test_a_secret_is_in_no_fault_and_in_no_repr(machine: Installation) -> None:
    machine.set(DB_PASSWORD="hunter2-hunter2\x01", DB_PORT="postgres://toast:hunter3@db")
    text = "\n".join(faults())
    assert "DB_PASSWORD" in text
    assert "hunter" not in text
    machine.set(DB_PASSWORD="hunter2-hunter2", DB_PORT="5432")
    assert "hunter" not in repr(load())


@pytest.mark.parametrize(
    ("value", "is_shown"),
    [
        ("/etc/corporate-root-authority-2026-bundle.pem", True),
        ("/x9SlQkPl0aBcDeFgHiJkLmNoP/1", False),
        ("etc/corporate-root-authority-2026-bundle.pem", False),
        ("correct-horse-battery-staple", False),
    ],
)
def test_what_may_be_the_secret_of_another_setting_is_hidden_but_a_path_of_this_machine_is_none(
    machine: Installation, value: str, is_shown: bool
) -> None:
    machine.set(DB_SSL_ROOT_CERT=value)
    [fault] = faults()
    shown = f"{value!r} (cannot be read: No such file or directory)" if is_shown else "(hidden)"
    assert fault.startswith(f"DB_SSL_ROOT_CERT in the environment is {shown}; expected ")


def test_the_secrets_that_are_set_are_known_for_redaction(machine: Installation) -> None:
    assert load(API_SECRET).secrets == ()
    machine.set(DB_PASSWORD="hunter2", BLIZZARD_CLIENT_SECRET="s3cr3t", DB_NAME="no-secret")
    assert load(API_SECRET).secrets == ("hunter2", "s3cr3t")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("no equals sign", 1),
        ("A=1\n\n\n  broken line\nB=2", 4),
        ("A=1\r\n\r\n=nameless\r\n", 3),
        ("A=1\nB='never closed\nC=3", 2),
        ("A=1\nBARE_NAME\n", 2),
    ],
)
def test_a_malformed_line_is_a_fault_with_its_number(
    machine: Installation, content: str, line: int
) -> None:
    path = machine.link_env(content)
    assert faults()[0] == f"{path} line {line}: expected NAME=value"


def test_a_file_that_is_not_utf8_is_a_fault_with_its_line(machine: Installation) -> None:
    path = machine.config_dir / "toast.env"
    path.write_bytes("A=1\nB=2\nC=größe".encode("latin-1"))
    assert faults() == (f"{path} line 3: not UTF-8 text",)


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        (os.mkfifo, "it is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is no regular file"),
        (_listen, "No such device or address"),
        (Path.mkdir, "Is a directory"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.write_bytes(bytes(2**17 + 1)), "it has more than 128 KiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault_and_hides_no_other(
    machine: Installation, create: Callable[[Path], object], reason: str
) -> None:
    path = machine.config_dir / "link.env"
    create(path)
    machine.toast_env("DB_PORT=five")
    unreadable, port = faults()
    assert unreadable == f"{path} cannot be read: {reason}"
    assert port.startswith("DB_PORT in ")


# --- doubtful files ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o660, 0o606])
def test_a_file_that_others_may_write_is_a_warning(machine: Installation, mode: int) -> None:
    path = machine.toast_env("DB_NAME=x")
    path.chmod(mode)
    settings = load()
    assert settings.warnings == (f"{path} may be written by other users; run chmod go-w on it",)
    assert settings[config.DB_NAME] == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_a_warning(machine: Installation) -> None:
    path = machine.toast_env("DB_NAME=x")
    os.chown(path, 12345, -1)
    assert load().warnings == (
        f"{path} belongs to another user, who may change it; run chown on it",
    )


def test_a_byte_order_mark_and_a_name_set_twice_are_warnings(machine: Installation) -> None:
    path = machine.toast_env("\ufeffDB_PASSWORD=geheim\nOTHER=1\nOTHER=2\n\nDB_PASSWORD=geheim\n")
    assert load().warnings == (
        f"{path} begins with a byte order mark, which the live services and systemd refuse;"
        " save it as UTF-8 without one",
        f"DB_PASSWORD in {path} is set in lines 1, 5; only the last one counts",
    )


# --- unknown variables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "slip",
    [
        "LINK_EXPIRATION_INTERVL",
        "LINK_EXPIRATION_INTERVALL",
        "LINK_EXPIRATION_INTERVAk",
        "LINK_EXPRIATION_INTERVAL",
        "LINK_EXPIRATON_INTERVALS",
        "LINK-EXPIRATION-INTERVAL",
        "link_expiration_interval",
    ],
)
def test_a_slip_in_a_name_is_named_with_its_place(machine: Installation, slip: str) -> None:
    path = machine.toast_env(f"{slip}=5m")
    assert load(INTERVAL).warnings == (
        f"{slip} in {path} is not a setting; did you mean LINK_EXPIRATION_INTERVAL?",
    )


RETRY_SETTINGS = (
    config.boolean("WEBHOOK_RETRY_SCHEDULER_ENABLED", "true", ""),
    config.interval("WEBHOOK_RETRY_SCHEDULER_INTERVAL", "5m", ""),
    config.integer("WEBHOOK_MAX_RETRIES", "3", "", minimum=1, maximum=9),
)


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("WEBHOOK_RETRY_ENABLED", "; did you mean WEBHOOK_RETRY_SCHEDULER_ENABLED?"),
        ("WEBHOOK_RETRY_INTERVAL", "; did you mean WEBHOOK_RETRY_SCHEDULER_INTERVAL?"),
        ("WEBHOOK_RETRY_MAX_ATTEMPTS", "; did you mean WEBHOOK_MAX_RETRIES?"),
        ("WEBHOOK_RETRY_JITTER_SECONDS_OF_ALL", ""),
        ("KAFKA_SASL_USER", "; did you mean KAFKA_SASL_USERNAME?"),
        # It begins with the name of its service.
        ("LINK_CACHE_TTL", ""),
    ],
)
def test_a_name_that_begins_like_a_setting_and_is_none_is_named(
    machine: Installation, name: str, question: str
) -> None:
    path = machine.toast_env(f"{name}=geheim")
    assert load(*RETRY_SETTINGS).warnings == (f"{name} in {path} is not a setting{question}",)


def test_slips_are_found_in_every_place(machine: Installation) -> None:
    machine.toast_env("DB_PASWORD=geheim")
    machine.set(KAFKA_BROKER="a:1")
    machine.credentials(TOAST_CONFIG_DIRS=b"/etc")
    warnings = load().warnings
    assert warnings == (
        "KAFKA_BROKER in the environment is not a setting; did you mean KAFKA_BROKERS?",
        f"TOAST_CONFIG_DIRS in {machine.config_dir / 'credentials'} is not a setting; "
        "did you mean TOAST_CONFIG_DIR?",
        f"DB_PASWORD in {machine.config_dir / 'toast.env'} is not a setting; "
        "did you mean DB_PASSWORD?",
    )
    assert "geheim" not in "".join(warnings)


@pytest.mark.parametrize(
    "name",
    [
        "EXPIRE_LINK_EVERY",  # one word in common
        "MESSAGE_CLEANUP_INTERVAL",  # another service's
        "DB_SSLMODE",  # an alias, itself near DB_SSL_MODE
        "KAFKA_BROKERS",
        "PATH_TO_NOWHERE",
    ],
)
def test_other_names_do_not_warn(machine: Installation, name: str) -> None:
    machine.toast_env("DB_SSLMODE=require\nKAFKA_BROKERS=a:1\n")
    if name not in ("DB_SSLMODE", "KAFKA_BROKERS"):
        machine.link_env(f"{name}=1")
    assert load(INTERVAL).warnings == ()


def test_short_names_resemble_too_much_to_warn(machine: Installation) -> None:
    short = config.text("DEBUG", "", "a name of five letters")
    machine.set(DEBUGS="1")
    assert load(short).warnings == ()


def test_two_known_names_that_resemble_each_other_do_not_warn(machine: Installation) -> None:
    plural = config.text("DB_HOSTS", "", "one letter more than DB_HOST")
    machine.set(DB_HOSTS="a,b")
    assert load(plural).warnings == ()
    assert load().warnings == (
        "DB_HOSTS in the environment is not a setting; did you mean DB_HOST?",
    )


def test_a_config_folder_that_is_not_there_is_a_fault(machine: Installation) -> None:
    machine.set(TOAST_CONFIG_DIR="/nowhere/toast")
    with pytest.raises(SettingsError, match="TOAST_CONFIG_DIR is '/nowhere/toast'; expected"):
        config.load("link", ())
