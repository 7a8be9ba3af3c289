"""`make test-vm`: an administrator's day with the workers, on a booted Debian with its systemd.

Not among the files that `make test` collects, for it takes minutes. The tests are one story, in
the order they stand in. PostgreSQL and the broker run on this machine, whose loopback is the
container's as well. Where no container can run the reason is shown; with CI=true that is a failure.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
import pytest

import workers
from common.scheduling.under_way import heartbeat
from devservers import live_tables
from devservers.child_processes import poll_until
from devservers.postgres import PostgresServer
from testing.database import TestDatabase
from testing.topics import Topic
from tests.project.vm.container import CHECKOUT, Container
from tests.project.vm.operator_day import Manager, OperatorDay, create_role
from tests.support.background import in_background
from tests.support.expired_links import EXPIRED

UNITS = [f"toast-{name}" for name in workers.SERVICES]
TOPIC = "link.expired"

# A stop takes at most that long, as the README promises.
STOP_SECONDS = 15.0
OUTAGE_SECONDS = 60.0
# After that a pass counts as stalled, and WatchdogSec= begins to run out.
STALLED_SECONDS = heartbeat.STALLED_SECONDS + 15
WATCHDOG_SECONDS = 60 + 30

RELEASES = "/opt/toast-workers/releases"
UNIT_FOLDER = "/usr/local/lib/systemd/system"
MANUAL_AND_COMPLETION = (
    "/usr/local/share/man/man1/toast.1",
    "/usr/local/share/bash-completion/completions/toast",
    "/usr/local/share/zsh/site-functions/_toast",
    "/etc/fish/completions/toast.fish",
)


@dataclass(frozen=True, slots=True)
class Vm:
    """The container, and the servers that its workers use."""

    debian: Container
    database: TestDatabase
    brokers: str

    def run(self, command: str) -> str:
        return self.debian.run(command)

    def active(self) -> list[str]:
        """The workers that are active now."""
        output = self.debian.attempt(f"systemctl is-active {' '.join(UNITS)}").stdout.split()
        return [unit for unit, state in zip(UNITS, output, strict=True) if state == "active"]

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run(f"systemctl show --property {name} --value {unit}")

    def processes(self) -> dict[str, str]:
        """The main process of every worker."""
        return {unit: self.show(unit, "MainPID") for unit in UNITS}

    def operate(self, manager: Manager) -> None:
        """Play an operator's day."""

        def attempt(command: str) -> tuple[int, str]:
            finished = self.debian.attempt(command)
            return finished.returncode, finished.stdout

        OperatorDay(self.database, attempt, manager).play()

    def set_interval(self, interval: str) -> None:
        """Write how often links are looked at."""
        self.set("link", f"LINK_EXPIRATION_INTERVAL={interval}")

    def set(self, file: str, *lines: str) -> None:
        """Write a settings file anew."""
        self.debian.write(f"/etc/toast/{file}.env", "".join(f"{line}\n" for line in lines))

    def add_link(self) -> str:
        """Add a link that has expired; its id."""
        return str(self.database.insert("link_links", expires_at=EXPIRED)["id"])

    def expire_one(self) -> None:
        """See one event come out for one link."""
        topic = Topic(self.brokers, TOPIC)
        link = self.add_link()
        assert [message.key for message in topic.read(1)] == [link]

    @contextmanager
    def links_all_the_time(self) -> Iterator[list[str]]:
        """Add links until the block ends; then each must have had one event, none two."""
        topic, links, done = Topic(self.brokers, TOPIC), [], threading.Event()

        def add() -> None:
            while not done.wait(0.05):
                links.append(self.add_link())

        with in_background(done, add):
            yield links
        assert links
        assert sorted(message.key for message in topic.read(len(links))) == sorted(links)


