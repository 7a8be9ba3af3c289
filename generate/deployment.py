"""What starts, supervises and scrapes a worker, as it follows from the list of services."""

import textwrap
from collections.abc import Sequence
from typing import Any

from common import exit_codes
from common.cli import settings_reference
from common.cli.loading import PAGE
from common.config import COMMON, Variable
from common.scheduling.service import Service
from generate.services import SERVICES

# Services that call addresses that change; all others may reach this machine only.
_INTERNET = {
    "notification": "It calls Discord, whose addresses change.",
    "warcraft": "It calls Battle.net, whose addresses change.",
    "webhook": "It calls the receivers of webhooks, anywhere; it refuses private addresses itself.",
}
_LOCAL = """\
# It needs no Internet. Servers on other machines: systemd/examples/network.conf.
IPAddressDeny=any
IPAddressAllow=localhost"""

# How the name of a setting ends that is the path of a key.
_KEYS = ("_KEY", "_KEY_LOCATION")

# Only what a unit of another project must not get, and what tells the workers apart.
_UNIT = """\
# Written by `make generate`. The rest, and how to change it: toast-.service.d/10-toast.conf.
[Unit]
Description=toast-workers, {name}: {schedulers}

[Service]
Type=notify
ExecStart=/opt/toast-workers/current/bin/toast run {name}
ExecReload=/bin/kill -HUP $MAINPID
User=toast
{rest}

[Install]
WantedBy=toast.target
"""

_MAIN = '''\
"""The worker process toast-{name}, as `toast run {name}` starts it too."""

import sys

from common.worker import worker_process
from workers.{name} import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
'''

_PROGRAM = """\
[program:toast-{name}]
command = %(here)s/.venv/bin/toast {command}
{start}autorestart = unexpected
exitcodes = {bad_settings}
startsecs = 0
stopwaitsecs = 15
redirect_stderr = true
stdout_logfile = %(here)s/.run/log/toast-{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3"""


def main_module(service: Service) -> str:
    """The module by which `python -m workers.<service>` runs this service."""
    return _MAIN.format(name=service.name)


def unit(service: Service) -> str:
    """The unit of this service, without what all units share."""
    reason = _INTERNET.get(service.name)
    network = f"# {reason}" if reason else _LOCAL
    return _UNIT.format(
        name=service.name,
        schedulers=", ".join(scheduler.name for scheduler in service.schedulers),
        rest="\n".join([*_credentials(_own(service)), network]),
    )


def shared_credentials() -> str:
    """The lines by which systemd hands on the secrets and keys of more than one service."""
    shared = {each.name: each for service in SERVICES for each in service.variables}
    own = {each.name for service in SERVICES for each in _own(service)}
    return "\n".join(_credentials([*COMMON, *(shared[name] for name in shared if name not in own)]))


def _own(service: Service) -> list[Variable[Any]]:
    """The settings that no other service has."""
    others = {each.name for other in SERVICES if other is not service for each in other.variables}
    return [each for each in service.variables if each.name not in others]


def credentials_table() -> str:
    """The table of the files by which an operator hands on secrets and keys."""
    rows = [
        f"| {reader} | {', '.join(f'`toast.{name}`' for name in names)} |"
        for reader, variables in settings_reference.sections(SERVICES)
        if (names := _credential_names(variables))
    ]
    return "\n".join(["| read by | files in `/etc/credstore` |", "| --- | --- |", *rows])


def _credentials(variables: Sequence[Variable[Any]]) -> list[str]:
    return [f"LoadCredential={name}:toast.{name}" for name in _credential_names(variables)]


def _credential_names(variables: Sequence[Variable[Any]]) -> list[str]:
    """Secrets are named like the setting; a key is not, because the setting is its path."""
    secrets = [each.name for each in variables if each.secret]
    return [*secrets, *(f"{each.name}.pem" for each in variables if each.name.endswith(_KEYS))]


def enabled_units() -> str:
    """The lines of toast.target by which it enables every unit."""
    names = " ".join(f"toast-{service.name}.service" for service in SERVICES)
    lines = textwrap.wrap(names, 90, break_on_hyphens=False)
    return "\n".join(f"Also={line}" for line in lines)


def programs() -> str:
    """A program of supervisord per service, and one of the page."""
    commands = {service.name: f"run {service.name}" for service in SERVICES}
    return "\n\n".join(
        _PROGRAM.format(
            name=name,
            command=command,
            start="autostart = false\n" if name == PAGE else "",
            bad_settings=exit_codes.BAD_SETTINGS,
        )
        for name, command in {**commands, PAGE: "web"}.items()
    )


def scrape_targets() -> str:
    """A target of Prometheus per service."""
    return "\n".join(
        f'      - {{targets: ["127.0.0.1:{service.metrics_port}"],'
        f" labels: {{service: {service.name}}}}}"
        for service in SERVICES
    )
