"""Battle.net's access tokens: one for each host and client, shared by this process."""

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.logging import redaction
from workers.warcraft.battle_net import json_reader
from workers.warcraft.battle_net.api_request import request
from workers.warcraft.battle_net.errors import InvalidReply, NotFound, Refused, Unavailable
from workers.warcraft.battle_net.json_reader import Faults

if TYPE_CHECKING:
    from common.remote.http.client import Client

# A token is not used in its last five minutes: it might expire on the way.
SPARE_SECONDS = 300.0
# Battle.net returns the same token until it expires, also in its last minutes: getting it before
# every request then would double the traffic.
LEAST_SECONDS = 10.0
# The life of a token whose reply does not tell it; one that ends sooner is refused and renewed.
DEFAULT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Credentials:
    """The API client, and the URL of its tokens."""

    token_url: str
    id: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """HTTP basic authentication."""
        return f"Basic {base64.b64encode(f'{self.id}:{self.secret}'.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    use_until: float


class Tokens:
    """The tokens in use; safe to share between threads: one of them gets a new token."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[Credentials, _Token] = {}

    def get(self, http: "Client", credentials: Credentials, *, refused: str = "") -> str:
        """Return a token, a new one if the last has expired or is the one ``refused``.

        Raises Refused if the credentials are refused, and Unavailable if a retry may help.
        """
        with self._lock:
            token = self._tokens.get(credentials)
            if token is None or token.value == refused or self._clock() >= token.use_until:
                token = self._fetch(http, credentials)
                self._tokens[credentials] = token
            return token.value

    def _fetch(self, http: "Client", credentials: Credentials) -> _Token:
        redaction.register([credentials.authorization.removeprefix("Basic ")])
        requested_at = self._clock()
        try:
            body = request(
                "battle_net_oauth",
                http,
                "POST",
                credentials.token_url,
                credentials.authorization,
                name="token reply",
                data={"grant_type": "client_credentials"},
            )
        except (Refused, NotFound, InvalidReply) as error:
            raise Refused(
                f"{error} (are BLIZZARD_CLIENT_ID and BLIZZARD_CLIENT_SECRET those of a client of "
                "this region's Battle.net?)"
            ) from error
        try:
            reply = json_reader.parse(body, "token reply")
            value = reply.text("access_token")
        except InvalidReply as error:
            raise Unavailable(str(error)) from error
        redaction.register([value])
        given = Faults().part(reply.whole, "expires_in")
        seconds = DEFAULT_SECONDS if given is None else given
        return _Token(
            value, requested_at + max(seconds - SPARE_SECONDS, min(seconds, LEAST_SECONDS))
        )


TOKENS = Tokens()
