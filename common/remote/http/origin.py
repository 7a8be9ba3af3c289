"""Where a request goes: scheme, host and port."""

from dataclasses import dataclass

from common.remote.http.egress import netloc

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """``host`` is a name or an address without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def host_header(self) -> str:
        """The host, and the port if it is not the scheme's own."""
        is_default = self.port == DEFAULT_PORTS[self.scheme]
        return netloc(self.host, None if is_default else self.port)