@pytest.fixture(scope="module")
def vm(mock_broker: str) -> Iterator[Vm]:
    with ExitStack() as stack:
        debian = stack.enter_context(Container())
        server = stack.enter_context(PostgresServer(durable=False))
        database = TestDatabase(server, "toxictoast")
        with psycopg.connect(**server.connection(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE toxictoast")
        with database.connect() as connection:
            connection.execute(live_tables.sql().encode())
        yield Vm(debian, database, mock_broker)


def owners(vm: Vm) -> set[str]:
    """The users that workers run as."""
    return set(vm.run("ps -eo user=,args= | awk '/toast [r]un/ { print $1 }'").split())


def settings(vm: Vm) -> list[str]:
    pairs = {**vm.database.environment, "KAFKA_BROKERS": vm.brokers, "METRICS_PORT": "0"}
    return [f"{name}={value}" for name, value in pairs.items()]


# --- systemd ----------------------------------------------------------------------------------

# An interpreter of its own in a folder: `{0}`.
INTERPRETER = """
mkdir -p {0}/bin {0}/lib
cp /usr/bin/python3.11 {0}/bin/python3
ln -sfn /usr/lib/python3.11 {0}/lib/python3.11
chmod 0700 {0}
"""
# What an installation begins with, where it is there.
CHANGED = "ls -d /opt/* /etc/toast 2>/dev/null; getent passwd toast || true"


@pytest.mark.parametrize(
    ("python", "made_by"),
    [
        ("{0}/bin/python3", "true"),
        ("/usr/local/bin/linked", "ln -sfn {0}/bin/python3 /usr/local/bin/linked"),
        ("/srv/venv/bin/python", "{0}/bin/python3 -m venv --clear --without-pip /srv/venv"),
    ],
    ids=["itself", "behind a link", "below an environment"],
)
@pytest.mark.parametrize("folder", ["root", "home", "tmp", "srv"])
def test_an_interpreter_that_no_worker_can_run_is_refused(
    vm: Vm, folder: str, python: str, made_by: str
) -> None:
    place = f"/{folder}/python"
    vm.run(f"{INTERPRETER}{made_by}".format(place))

    refused = vm.debian.attempt(f"make -C {CHECKOUT} install PYTHON={python.format(place)}")

    assert refused.returncode != 0
    assert f" {place}/bin/python3" in refused.stdout
    assert "make install PYTHON=/usr/bin/python3" in refused.stdout
    assert vm.run(CHANGED) == ""


def test_a_prefix_that_no_worker_can_see_is_refused(vm: Vm) -> None:
    vm.run("ln -sfn /home /srv/code")
    refused = vm.debian.attempt(f"make -C {CHECKOUT} install PREFIX=/srv/code/toast")
    assert "workers cannot see /srv/code/toast" in refused.stdout
    assert vm.run(CHANGED) == ""


def test_it_installs_and_shows_the_next_steps(vm: Vm) -> None:
    output = vm.run(f"cd {CHECKOUT} && make install")

    assert "toast migrate" in output
    assert "systemctl enable --now toast.target" in output
    names = ["toast", *workers.SERVICES, "web"]
    listed = vm.run("stat --format '%n %a %U:%G' /etc/toast/*").splitlines()
    assert listed == sorted(f"/etc/toast/{name}.env 640 root:toast" for name in names)
    example = vm.run("cat /etc/toast/*.env")
    assert all(line.startswith("#") for line in example.splitlines() if line)
    assert "#LINK_EXPIRATION_INTERVAL=1h" in example
    assert len(vm.run(f"readlink -e {' '.join(MANUAL_AND_COMPLETION)}").splitlines()) == 4
    # Nothing of it can be changed by the user that the workers run as.
    assert vm.run(f"find {RELEASES} -not -user root -o -perm /022 -not -type l") == ""


def test_the_units_are_what_systemd_understands(vm: Vm) -> None:
    paths = " ".join(f"{UNIT_FOLDER}/{unit}.service" for unit in UNITS)
    assert vm.run(f"systemd-analyze verify {paths} toast.target") == ""


def test_eight_workers_start_as_the_readme_describes(vm: Vm) -> None:
    vm.set("toast", *settings(vm))
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.set("warcraft", "BLIZZARD_CLIENT_ID=id", "BLIZZARD_CLIENT_SECRET=secret")

    assert "applied" in vm.run("toast migrate")
    assert "link-expiration" in vm.run("toast once link --dry-run")
    vm.run("systemctl enable --now toast.target")

    assert poll_until(lambda: vm.active() == UNITS, 30), vm.active()
    vm.expire_one()
    assert owners(vm) == {"toast"}


def test_the_status_is_one_line_that_stays_current(vm: Vm) -> None:
    line = r"link-expiration ok (just now|\d+ s ago); outbox empty"

    def says_so() -> bool:
        return re.fullmatch(line, vm.show("toast-link", "StatusText")) is not None

    assert poll_until(says_so, 20)
    assert re.search(f'Status: "{line}"', vm.run("systemctl status --no-pager toast-link"))


@pytest.mark.parametrize("unit", UNITS)
def test_a_worker_is_exposed_no_more_than_it_must_be(vm: Vm, unit: str) -> None:
    output = vm.run(f"systemd-analyze security --no-pager {unit}").splitlines()[-1]
    found = re.search(r"exposure level for \S+: (\S+)", output)
    assert found, output
    needs_internet = unit in ("toast-notification", "toast-warcraft", "toast-webhook")
    assert float(found[1]) <= (1.2 if needs_internet else 0.9)


def test_one_worker_restarts_alone(vm: Vm) -> None:
    before = vm.processes()
    vm.run("systemctl restart toast-foodfolio")
    after = vm.processes()

    assert [unit for unit in UNITS if after[unit] != before[unit]] == ["toast-foodfolio"]
    assert vm.active() == UNITS


def test_all_stop_in_time_and_start_again(vm: Vm) -> None:
    started = time.monotonic()
    vm.run("systemctl stop toast.target")
    assert time.monotonic() - started < STOP_SECONDS

    assert vm.active() == []
    assert {vm.show(unit, "Result") for unit in UNITS} == {"success"}
    vm.run("systemctl start toast.target")
    assert vm.active() == UNITS


def test_the_journal_has_priorities(vm: Vm) -> None:
    everything = vm.run("journalctl --unit toast-link --output cat --no-pager")
    worse = vm.run("journalctl --unit toast-link --output cat --no-pager --priority warning")
    assert '"level": "info"' in everything
    assert '"level": "info"' not in worse
    assert not re.search(r"^<\d>", everything, re.MULTILINE)


def test_an_operator_acts_under_systemd(vm: Vm) -> None:
    create_role(vm.database, vm.run("toast roles"))
    manager = Manager(
        pid=lambda service: int(vm.show(f"toast-{service}", "MainPID")),
        log=lambda: vm.run("journalctl --unit toast-link --output cat --no-pager"),
        reload=lambda: vm.run("systemctl reload toast-link"),
        set_interval=vm.set_interval,
    )
    vm.operate(manager)
    assert vm.active() == UNITS


EXAMPLE = f"{CHECKOUT}/systemd/examples/credentials.conf"
DROP_INS = "/etc/systemd/system/toast-link.service.d"
ENCRYPTED = "/etc/credstore.encrypted"


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("", "> /etc/credstore/toast.DB_PASSWORD"),
        ("LoadCredential=", "> /etc/credstore/toast-link.DB_PASSWORD"),
        (
            "LoadCredentialEncrypted=",
            f"| systemd-creds encrypt --name=DB_PASSWORD - {ENCRYPTED}/toast.DB_PASSWORD",
        ),
    ],
    ids=["as it is", "of one service", "encrypted"],
)
def test_a_secret_is_a_credential_if_it_is_there(vm: Vm, line: str, stored: str) -> None:
    assert vm.run("ls /run/credentials/toast-link.service") == ""
    vm.run(f"install -d -m 0700 /etc/credstore {ENCRYPTED} {DROP_INS}")
    if line:
        vm.run(f"(echo '[Service]' && grep '^#{line}' {EXAMPLE} | tr -d '#') > {DROP_INS}/a.conf")
    vm.run(f"umask 077; echo '{vm.database.environment['DB_PASSWORD']}' {stored}")
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s", "DB_PASSWORD=not-this-one")

    vm.run("systemctl daemon-reload && systemctl restart toast-link")
    vm.expire_one()
    vm.run("CREDENTIALS_DIRECTORY=/run/credentials/toast-link.service toast check link")

    vm.run(f"rm -r /etc/credstore {ENCRYPTED} {DROP_INS} && systemctl daemon-reload")
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("systemctl restart toast-link")


