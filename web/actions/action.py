"""An action: where its form is posted, who may do it, and the function that does it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from flask import Flask, abort, flash, g, redirect, request
from werkzeug.wrappers import Response

from common import config
from common.cli.services import UsageError
from common.config import SettingsError
from common.database.advice import advised
from common.errors import PassError
from common.logging import logs
from common.logging.redaction import redact
from web.site import Asked, Site

# A message is in the cookie of the session, of which browsers keep 4 KB.
LONGEST_MESSAGE = 300

# A path of this site: no `//host` and `/\host`, and no blank or tab, which browsers leave out.
_PATH = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")

_log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Action:
    """One action, done by a POST to ``rule``; ``level`` is the WEB_ACTIONS that it needs.

    ``do(asked, **names of the rule)`` does it with the form in ``asked.query``, and returns a line
    about what was done. It raises UsageError if the form is wrong, PassError if it is refused.
    """

    name: str
    rule: str
    level: str
    do: Callable[..., str]

    def register(self, app: Flask, site: Site) -> None:
        """Accept the form."""
        rule, name = self.rule, self.name
        view = lambda **names: self._run(site, names)  # noqa: E731
        app.add_url_rule(rule, name, view, methods=["POST"])

    def _run(self, site: Site, names: dict[str, Any]) -> Response:
        if not site.allows(self.level):
            written = site.settings.written(config.WEB_ACTIONS)
            abort(403, f"WEB_ACTIONS={written} does not allow this.")
        about = {
            "login": g.login,
            "action": self.name,
            "subject": " ".join(map(str, names.values())),
        }
        try:
            with site.connect() as connection:
                text, kind = self.do(Asked(site, connection, request.form), **names), "done"
            _log.info("action_finished", **about, result=text)
        except (UsageError, psycopg.Error, PassError, SettingsError) as error:
            text, kind = redact(advised(str(error), error)), "refused"
            _log.warning("action_failed", **about, reason=text)
        flash(text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}...", kind)
        return redirect(_back(), 303)


def _back() -> str:
    """The page of the form; only a path of this site, so that no link leads elsewhere."""
    back = request.form.get("back", "/")
    return back if _PATH.fullmatch(back) else "/"
