"""The settings of the page: where it listens, who is believed, and that no worker doubts them."""

import pytest

import workers
from common import config
from common.cli import loading
from common.config import Listen, SettingsError
from common.scheduling import service_settings

PROXY = {"WEB_BEHIND_PROXY": "true", "WEB_USER_HEADER": "X-Remote-User"}


def load(monkeypatch: pytest.MonkeyPatch, **settings: str) -> config.Settings:
    for name, value in {"DB_HOST": "localhost", "DB_USER": "toast", **settings}.items():
        monkeypatch.setenv(name, value)
    return loading.settings_of_page()


def fault(monkeypatch: pytest.MonkeyPatch, **settings: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, **settings)
    [line] = caught.value.faults
    return line


@pytest.mark.parametrize(
    ("written", "listen", "url"),
    [
        ("/run/toast-web/web.sock", ("/run/toast-web/web.sock", 0), "unix:/run/toast-web/web.sock"),
        ("127.0.0.1:9180", ("127.0.0.1", 9180), "http://127.0.0.1:9180"),
        ("127.1.2.3:9180", ("127.1.2.3", 9180), "http://127.1.2.3:9180"),
        ("[::1]:9180", ("::1", 9180), "http://[::1]:9180"),
        ("[0:0::1]:9180", ("::1", 9180), "http://[::1]:9180"),
    ],
)
def test_it_listens_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, written: str, listen: tuple[str, int], url: str
) -> None:
    found = load(monkeypatch, WEB_LISTEN=written)[config.WEB_LISTEN]

    assert found == Listen(*listen)
    assert found.url == url


@pytest.mark.parametrize(
    "written",
    ["0.0.0.0:9180", "10.0.0.5:9180", "[::]:9180", "[fd00::5]:80", "[::ffff:1.2.3.4]:1"],
)
def test_it_listens_elsewhere_only_behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    assert "which other machines can reach" in fault(monkeypatch, WEB_LISTEN=written)
    assert not load(monkeypatch, WEB_LISTEN=written, **PROXY)[config.WEB_LISTEN].is_socket


@pytest.mark.parametrize(
    "written",
    [
        *("9180", ":9180", "localhost:9180", "::1:9180", "127.0.0.1", "127.0.0.1:0", "[::1]"),
        *("127.0.0.1:65536", "300.0.0.1:1", "[x]:1", "web.sock", "./web.sock", f"/{'x' * 107}"),
    ],
)
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    assert fault(monkeypatch, WEB_LISTEN=written).startswith("WEB_LISTEN in the environment is ")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"WEB_BEHIND_PROXY": "true"}, "WEB_USER_HEADER is not set; expected the name of a header"),
        (
            {"WEB_USER_HEADER": "X-User"},
            "WEB_USER_HEADER is set, but not used; expected WEB",
        ),
        ({**PROXY, "WEB_USER_HEADER": "X_User"}, "WEB_USER_HEADER in the environment is 'X_User'"),
        ({**PROXY, "WEB_PROXIES": "proxy"}, "WEB_PROXIES in the environment is 'proxy'"),
        ({"WEB_HOSTS": "a b"}, "WEB_HOSTS in the environment is 'a b'"),
        ({"WEB_ACTIONS": "some"}, "WEB_ACTIONS in the environment is 'some'"),
        ({"WEB_SECRET_FILE": "secret"}, "WEB_SECRET_FILE in the environment is 'secret'"),
    ],
)
def test_every_fault_is_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: str
) -> None:
    assert fault(monkeypatch, **settings).startswith(expected)


def test_neither_the_page_nor_a_worker_doubts_settings_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for service in map(workers.load, workers.SERVICES):
        for variable in (*config.COMMON, *service.variables, *config.PAGE):
            monkeypatch.setenv(variable.name, variable.default or "")
    monkeypatch.setenv("KAFKA_BROKERS", "localhost:9092")

    assert load(monkeypatch).warnings == ()
    for service in map(workers.load, workers.SERVICES):
        assert service_settings.load(service, complete=False).warnings == ()
    monkeypatch.setenv("WEB_HOST", "localhost")
    [warning] = load(monkeypatch).warnings
    assert warning == "WEB_HOST in the environment is not a setting; did you mean WEB_HOSTS?"