def test_a_key_is_a_credential(vm: Vm) -> None:
    vm.run(f"mkdir {DROP_INS} && cp {EXAMPLE} {DROP_INS} && systemctl daemon-reload")
    tls = ("KAFKA_SECURITY_PROTOCOL=SSL", "KAFKA_SSL_CERTIFICATE_LOCATION=/etc/passwd")
    vm.set("link", *tls)
    vm.debian.attempt("systemctl restart toast-link")
    assert vm.show("toast-link", "ExecMainStatus") == "78"

    vm.run("install -d -m 0700 /etc/credstore")
    vm.run("umask 077; echo key > /etc/credstore/toast.KAFKA_SSL_KEY_LOCATION.pem")
    vm.run("systemctl restart toast-link")

    vm.run(f"rm -r /etc/credstore {DROP_INS} && systemctl daemon-reload")
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("systemctl restart toast-link")


# Asks for a page at the socket of the worker, as this user, without a proxy or a library.
AT_THE_SOCKET = """runuser -u {user} -- python3 -c '
import http.client, socket
asked = http.client.HTTPConnection("localhost")
asked.sock = socket.socket(socket.AF_UNIX)
asked.sock.connect("/run/toast-link/metrics.sock")
asked.request("GET", "/readyz")
print(asked.getresponse().status)'"""


