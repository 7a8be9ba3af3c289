"""`toast web`: serves the page until it is stopped. `toast web link`: prints a login link."""

import argparse
from urllib.parse import quote

from common import config, exit_codes
from common.cli import loading, output
from common.cli.check.page import INSTALL, missing_libraries
from common.cli.services import Services
from common.config import Settings, SettingsError
from common.errors import PassError
from common.logging import logs, redaction

_log = logs.logger(__name__)


def run(services: Services, options: argparse.Namespace) -> int:
    """Serve the page, or print a link; returns the exit code."""
    if missing := missing_libraries():
        raise SettingsError(
            [f"toast: the page needs what is not installed: {missing} => {INSTALL}"]
        )
    settings = loading.settings_of_page()
    if options.action == "link":
        loading.use(settings)
        return _print_link(settings)
    return _serve(services, settings)


def _serve(services: Services, settings: Settings) -> int:
    from web import process
    from web.configured import database_of
    from web.site import Site

    logs.configure(
        settings[config.LOG_LEVEL], settings[config.LOG_FORMAT], journal=config.journal_stream()
    )
    redaction.register(settings.secrets)
    for warning in settings.warnings:
        _log.warning("setting_questioned", reason=warning)
    return process.run(Site(services, settings, database_of(settings)))


def _print_link(settings: Settings) -> int:
    from web.access import link, login, secret_file

    listen = settings[config.WEB_LISTEN]
    if settings[config.WEB_BEHIND_PROXY]:
        raise PassError("the proxy logs users in, so there are no links (WEB_BEHIND_PROXY=true)")
    if not login.takes_links(settings):
        raise PassError(
            "who can open the socket needs no link: on your own machine run"
            f" `ssh -NL 9180:{listen.address} THIS-MACHINE`, then open http://localhost:9180"
        )
    secret = secret_file.read(settings[config.WEB_SECRET_FILE])
    token = link.make(secret, config.login())
    output.show(f"{listen.url}/login?link={quote(token)}")
    return exit_codes.FINE
