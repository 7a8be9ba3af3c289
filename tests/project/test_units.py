"""The units of systemd and the configuration of supervisord, as far as files can be checked.

What they do on a machine is tried by `make test-vm`.
"""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

import workers
from common import exit_codes
from common.worker import worker_process
from devservers.checkout import ROOT
from devservers.needs import program

SYSTEMD = ROOT / "systemd"
INTERNET = {"notification", "warcraft", "webhook"}
NETWORK = re.compile(r"(?<=AF_UNIX\n).*?(?=\n\[Install\])", re.DOTALL)


def unit(service: str) -> str:
    return (SYSTEMD / f"toast-{service}.service").read_text("utf-8")


def settings(text: str) -> list[str]:
    """The lines that systemd reads."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def without_its_own(service: str) -> str:
    """A unit without what may differ: its name, its schedulers, the networks it may reach."""
    jobs = ", ".join(scheduler.name for scheduler in workers.load(service).schedulers)
    text = NETWORK.sub("NETWORK", unit(service))
    for own in (
        f"toast-workers, {service}: {jobs}\n",
        f"toast run {service}\n",
        f"toast-{service}",
        f"service {service}.",
    ):
        assert own in text
        text = text.replace(own, "OWN")
    return text


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    judge = program("systemd-analyze", of="systemd", packages="systemd")
    return subprocess.run([judge, *arguments], capture_output=True, text=True, check=False)


def test_every_service_has_a_unit_and_no_other_is_there() -> None:
    units = {path.name for path in SYSTEMD.glob("*.service")}
    assert units == {f"toast-{name}.service" for name in workers.SERVICES}


def test_the_units_are_equal_but_for_what_differs() -> None:
    assert len({without_its_own(name) for name in workers.SERVICES}) == 1
    networks = {name: settings(NETWORK.findall(unit(name))[0]) for name in workers.SERVICES}
    local = ["IPAddressDeny=any", "IPAddressAllow=localhost"]
    assert networks == {name: [] if name in INTERNET else local for name in workers.SERVICES}


def test_the_target_enables_every_worker() -> None:
    lines = settings((SYSTEMD / "toast.target").read_text("utf-8"))
    assert [line for line in lines if line.startswith("Also=")] == [
        f"Also=toast-{name}.service" for name in workers.SERVICES
    ]


@pytest.mark.parametrize("service", workers.SERVICES)
def test_a_unit_agrees_with_the_worker(service: str) -> None:
    lines = dict(line.split("=", 1) for line in settings(unit(service)) if "=" in line)
    assert lines["Type"] == "notify"
    assert lines["RestartPreventExitStatus"] == str(exit_codes.BAD_SETTINGS)
    assert int(lines["TimeoutStopSec"]) > worker_process.STOP_SECONDS + 3
    assert int(lines["WatchdogSec"]) > 3 * worker_process.SUPERVISE_SECONDS


def test_systemd_knows_every_line(tmp_path: Path) -> None:
    for path in (SYSTEMD / "toast.target", *SYSTEMD.glob("*.service")):
        # A command that this machine has: nothing is installed here.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text("utf-8"), flags=re.M)
        (tmp_path / path.name).write_text(text)
    verified = systemd_analyze("verify", *map(str, tmp_path.glob("toast*")))
    # Its exit code is 0 even for unknown lines.
    assert [line for line in verified.stderr.splitlines() if "toast" in line] == []


@pytest.mark.parametrize("service", workers.SERVICES)
def test_a_unit_leaves_little_exposed(service: str) -> None:
    path = str(SYSTEMD / f"toast-{service}.service")
    output = systemd_analyze("security", "--offline=true", "--no-pager", path).stdout
    found = re.search(r"exposure level for \S+: (\S+)", output)
    assert found, output
    assert float(found[1]) <= (1.2 if service in INTERNET else 0.9)


# --- supervisord ------------------------------------------------------------------------------


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


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
    checkout = parsed((ROOT / "supervisord.conf").read_text("utf-8"))
    assert on_a_vm.sections() == checkout.sections()
    for section in checkout.sections():
        added = {"user", "environment"} if section == "supervisord" else set()
        assert set(on_a_vm[section]) == set(checkout[section]) | added
        for name, value in checkout[section].items():
            if "%(here)s" not in value:
                assert on_a_vm[section][name] == value
    assert on_a_vm["supervisord"]["user"] == "toast"


def test_supervisord_listens_on_no_port(on_a_vm: configparser.RawConfigParser) -> None:
    assert "inet_http_server" not in on_a_vm
    assert on_a_vm["unix_http_server"]["chmod"] == "0700"