def test_metrics_are_at_a_socket_which_other_users_cannot_open(vm: Vm) -> None:
    example = f"{CHECKOUT}/systemd/examples/metrics-socket.conf"
    vm.run(f"mkdir {DROP_INS} && cp {example} {DROP_INS} && systemctl daemon-reload")
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s", "METRICS_PORT=9803")
    vm.run("systemctl restart toast-link")

    def is_ready() -> bool:
        asked = [vm.debian.attempt(AT_THE_SOCKET.format(user=user)) for user in ("root", "toast")]
        return [each.stdout for each in asked] == ["200\n", "200\n"]

    assert poll_until(is_ready, 20)
    refused = vm.debian.attempt(AT_THE_SOCKET.format(user="nobody"))
    assert "PermissionError" in refused.stdout
    vm.run("systemctl kill --signal KILL toast-link")
    assert poll_until(is_ready, 20)

    vm.run("systemctl stop toast-link")
    assert vm.debian.attempt("ls /run/toast-link").returncode != 0
    vm.run(f"rm -r {DROP_INS} && systemctl daemon-reload")
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("systemctl start toast-link")


# Asks for a page, posts a form of it if there is one to post, and shows what follows.
AT_THE_PAGE = """runuser -u {user} -- python3 -c '
import http.client, re, socket
def ask(method, path, body=None, **headers):
    asked = http.client.HTTPConnection("localhost")
    asked.sock = socket.socket(socket.AF_UNIX)
    asked.sock.connect("/run/toast-web/web.sock")
    asked.request(method, path, body, headers)
    answer = asked.getresponse()
    return answer.getheader("Set-Cookie"), answer.read().decode()
cookie, text = ask("GET", "{page}")
if "{form}":
    body = "csrf=" + re.search("name=.csrf. value=.([^\\"]+)", text)[1]
    kind = {{"Content-Type": "application/x-www-form-urlencoded"}}
    ask("POST", "{page}/{form}", body, Cookie=cookie.partition(";")[0], **kind)
    cookie, text = ask("GET", "{page}")
print(text)'"""


