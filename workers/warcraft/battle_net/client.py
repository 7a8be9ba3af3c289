"""The Battle.net API: its settings, and a GET with token, rate limit and retries.

The token is only in the Authorization header, a namespace is always sent, 429 and 5xx are retried
after the time that Battle.net gives, or else with back-off.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from common import config, metrics
from common.backoff import retry_delay
from common.config import Settings, Variable
from common.errors import PassError
from common.remote.http.origin import origin_of
from common.scheduling import Remote
from workers.warcraft.battle_net import addresses, json_reader
from workers.warcraft.battle_net.api_request import request
from workers.warcraft.battle_net.errors import BattleNetError, Refused, StopRequested, Unavailable
from workers.warcraft.battle_net.json_reader import Reader
from workers.warcraft.battle_net.rate_limit import BUDGET
from workers.warcraft.battle_net.tokens import TOKENS, Credentials

if TYPE_CHECKING:
    from common.remote.http.client import Client

CLIENT_ID = config.text("BLIZZARD_CLIENT_ID", "", "Battle.net: id of the API client", secret=True)
CLIENT_SECRET = config.text(
    "BLIZZARD_CLIENT_SECRET", "", "Battle.net: secret of the API client", secret=True
)
REGION = config.choice(
    "BLIZZARD_REGION",
    addresses.REGIONS,
    "us",
    "Battle.net: region of characters and guilds whose own row names none; as in the Go service",
)
_ADDRESS = "an http or https address, such as http://127.0.0.1:8080, or nothing"
API_URL = Variable(
    "BLIZZARD_API_URL",
    addresses.parse_override,
    _ADDRESS,
    "",
    "Battle.net: called instead of every region's API host",
)
OAUTH_URL = Variable(
    "BLIZZARD_OAUTH_URL",
    addresses.parse_override,
    _ADDRESS,
    "",
    "Battle.net: asked for tokens instead of its OAuth hosts",
)
CREDENTIALS = (CLIENT_ID, CLIENT_SECRET)
SETTINGS = (REGION, API_URL, OAUTH_URL, config.OUTBOUND_PROXY, config.OUTBOUND_CA_FILE)

LOCALE = "en_US"

MOST_TRIES = 4
# The longest back-off of a request, in seconds.
MOST_DELAY = 30.0

_API = "battle_net"  # in the metrics
# From the start, at 0: an increase from nothing to 1 is none to Prometheus.
_RETRIES = metrics.RETRIES.labels("warcraft", "request")


class BattleNet:
    """The API for one pass; its threads share it, each has its own connections."""

    def __init__(self, settings: Settings, wait: Callable[[float], bool]) -> None:
        """``wait`` waits for some seconds and returns whether the worker must stop.

        Raises PassError if the credentials are not set; they are optional while the schedulers
        are disabled.
        """
        for variable in CREDENTIALS:
            if not settings[variable]:
                raise PassError(f"{variable.name} is not set")
        self._settings = settings
        self._egress = config.egress(settings)
        self._wait = wait
        self._thread = threading.local()

    def url(self, region: str) -> str:
        """The address that is asked about a region. Raises Unaddressable."""
        return addresses.api_url(region, self._settings[API_URL])

    def get(
        self, region: str, path: str, *, name: str, namespace: str = "profile", locale: str = LOCALE
    ) -> Reader:
        """Return the reply to a GET; ``name`` is its name in error messages.

        Without a ``locale`` every name in it is an object with all locales. Raises a
        BattleNetError, of which Unavailable only after MOST_TRIES.
        """
        url = self.url(region) + path
        query = {"namespace": f"{namespace}-{region}"} | ({"locale": locale} if locale else {})
        tries = 0
        while True:
            tries += 1
            try:
                return json_reader.parse(self._authorized(region, url, query, name), name)
            except Unavailable as error:
                if tries == MOST_TRIES:
                    raise Unavailable(f"{error}, {tries} times") from error
                self._back_off(error, tries)
                _RETRIES.inc()

    def _authorized(self, region: str, url: str, query: dict[str, str], name: str) -> bytes:
        """Send the request, and once more with a new token if this one is refused."""
        credentials = _credentials(self._settings, region)
        token = TOKENS.get(self._http, credentials)
        try:
            return self._send(url, query, token, name)
        except Refused:
            token = TOKENS.get(self._http, credentials, refused=token)
        try:
            return self._send(url, query, token, name)
        except Refused as error:
            raise Refused(f"{error}, with a new token, too") from error

    def _send(self, url: str, query: dict[str, str], token: str, name: str) -> bytes:
        with BUDGET.request(self._wait):
            return request(_API, self._http, "GET", url, f"Bearer {token}", name=name, params=query)

    @property
    def _http(self) -> "Client":
        if not hasattr(self._thread, "client"):
            # Imported here: a worker with nothing to fetch does not load `requests`.
            from common.remote.http.client import Client

            self._thread.client = Client(self._egress)
        client: Client = self._thread.client
        return client

    def _back_off(self, error: Unavailable, tries: int) -> None:
        """Wait; a time given by Battle.net holds for all requests of this client."""
        seconds = error.retry_after
        if seconds is None and error.throttled:
            seconds = 2.0 ** (tries - 1)
        if seconds is not None:
            metrics.rate_limited("warcraft", _API, seconds)
            BUDGET.pause(seconds)
        elif self._wait(retry_delay(tries, MOST_DELAY)):
            raise StopRequested


def _credentials(settings: Settings, region: str) -> Credentials:
    return Credentials(
        addresses.token_url(region, settings[OAUTH_URL]),
        settings[CLIENT_ID],
        settings[CLIENT_SECRET],
    )


def _address(settings: Settings) -> str:
    """Where a connection goes: to the API, or to the proxy before it."""
    if proxy := config.egress(settings).proxy:
        return proxy.address
    return origin_of(addresses.api_url(settings[REGION], settings[API_URL])).address


def _check(settings: Settings) -> str:
    """Get a token and nothing else."""
    from common.remote.http.client import Client

    credentials = _credentials(settings, settings[REGION])
    try:
        TOKENS.get(Client(config.egress(settings)), credentials)
    except BattleNetError as error:
        raise PassError(f"{credentials.token_url} gives none ({error})") from error
    return f"a token from {credentials.token_url}"


REMOTE = Remote("Battle.net", _address, _check)
