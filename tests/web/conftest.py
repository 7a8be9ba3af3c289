"""What the tests of the page in this process have in common."""

import pytest

from common.logging import redaction


@pytest.fixture(autouse=True)
def secrets_of_this_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page registers the passwords of its settings, for the life of its process."""
    monkeypatch.setattr(redaction, "_registry", redaction._Registry())
