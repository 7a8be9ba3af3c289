"""The lines that switch off the schedulers of the live services."""

from collections.abc import Mapping, Sequence

from common.scheduling import grants
from common.scheduling.service import Service


def text(services: Sequence[Service], containers: Mapping[str, str]) -> str:
    """The lines for an `.env`, and as an override file of Compose.

    ``containers`` has the names that live services have in their Compose file, where known. A
    scheduler that is off by default replaces none there.
    """
    remarks = [f"# {each.name}: {each.live.stays_on}" for each in services if each.live.stays_on]
    lines = [
        "# In the .env of the live service, which is restarted after that:",
        *(f"{name}=false" for service in services for name in switches(service)),
        "",
        "# Or as docker-compose.override.yml, beside the Compose file:",
        "services:",
        *(line for service in services for line in _override(service, containers)),
    ]
    return "\n".join([*remarks, *lines])


def switches(service: Service) -> list[str]:
    """The variables that switch off the schedulers of the live service."""
    return [each.enabled.name for each in service.schedulers if grants.is_expected(each)]


def _override(service: Service, containers: Mapping[str, str]) -> list[str]:
    name = containers.get(service.name, f"{service.name}-service")
    values = [f'      {switch}: "false"' for switch in switches(service)]
    return [f"  {name}:", "    environment:", *values]
