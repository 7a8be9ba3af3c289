"""Where a request goes: scheme, host and port."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from common.remote.http.egress import netloc

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """``host`` is a name or an address without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """host:port, IPv6 in brackets."""
        return netloc(self.host, self.port)

    @property
    def host_header(self) -> str:
        """The host, and the port if it is not the scheme's own."""
        is_default = self.port == DEFAULT_PORTS[self.scheme]
        return netloc(self.host, None if is_default else self.port)


def origin_of(url: str) -> Origin:
    """The origin of an http or https URL."""
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])