def test_the_page_knows_who_opened_its_socket_and_acts_for_them(vm: Vm) -> None:
    assert vm.debian.attempt("systemctl is-active toast-web").stdout.strip() == "inactive"
    vm.run("useradd --groups toast anna && systemctl enable --now toast-web")
    files = vm.run("stat --format '%a %U:%G' /run/toast-web /run/toast-web/web.sock")
    assert files.splitlines() == ["750 toast:toast", "660 toast:toast"]
    assert vm.run("stat --format %a /run/toast-web/secret") == "600"
    output = vm.run("systemd-analyze security --no-pager toast-web").splitlines()[-1]
    assert float(output.rpartition(": ")[2].split()[0]) <= 1.2

    page = "/schedulers/link/link-expiration"
    nobody = AT_THE_PAGE.format(user="nobody", page=page, form="")
    assert "PermissionError" in vm.debian.attempt(nobody).stdout
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1h")
    vm.run("systemctl restart toast-link")
    assert poll_until(lambda: " ok " in vm.show("toast-link", "StatusText"), 20)
    link = vm.add_link()
    vm.run(AT_THE_PAGE.format(user="anna", page=page, form="try"))
    tried = AT_THE_PAGE.format(user="anna", page=f"{page}/dry-run", form="")
    assert poll_until(lambda: link in vm.run(tried), 20), vm.run(tried)
    vm.run(AT_THE_PAGE.format(user="anna", page=page, form="run-now"))
    changed = "SELECT 1 FROM link_links WHERE id = %s AND NOT is_active"
    is_changed = poll_until(lambda: bool(vm.database.query(changed, link)), 20)
    assert is_changed, vm.run("journalctl --no-pager --unit toast-web")
    by_anna = "SELECT subject FROM toast_audit WHERE action = 'trigger' AND login = 'anna'"
    [done] = vm.database.query(by_anna)
    assert done["subject"] == "link link-expiration"

    vm.run("systemctl disable --now toast-web")
    assert vm.debian.attempt("ls /run/toast-web").returncode != 0
    assert vm.show("toast-web", "Result") == "success"
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("systemctl restart toast-link")


# Of this machine, but not `localhost` to systemd. PostgreSQL does not listen there.
OWN_ADDRESS = """python3 -c '
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.connect(("192.0.2.1", 9))
    print(probe.getsockname()[0])'"""


def test_a_worker_reaches_other_machines_only_where_a_drop_in_allows_it(vm: Vm) -> None:
    def status_has(words: str) -> bool:
        return words in vm.run("journalctl --unit toast-link --output cat --no-pager -n 20")

    address, folder = vm.run(OWN_ADDRESS), "/etc/systemd/system/toast-link.service.d"
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s", f"DB_HOST={address}")
    vm.run("systemctl restart toast-link")
    assert poll_until(lambda: status_has("timeout expired"), 30)

    allow = f"sed 's/192.0.2.10/{address}/' {CHECKOUT}/systemd/examples/network.conf"
    vm.run(f"mkdir -p {folder} && {allow} > {folder}/network.conf")
    vm.run("systemctl daemon-reload && systemctl restart toast-link")
    assert poll_until(lambda: status_has("Connection refused"), 30)

    vm.run(f"rm -r {folder} && systemctl daemon-reload")
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("systemctl restart toast-link")


def test_postgresql_may_be_away_for_a_minute(vm: Vm) -> None:
    before = vm.processes()
    vm.database.server.stop()
    time.sleep(OUTAGE_SECONDS)
    assert vm.active() == UNITS
    assert "link-expiration failed" in vm.show("toast-link", "StatusText")

    vm.database.server.start()

    vm.expire_one()
    assert vm.processes() == before


def test_bad_settings_end_a_worker_once_and_for_all(vm: Vm) -> None:
    vm.set("link", "LINK_EXPIRATION_INTERVAL=soon")
    vm.debian.attempt("systemctl restart toast-link")
    assert poll_until(lambda: vm.show("toast-link", "ActiveState") == "failed", 20)
    assert vm.show("toast-link", "ExecMainStatus") == "78"

    time.sleep(8)  # longer than RestartSec

    assert vm.show("toast-link", "ActiveState") == "failed"
    assert vm.show("toast-link", "NRestarts") == "0"
    output = vm.run("journalctl --unit toast-link --priority err --output cat --no-pager -n 5")
    assert "LINK_EXPIRATION_INTERVAL in /etc/toast/link.env is 'soon'" in output
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("systemctl start toast-link")


def test_a_worker_that_was_killed_comes_back(vm: Vm) -> None:
    before = vm.show("toast-link", "MainPID")
    vm.run("systemctl kill --signal KILL toast-link")
    assert poll_until(lambda: vm.show("toast-link", "MainPID") not in ("0", before), 20)
    vm.expire_one()


