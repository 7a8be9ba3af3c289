"""Puts the page together: its pages, actions, and what stands before and behind them."""

from flask import Flask

from web import drawings, errors, formats
from web.access.gate import Gate
from web.actions import ACTIONS
from web.pages import PAGES
from web.site import Site


def create(site: Site, secret: bytes) -> Flask:
    """The WSGI application of one site; ``secret`` signs its logins."""
    app = Flask("web")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update({**formats.FILTERS, **drawings.FILTERS})
    app.jinja_env.globals.update(
        site=site,
        pages=[page for page in PAGES if page.title],
        # The names of the actions that may be done.
        allowed={action.name for action in ACTIONS if site.allows(action.level)},
    )
    Gate(site.settings, secret).install(app)
    errors.install(app)
    for page in PAGES:
        page.register(app, site)
    for action in ACTIONS:
        action.register(app, site)
    return app
