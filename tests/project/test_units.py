"""The units of systemd and the configuration of supervisord, as far as files can be checked.

What they do on a machine is tried by `make test-vm`.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import workers
from common import config, exit_codes
from common.cli.loading import PAGE
from common.worker import worker_process
from devservers.checkout import ROOT
from devservers.needs import program

SYSTEMD = ROOT / "systemd"
DROP_IN = "10-toast.conf"
SHARED = SYSTEMD / "toast-.service.d" / DROP_IN
INTERNET = {"notification", "warcraft", "webhook"}
SECRETS = {
    "warcraft": ("BLIZZARD_CLIENT_ID", "BLIZZARD_CLIENT_SECRET"),
    "webhook": ("WEBHOOK_PROXY",),
}
KEYS = ("KAFKA_SSL_KEY_LOCATION.pem",)
MOST_LINES_OF_A_UNIT = 15

every_service = pytest.mark.parametrize("service", workers.SERVICES)


def settings(path: Path) -> list[str]:
    """The lines that systemd reads."""
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    judge = program("systemd-analyze", of="systemd", packages="systemd")
    return subprocess.run([judge, *arguments], capture_output=True, text=True, check=False)


def exposure(unit: Path) -> float:
    """How exposed systemd judges a unit with its drop-ins to be, from 0 to 10."""
    output = systemd_analyze("security", "--offline=true", "--no-pager", str(unit)).stdout
    found = re.search(r"exposure level for \S+: (\S+)", output)
    assert found, output
    return float(found[1])


def test_every_service_and_the_page_have_a_unit_and_no_other_is_there() -> None:
    units = {path.name for path in SYSTEMD.glob("*.service")}
    assert units == {f"toast-{name}.service" for name in (*workers.SERVICES, PAGE)}


@every_service
def test_a_unit_has_only_what_another_projects_unit_must_not_get(service: str) -> None:
    path = SYSTEMD / f"toast-{service}.service"
    jobs = ", ".join(scheduler.name for scheduler in workers.load(service).schedulers)
    local = [] if service in INTERNET else ["IPAddressDeny=any", "IPAddressAllow=localhost"]
    assert settings(path) == [
        "[Unit]",
        f"Description=toast-workers, {service}: {jobs}",
        "[Service]",
        "Type=notify",
        f"ExecStart=/opt/toast-workers/current/bin/toast run {service}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "User=toast",
        *(f"LoadCredential={name}:toast.{name}" for name in SECRETS.get(service, ())),
        *local,
        "[Install]",
        "WantedBy=toast.target",
    ]
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES_OF_A_UNIT


def test_what_units_share_has_each_secret_and_key_that_may_be_there() -> None:
    lines = [line for line in settings(SHARED) if line.startswith("LoadCredential")]
    names = [*(variable.name for variable in config.COMMON if variable.secret), *KEYS]
    # A path instead of a name would have to be there.
    assert set(lines) >= {f"LoadCredential={name}:toast.{name}" for name in names}


def test_what_units_share_agrees_with_the_worker() -> None:
    lines = dict(line.split("=", 1) for line in settings(SHARED) if "=" in line)
    assert lines["RestartPreventExitStatus"] == str(exit_codes.BAD_SETTINGS)
    assert int(lines["TimeoutStopSec"]) > worker_process.STOP_SECONDS + 3
    assert int(lines["WatchdogSec"]) > 3 * worker_process.SUPERVISE_SECONDS


def test_systemd_knows_every_line(tmp_path: Path) -> None:
    shutil.copytree(SYSTEMD, tmp_path, dirs_exist_ok=True)
    units = list(tmp_path.glob("*.service"))
    for path in units:
        # A command that this machine has: nothing is installed here.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text("utf-8"), flags=re.M)
        path.write_text(text)
    verified = systemd_analyze("verify", *map(str, [*units, tmp_path / "toast.target"]))
    # Its exit code is 0 even for unknown lines.
    assert [line for line in verified.stderr.splitlines() if "toast" in line] == []


@every_service
def test_a_unit_leaves_little_exposed(service: str) -> None:
    most = 1.2 if service in INTERNET else 0.9
    assert exposure(SYSTEMD / f"toast-{service}.service") <= most


def test_the_page_has_little_exposed_a_folder_for_its_socket_and_sees_who_connects() -> None:
    path = SYSTEMD / f"toast-{PAGE}.service"
    assert exposure(path) <= 1.2
    lines = settings(path)
    assert {"RuntimeDirectory=toast-web", "RuntimeDirectoryMode=0750", "User=toast"} <= {*lines}
    assert config.WEB_LISTEN.default == "/run/toast-web/web.sock"
    assert config.WEB_SECRET_FILE.default == "/run/toast-web/secret"
    [instead] = SYSTEMD.glob(f"toast-{PAGE}.service.d/*.conf")
    # Of files with other names the later in the alphabet counts.
    assert instead.name > DROP_IN
    assert settings(instead) == ["[Service]", "PrivateUsers=no"]


def test_the_page_is_off_by_default() -> None:
    assert f"toast-{PAGE}.service" not in (SYSTEMD / "toast.target").read_text("utf-8")
    assert IN_A_CHECKOUT[f"program:toast-{PAGE}"]["autostart"] == "false"


def test_another_projects_unit_can_be_kept_from_what_units_share(tmp_path: Path) -> None:
    unit = tmp_path / "toast-other.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    shutil.copytree(SHARED.parent, tmp_path / SHARED.parent.name)
    assert exposure(unit) < 2

    own = tmp_path / "toast-other.service.d"
    own.mkdir()
    (own / DROP_IN).touch()

    assert exposure(unit) > 9


# --- supervisord ------------------------------------------------------------------------------


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


IN_A_CHECKOUT = parsed((ROOT / "supervisord.conf").read_text("utf-8"))


@pytest.fixture(scope="module")
def on_a_vm() -> configparser.RawConfigParser:
    """The configuration as deploy/install.sh makes it, before it fills in the paths."""
    made = subprocess.run(
        ["sed", "-f", ROOT / "deploy" / "supervisord.sed", ROOT / "supervisord.conf"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "%(here)s" not in made.stdout
    return parsed(made.stdout)


def test_supervisord_is_the_same_on_a_vm_but_for_paths_and_user(
    on_a_vm: configparser.RawConfigParser,
) -> None:
    assert on_a_vm.sections() == IN_A_CHECKOUT.sections()
    for section in IN_A_CHECKOUT.sections():
        added = {"user", "environment"} if section == "supervisord" else set()
        assert set(on_a_vm[section]) == set(IN_A_CHECKOUT[section]) | added
        for name, value in IN_A_CHECKOUT[section].items():
            if "%(here)s" not in value:
                assert on_a_vm[section][name] == value
    assert on_a_vm["supervisord"]["user"] == "toast"


def test_supervisord_listens_on_no_port(on_a_vm: configparser.RawConfigParser) -> None:
    assert "inet_http_server" not in on_a_vm
    assert on_a_vm["unix_http_server"]["chmod"] == "0700"


def test_every_service_and_the_page_have_a_program_of_supervisord() -> None:
    programs = [name for name in IN_A_CHECKOUT.sections() if name.startswith("program:")]
    commands = {**{name: f"run {name}" for name in workers.SERVICES}, PAGE: "web"}
    assert programs == [f"program:toast-{name}" for name in commands]
    for command, name in zip(commands.values(), programs, strict=True):
        section = IN_A_CHECKOUT[name]
        assert section["command"] == f"%(here)s/.venv/bin/toast {command}"
        assert section["exitcodes"] == str(exit_codes.BAD_SETTINGS)
        assert section["autorestart"] == "unexpected"
        assert section["startsecs"] == "0"
        assert int(section["stopwaitsecs"]) > worker_process.STOP_SECONDS + 3
