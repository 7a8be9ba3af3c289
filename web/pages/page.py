"""A page: where it is, its template, and the function that reads its content."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, abort, render_template, request

from common.cli import output
from common.cli.services import UsageError
from common.logging.structures import redact_all
from web.site import Asked, Known, Site


@dataclass(frozen=True, slots=True)
class Page:
    """One page, shown at ``rule`` and given as JSON at ``/api`` + ``rule``.

    ``load(asked, **names of the rule)`` returns its content, a dataclass, in which every text may
    have secrets: they are not shown. LookupError means that there is no such thing, UsageError that
    an argument behind the ``?`` is wrong. ``title`` puts it into the navigation.
    """

    name: str
    rule: str
    load: Callable[..., Any]
    title: str = ""

    def register(self, app: Flask, site: Site) -> None:
        """Serve the page and its JSON."""
        app.add_url_rule(self.rule, self.name, lambda **names: self._html(site, names))
        api = "/api" + (self.rule if self.rule != "/" else "/schedulers")
        app.add_url_rule(api, f"api_{self.name}", lambda **names: self._json(site, names))

    def _html(self, site: Site, names: dict[str, Any]) -> Response:
        known = self._read(site, names)
        html = render_template(f"{self.name}.html", page=self, known=known, content=known.content)
        return Response(html, 503 if known.fault else 200, mimetype="text/html")

    def _json(self, site: Site, names: dict[str, Any]) -> Response:
        known = self._read(site, names)
        about = {"read_at": known.at, "fault": known.fault, "away_since": known.since}
        text = output.as_json({**about, "content": known.content})
        return Response(text, 503 if known.fault else 200, mimetype="application/json")

    def _read(self, site: Site, names: dict[str, Any]) -> Known:
        def load(asked: Asked) -> Any:
            try:
                return redact_all(self.load(asked, **names), site.names)
            except (KeyError, IndexError):
                raise  # a defect
            except LookupError as error:
                abort(404, str(error))
            except UsageError as error:
                abort(400, str(error))

        return site.read(request.full_path.removeprefix("/api"), request.args, load)
