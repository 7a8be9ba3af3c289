"""Every generated file and region, and the function that returns its text."""

from collections.abc import Callable, Mapping
from functools import partial

from common.cli import roles
from devservers.checkout import ROOT
from generate import (
    completion,
    deployment,
    manual,
    metrics,
    regions,
    rooms,
    schedulers,
    settings,
    wire_format,
)
from generate.services import SERVICES

Content = Callable[[], str]

FILES: Mapping[str, Content] = {
    "db/roles.sql": lambda: f"{roles.sql(SERVICES)}\n",
    "deploy/share/toast.1": manual.page,
    **{
        f"deploy/share/toast.{shell}": partial(completion.script, shell)
        for shell in ("bash", "fish", "zsh")
    },
    "docs/settings.md": settings.document,
    **{
        name.format(service.name): partial(content, service)
        for service in SERVICES
        for name, content in (
            ("systemd/toast-{}.service", deployment.unit),
            ("workers/{}/__main__.py", deployment.main_module),
        )
    },
}

REGIONS: Mapping[str, Mapping[str, Content]] = {
    "README.md": {"schedulers": schedulers.table},
    "docs/architecture.md": {"rooms": rooms.picture},
    "docs/evidence.md": {"promises": rooms.promises},
    "docs/install.md": {"credentials": deployment.credentials_table},
    "docs/metrics.md": {"metrics": metrics.table},
    "docs/takeover.md": {"switches": schedulers.switches, "topics": schedulers.topics},
    "docs/wire-format.md": {"messages": wire_format.messages},
    "monitoring/prometheus.yml": {"targets": deployment.scrape_targets},
    "supervisord.conf": {"programs": deployment.programs},
    "systemd/toast-.service.d/10-toast.conf": {"credentials": deployment.shared_credentials},
    "systemd/toast.target": {"units": deployment.enabled_units},
}

NAMES = sorted([*FILES, *REGIONS])


def current(name: str) -> str:
    """The text of the file now; empty if there is none."""
    path = ROOT / name
    return path.read_text("utf-8") if path.exists() else ""


def expected(name: str) -> str:
    """The text that the file must have. Raises ValueError if it lacks a region."""
    if name in FILES:
        return FILES[name]()
    text = current(name)
    try:
        for region, content in REGIONS[name].items():
            text = regions.replace(text, region, content())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return text