# The threads of a worker but its first, which watches the others, stopped by the kernel.
FREEZE = """
set -e
cd /sys/fs/cgroup/system.slice/toast-link.service
mkdir hang
echo threaded > hang/cgroup.type
for thread in $(ls /proc/{pid}/task); do
    [ "$thread" = {pid} ] || echo "$thread" > hang/cgroup.threads
done
echo 1 > hang/cgroup.freeze
"""

BLOCKED = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def test_the_watchdog_ends_a_worker_whose_loop_hangs(vm: Vm) -> None:
    pid = vm.show("toast-link", "MainPID")
    with vm.database.connect(autocommit=False) as connection:
        connection.execute("LOCK TABLE link_links")
        assert poll_until(lambda: bool(vm.database.query(BLOCKED)), 20)
        vm.run(FREEZE.format(pid=pid))

    # Its first thread lives and logs the fault, but no longer notifies the watchdog.
    stalled = "link-expiration has made no progress"
    assert poll_until(lambda: stalled in vm.show("toast-link", "StatusText"), STALLED_SECONDS, 1)
    assert vm.show("toast-link", "MainPID") == pid
    assert poll_until(
        lambda: vm.show("toast-link", "MainPID") not in ("0", pid), WATCHDOG_SECONDS, 1
    )

    journal = vm.run("journalctl --unit toast-link --output cat --no-pager --since -5min")
    assert "Watchdog timeout" in journal
    vm.expire_one()


def test_all_come_back_after_a_reboot(vm: Vm) -> None:
    vm.debian.reboot()
    assert poll_until(lambda: vm.active() == UNITS, 30), vm.active()
    vm.expire_one()


# --- upgrades ---------------------------------------------------------------------------------


def release(vm: Vm) -> str:
    return vm.run("readlink /opt/toast-workers/current")


def test_an_upgrade_loses_no_event_and_keeps_the_settings(vm: Vm) -> None:
    settings_before, before = vm.run("sha256sum /etc/toast/*"), release(vm)
    processes = vm.processes()
    newer = f"cp -r {CHECKOUT} /srv/newer; sed -i 's/^version = .*/version = 99.1/' /srv/newer"
    vm.run(f"{newer}/setup.cfg")

    with vm.links_all_the_time():
        output = vm.run("cd /srv/newer && make install")
        assert "Still running the release before: toast-blog.service" in output
        assert vm.processes() == processes

        output = vm.run("cd /srv/newer && make install RESTART=1")
        assert "Restarted: toast-blog.service" in output
        assert poll_until(lambda: vm.active() == UNITS, 30)

    assert release(vm) != before
    assert release(vm).startswith("releases/99.1-")
    assert vm.run("sha256sum /etc/toast/*") == settings_before
    assert before.removeprefix("releases/") in vm.run(f"ls {RELEASES}")


NO_CODE = "/etc/systemd/system/toast-.service.d/no-code.conf"


@pytest.mark.parametrize(
    ("fault", "mended_by", "words"),
    [
        (
            "sed -i 's/--hash=sha256:..../--hash=sha256:0000/' /srv/newer/requirements*.lock",
            f"cp {CHECKOUT}/requirements*.lock /srv/newer",
            "HASHES",
        ),
        (
            "chmod 0600 /etc/toast/link.env",
            "chmod 0640 /etc/toast/link.env",
            "/etc/toast/link.env cannot be read",
        ),
        (
            f"install -D /dev/null {NO_CODE}; echo '[Service]\nInaccessiblePaths=/opt' > {NO_CODE}",
            f"rm -r $(dirname {NO_CODE})",
            "status=203/EXEC",
        ),
    ],
    ids=["a package", "settings", "the sandbox"],
)
def test_an_upgrade_that_fails_changes_nothing(
    vm: Vm, fault: str, mended_by: str, words: str
) -> None:
    before, releases = release(vm), vm.run(f"ls {RELEASES}")
    vm.run(fault)

    failed = vm.debian.attempt("cd /srv/newer && make install")

    vm.run(mended_by)
    assert failed.returncode != 0
    assert words in failed.stdout
    assert words == "HASHES" or "journalctl -u toast-smoke-test" in failed.stdout
    assert release(vm) == before
    assert vm.run(f"ls {RELEASES}") == releases
    assert vm.active() == UNITS
    assert vm.run("systemctl list-units --all --quiet toast-smoke-test.service") == ""


