"""The settings of requests that leave for other servers: proxies, and CAs of one's own."""

from common.config import kinds
from common.config.kinds import Variable
from common.config.settings import Settings
from common.remote.http.egress import Egress, parse_proxy


def proxy(name: str, help: str, caution: str = "") -> Variable[str]:
    """An HTTP proxy; empty: none."""

    def parse(text: str) -> str:
        if text:
            parse_proxy(name, text)
        return text

    expected = "http://[user:password@]host:port, or nothing"
    return Variable(name, parse, expected, "", help, secret=True, caution=caution)


OUTBOUND_PROXY = proxy(
    "OUTBOUND_PROXY",
    "HTTP proxy on the way to other servers' APIs, as http://[user:password@]host:port",
)
_FILE = kinds.file("OUTBOUND_CA_FILE", "")


def _ca_file(path: str) -> str:
    if _FILE.parse(path):
        # Imported here: most workers send no such request.
        import ssl

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            raise ValueError("no PEM file with a certificate") from None
    return path


OUTBOUND_CA_FILE = Variable(
    "OUTBOUND_CA_FILE",
    _ca_file,
    f"{_FILE.expected}, with certificates in PEM",
    "",
    "PEM file of CAs that HTTPS requests trust beside the system's, such as that of a proxy that"
    " inspects TLS",
)


def egress(settings: Settings, proxy: Variable[str] = OUTBOUND_PROXY) -> Egress:
    """The way out that these settings describe; the service reads them all."""
    url = settings[proxy]
    return Egress(parse_proxy(proxy.name, url) if url else None, settings[OUTBOUND_CA_FILE])
