"""Forms are accepted only from this page: a token in each form, and what the browser says.

Without it, any website that an operator opens could post a form to the page.
"""

import hmac
import secrets
from urllib.parse import urlsplit

from flask import abort, request, session
from markupsafe import Markup

_FIELD = "csrf"


def field() -> Markup:
    """The hidden field that each form must have."""
    token = session.get(_FIELD)
    if token is None:
        token = session[_FIELD] = secrets.token_urlsafe(24)
        session.permanent = True
    return Markup('<input type="hidden" name="{}" value="{}">').format(_FIELD, token)


def check() -> None:
    """Abort the request unless it was posted by a form of this page."""
    if not _is_from_here():
        abort(403, "The form was posted by another website.")
    expected, given = session.get(_FIELD, ""), request.form.get(_FIELD, "")
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        abort(400, "The form is too old, or your browser keeps no cookies: reload the page.")


def _is_from_here() -> bool:
    """What the browser says about the page of the form; older browsers and programs say less."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host")
