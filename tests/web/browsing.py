"""A client of the page's application, as a browser that follows its forms."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

import workers
from common.cli import loading
from common.cli.services import Services
from common.database.connection import Database
from testing.database import TestDatabase
from testing.processes import environment
from web import app
from web.site import Site


class Compiled(BytecodeCache):
    """The templates of all applications of these tests, compiled once."""

    def __init__(self) -> None:
        self._code: dict[str, Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Set the code of a template that is known."""
        bucket.code = self._code.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        self._code[bucket.key] = bucket.code


_COMPILED = Compiled()
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


def client_of(database: TestDatabase, patch: pytest.MonkeyPatch, **settings: str) -> FlaskClient:
    """A client of the page, with these settings; the services have the same database."""
    for name, value in environment(database, **settings).items():
        patch.setenv(name, value)
    read = loading.settings_of_page()
    site = Site(
        Services(workers.SERVICES, workers.load), read, Database(read, application_name="toast web")
    )
    application = app.create(site, b"secret")
    application.jinja_env.bytecode_cache = _COMPILED
    return application.test_client()


def post(client: FlaskClient, page: str, action: str, **form: object) -> TestResponse:
    """Post a form of this page to the action; the answer is the page that follows."""
    token = _TOKEN.search(client.get(page).text)
    assert token, f"no form on {page}"
    fields = {"csrf": token[1], "back": page, **form}
    answer = client.post(action, data=fields, follow_redirects=True)
    # The page of an error has the message of the action, too.
    assert answer.status_code < 500, answer.text
    return answer
