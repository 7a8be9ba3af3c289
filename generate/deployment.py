"""The parts of units, supervisord.conf and prometheus.yml that follow from the services."""

from pathlib import Path

from common import exit_codes
from common.scheduling.scheduler import Service
from devservers.checkout import ROOT
from generate.services import SERVICES

_UNIT = Path("systemd", "toast.service.in")

# Services that call addresses that change; all others may reach this machine only.
_INTERNET = {
    "notification": "it calls Discord, whose addresses change.",
    "warcraft": "it calls Battle.net, whose addresses change.",
    "webhook": "it calls the receivers of webhooks, anywhere; it refuses private addresses itself.",
}
_LOCAL = """\
# It needs no Internet. With PostgreSQL, Kafka or the name server on another machine, allow them:
# systemd/examples/network.conf.
IPAddressDeny=any
IPAddressAllow=localhost"""

_PROGRAM = """\
[program:toast-{name}]
command = %(here)s/.venv/bin/toast run {name}
autorestart = unexpected
exitcodes = {bad_settings}
startsecs = 0
stopwaitsecs = 15
redirect_stderr = true
stdout_logfile = %(here)s/.run/log/toast-{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3"""


def unit(service: Service) -> str:
    """The unit of this service, from systemd/toast.service.in."""
    reason = _INTERNET.get(service.name)
    values = {
        "@SERVICE@": service.name,
        "@SCHEDULERS@": ", ".join(scheduler.name for scheduler in service.schedulers),
        "@NETWORK@": f"# No IPAddressDeny=: {reason}" if reason else _LOCAL,
    }
    text = (ROOT / _UNIT).read_text("utf-8")
    for place, value in values.items():
        text = text.replace(place, value)
    return text


def enabled_units() -> str:
    """The lines of toast.target by which it enables every unit."""
    return "\n".join(f"Also=toast-{service.name}.service" for service in SERVICES)


def programs() -> str:
    """A program of supervisord per service."""
    return "\n\n".join(
        _PROGRAM.format(name=service.name, bad_settings=exit_codes.BAD_SETTINGS)
        for service in SERVICES
    )


def scrape_targets() -> str:
    """A target of Prometheus per service."""
    return "\n".join(
        f'      - {{targets: ["127.0.0.1:{service.metrics_port}"],'
        f" labels: {{service: {service.name}}}}}"
        for service in SERVICES
    )
