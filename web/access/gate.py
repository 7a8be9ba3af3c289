"""Before and after every request: from where, who asks, and what the browser may do."""

import hashlib
from datetime import timedelta

from flask import Flask, Response, abort, flash, g, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from common import config
from common.config import Settings
from common.logging import logs
from web.access import csrf, login
from web.access.link import Links
from web.access.sessions import SESSION_HOURS, Sessions

MOST_BODY_BYTES = 64 * 1024

_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# What who is not logged in may ask for.
_OPEN = ("login", "log_in", "static")

_HEADERS = {
    # Scripts and styles only from files of this site: what slips into a page is never run.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it a form would be posted with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_log = logs.logger(__name__)


class Gate:
    """Stands before every request of an application."""

    def __init__(self, settings: Settings, secret: bytes) -> None:
        """``secret`` signs sessions and login links."""
        self._secret = secret
        self._hosts = _LOCAL_HOSTS.union(settings[config.WEB_HOSTS])
        self._sessions = Sessions()
        self._who = login.way(settings, self._sessions)
        self._links = Links(secret) if login.takes_links(settings) else None

    def install(self, app: Flask) -> None:
        """Put the gate before the requests, with the pages by which one logs in and out."""
        app.config.update(
            SECRET_KEY=self._secret,
            # Pages of several machines, each at a port of localhost, share one jar of cookies.
            SESSION_COOKIE_NAME=f"toast_{hashlib.sha256(self._secret).hexdigest()[:8]}",
            SESSION_COOKIE_SAMESITE="Strict",
            SESSION_REFRESH_EACH_REQUEST=False,
            PERMANENT_SESSION_LIFETIME=timedelta(hours=SESSION_HOURS),
            MAX_CONTENT_LENGTH=MOST_BODY_BYTES,
        )
        app.jinja_env.globals.update(csrf_field=csrf.field, may_log_out=self._links is not None)
        app.before_request(self._enter)
        app.after_request(_leave)
        if self._links:
            app.add_url_rule("/login", "login", self._ask)
            app.add_url_rule("/login", "log_in", self._log_in, methods=["POST"])
            app.add_url_rule("/logout", "logout", self._log_out, methods=["POST"])

    def _enter(self) -> None:
        # A stranger's website whose name leads to 127.0.0.1 sends its own.
        if _host() not in self._hosts:
            abort(421, "The page was opened by a name that is not in WEB_HOSTS.")
        g.login = self._who()
        if not g.login and request.endpoint not in _OPEN:
            abort(401)
        if request.method not in _SAFE_METHODS:
            csrf.check()

    def _ask(self) -> str:
        """A form, because looking at a link, as a chat program does, must not use it up."""
        return render_template("login.html", link=request.args.get("link", ""))

    def _log_in(self) -> AnyResponse:
        assert self._links
        name = self._links.use(request.form.get("link", ""))
        if not name:
            _log.warning("login_refused")
            abort(401, "The login link is wrong, has been used, or is older than ten minutes.")
        self._sessions.begin(name)
        _log.info("login_accepted", login=name)
        return redirect("/", 303)

    def _log_out(self) -> AnyResponse:
        _log.info("session_ended", login=g.login)
        self._sessions.end()
        flash("You are logged out.", "done")
        return redirect("/login", 303)


def _host() -> str:
    """The name in the Host header, in lower case and without port."""
    host = request.headers.get("Host", "").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdecimal() or not port) else host


def _leave(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
