"""A PostgreSQL with TLS, which asks some roles for a certificate.

The role ``CLIENT`` logs in by its certificate alone, from any address; the server's own user by a
password, with TLS or without. Beside 127.0.0.1 it listens on OTHER_HOST, which its certificate
does not name, and on a socket in ``socket_folder``.
"""

import shutil
from pathlib import Path

import psycopg

from devservers.needs import Unavailable
from devservers.postgres import USER, PostgresServer
from devservers.tls.certificates import CLIENT, Certificates

OTHER_HOST = "127.0.0.2"

_SETTINGS = """
listen_addresses = '127.0.0.1,{other_host}'
unix_socket_directories = '{socket_folder}'
ssl = on
ssl_cert_file = '{store}'
ssl_key_file = '{store}'
ssl_ca_file = '{authority}'
"""
_HBA = f"""
hostssl all {CLIENT} 0.0.0.0/0 cert
local all {USER} scram-sha-256
host all {USER} 0.0.0.0/0 scram-sha-256
"""


class SecurePostgres(PostgresServer):
    """The server; ``certificate`` is one of the stores of the ``certificates``.

    Raises Unavailable if no PostgreSQL with TLS is installed.
    """

    def __init__(self, certificates: Certificates, certificate: str = "server") -> None:
        super().__init__(durable=False, binaries=_with_tls())
        self.socket_folder = self._folder.path
        self._store = certificates.stores[certificate]
        self._authority = certificates.authority

    def start(self) -> None:
        super().start()
        with psycopg.connect(**self.connection(), autocommit=True) as connection:
            connection.execute(f'CREATE ROLE "{CLIENT}" LOGIN SUPERUSER'.encode())

    def _initialise(self) -> None:
        super()._initialise()
        store, authority = (self._own(path) for path in (self._store, self._authority))
        self._configure(
            _SETTINGS.format(
                other_host=OTHER_HOST,
                socket_folder=self.socket_folder,
                store=store,
                authority=authority,
            )
        )
        (self._data / "pg_hba.conf").write_text(_HBA)

    def _own(self, path: Path) -> Path:
        """A copy that only the server's user can read."""
        copy = Path(shutil.copy(path, self._folder.path))
        copy.chmod(0o600)
        self._give(copy)
        return copy


def _with_tls() -> Path:
    """The newest PostgreSQL of Debian; that of the wheel has no TLS."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(installed, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        raise Unavailable("PostgreSQL with TLS", "no /usr/lib/postgresql", "apt install postgresql")
    return newest.parent