# What a release had that this one has not, and a unit of another project. All of it runs.
OTHER_UNITS = f"""
cd {UNIT_FOLDER}
sed -e 's/link/gone/; s/notify/exec/; s/^ExecStart=.*/ExecStart=sleep 999/' toast-link.service \
    > toast-gone.service
echo '# Written by `make install`.' > toast-.service.d/20-gone.conf
printf '[Service]\nExecStart=sleep 999\n' > toast-other.service
systemctl daemon-reload
systemctl enable --quiet toast-gone
systemctl start toast-gone toast-other
"""


def test_an_upgrade_removes_what_the_new_release_has_not(vm: Vm) -> None:
    before = set(vm.run(f"ls {UNIT_FOLDER} {UNIT_FOLDER}/toast-.service.d").split())
    vm.run(OTHER_UNITS)

    vm.run("cd /srv/newer && make install")

    after = set(vm.run(f"ls {UNIT_FOLDER} {UNIT_FOLDER}/toast-.service.d").split())
    assert after == before | {"toast-other.service"}
    assert vm.run("find /etc/systemd/system -name '*gone*'") == ""
    states = vm.debian.attempt("systemctl is-active toast-gone toast-other").stdout.split()
    assert states == ["inactive", "active"]


def test_an_earlier_release_can_be_gone_back_to(vm: Vm) -> None:
    earlier = vm.run(f"ls -t {RELEASES} | tail -n 1")
    vm.run(f"ln -sfn releases/{earlier} /opt/toast-workers/current")
    vm.run("systemctl restart toast.target")

    assert vm.active() == UNITS
    assert earlier in vm.run("systemctl status --no-pager toast-link")
    vm.expire_one()


# --- supervisord ------------------------------------------------------------------------------


def programs(vm: Vm) -> dict[str, str]:
    """The state of every program, as an administrator sees it."""
    lines = vm.debian.attempt("supervisorctl status").stdout.splitlines()
    return dict(line.split()[:2] for line in lines)


def all_run(vm: Vm) -> bool:
    states = programs(vm)
    # The page is off, unless `restart all` has started it. Before supervisord listens, nothing is.
    return states.pop("toast-web", None) != "RUNNING" and states == dict.fromkeys(UNITS, "RUNNING")


def start_supervisord(vm: Vm) -> None:
    vm.run("setsid supervisord >/dev/null 2>&1 &")
    assert poll_until(lambda: all_run(vm), 30), programs(vm)


def test_both_may_be_up_by_mistake(vm: Vm) -> None:
    with vm.links_all_the_time():
        start_supervisord(vm)
        assert vm.active() == UNITS
        time.sleep(3)


def test_supervisord_runs_eight_workers_as_an_ordinary_user(vm: Vm) -> None:
    vm.run("systemctl disable --now toast.target " + " ".join(UNITS))
    assert all_run(vm)
    vm.expire_one()
    assert owners(vm) == {"toast"}
    assert vm.run("stat --format %a /var/lib/toast/supervisor.sock") == "700"
    assert not vm.run("ls /var/lib/toast").count(".env")


def test_supervisord_restarts_one_worker_alone(vm: Vm) -> None:
    before = vm.run("supervisorctl pid toast-blog"), vm.run("supervisorctl pid toast-foodfolio")
    vm.run("supervisorctl restart toast-foodfolio")
    after = vm.run("supervisorctl pid toast-blog"), vm.run("supervisorctl pid toast-foodfolio")
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert all_run(vm)


def test_an_operator_acts_under_supervisord(vm: Vm) -> None:
    manager = Manager(
        pid=lambda service: int(vm.run(f"supervisorctl pid toast-{service}")),
        log=lambda: vm.run("cat /var/log/toast/toast-link.log*"),
        reload=lambda: vm.run("supervisorctl signal HUP toast-link"),
        set_interval=vm.set_interval,
    )
    vm.operate(manager)
    assert all_run(vm)


def test_bad_settings_stay_exited(vm: Vm) -> None:
    vm.set("link", "LINK_EXPIRATION_INTERVAL=soon")
    vm.debian.attempt("supervisorctl restart toast-link")
    assert poll_until(lambda: programs(vm)["toast-link"] == "EXITED", 20), programs(vm)
    time.sleep(3)  # a restart comes after a second
    assert programs(vm)["toast-link"] == "EXITED"
    assert "LINK_EXPIRATION_INTERVAL" in vm.run("tail -n 3 /var/log/toast/toast-link.log")
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("supervisorctl start toast-link")


def test_an_outage_ends_nothing_under_supervisord(vm: Vm) -> None:
    vm.database.server.stop()
    time.sleep(10)
    assert all_run(vm)
    vm.database.server.start()
    vm.expire_one()


def test_a_new_supervisord_beside_orphans_does_no_harm(vm: Vm) -> None:
    with vm.links_all_the_time():
        vm.run("kill -KILL $(cat /var/lib/toast/supervisord.pid)")
        start_supervisord(vm)
        orphans = vm.run("ps -eo ppid=,pid=,args= | awk '$1 == 1 && /toast [r]un/ { print $2 }'")
        assert len(orphans.split()) == len(UNITS)
        time.sleep(3)
    vm.run(f"kill {' '.join(orphans.split())}")


def test_an_upgrade_reaches_supervisord_by_a_restart(vm: Vm) -> None:
    with vm.links_all_the_time():
        output = vm.run(f"make -C {CHECKOUT} install")
        assert "toast migrate && supervisorctl restart all" in output
        assert "Next" not in output
        vm.run("supervisorctl restart all")
    current = release(vm).removeprefix("releases/")
    started = vm.run("ps -eo args= | grep 'toast [r]un'").splitlines()
    assert len(started) == len(UNITS)
    assert all(current in line for line in started)


# --- the end ----------------------------------------------------------------------------------


def test_uninstalling_leaves_settings_and_data(vm: Vm) -> None:
    settings_before = vm.run("sha256sum /etc/toast/*")
    vm.run(OTHER_UNITS)
    output = vm.run(f"cd {CHECKOUT} && make uninstall")

    assert "/etc/toast" in output
    assert vm.run("sha256sum /etc/toast/*") == settings_before
    left_running = "ps --user toast -o args= || true"
    assert poll_until(lambda: vm.run(left_running) == "", 20), vm.run(left_running)
    left = "find / -xdev -name '*toast*' -not -path '/proc/*' -not -path '/srv/*'"
    found = vm.run(f"{left} -not -path '/var/log/*' -not -path '/sys/*' -prune").split()
    assert sorted(found) == ["/etc/toast", f"{UNIT_FOLDER}/toast-other.service", "/var/lib/toast"]
    assert vm.database.query("SELECT 1 FROM toast_runs LIMIT 1")


def test_a_package_makes_the_user_and_its_folders_on_its_machine(vm: Vm) -> None:
    vm.run("userdel toast && rm -r /etc/toast /var/lib/toast /var/log/toast")
    package = "DESTDIR=/srv/package UNITDIR=/usr/lib/systemd/system"
    vm.run("install -d -o nobody /srv/package")
    vm.run(f"runuser -u nobody -- make -C {CHECKOUT} install {package}")
    assert vm.run(CHANGED) == ""

    # What installing a package does.
    vm.run("cp -dR --preserve=mode /srv/package/. / && systemctl daemon-reload")
    vm.run("systemd-sysusers && systemd-tmpfiles --create toast-workers.conf")

    assert set(vm.run("stat --format '%a %U:%G' /etc/toast/*").splitlines()) == {"640 root:toast"}
    folders = vm.run("stat --format '%a %U:%G' /etc/toast /var/lib/toast /var/log/toast")
    assert folders.splitlines() == ["750 root:toast", "750 toast:toast", "750 toast:toast"]
    vm.set("toast", *settings(vm))
    vm.set("link", "LINK_EXPIRATION_INTERVAL=1s")
    vm.run("systemctl start toast-link")
    vm.expire_one()
