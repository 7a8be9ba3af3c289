"""The TLS of connections to PostgreSQL, and why a server's certificate is refused."""

import os
import ssl
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from common import config, tls
from common.config import Settings

_REFUSED = "certificate verify failed"
# PostgreSQL's SSLRequest: its length and its code.
_REQUEST = struct.pack("!ii", 8, 80877103)


def parameters(settings: Settings) -> dict[str, Any]:
    """The parameters of libpq for TLS."""
    if settings[config.DB_SSL_ROOT_CERT] == config.SYSTEM:
        _use_certificates_of_the_system()
    return {
        "sslmode": settings[config.DB_SSL_MODE],
        "sslrootcert": settings[config.DB_SSL_ROOT_CERT] or None,
        "sslcert": settings[config.DB_SSL_CERT] or None,
        "sslkey": settings[config.DB_SSL_KEY] or None,
        # Without a password, libpq asks for one at the terminal.
        "sslpassword": settings[config.DB_SSL_KEY_PASSWORD] or "none",
        "channel_binding": settings[config.DB_CHANNEL_BINDING],
    }


def explained(
    error: psycopg.OperationalError,
    servers: Iterable[tuple[str, int]],
    parameters: Mapping[str, Any],
) -> psycopg.OperationalError:
    """The error, with OpenSSL's reason if a certificate was refused: libpq does not say it."""
    if _REFUSED not in str(error):
        return error
    root = parameters["sslrootcert"] or os.path.expanduser(config.LIBPQS_ROOT_CERT)
    context = ssl.create_default_context(cafile=None if root == config.SYSTEM else root)
    context.check_hostname = False  # libpq names the host where it is wrong
    for host, port in servers:
        try:
            tls.handshake(host, port, context, greeting=_REQUEST)
        except ssl.SSLCertVerificationError as refused:
            return type(error)(f"{error} ({host}: {refused.verify_message})")
        except OSError:
            continue
    return error


def _use_certificates_of_the_system() -> None:
    """The OpenSSL of psycopg's wheel looks for them in a folder that no system has."""
    paths = ssl.get_default_verify_paths()
    for name, path in (("SSL_CERT_FILE", paths.cafile), ("SSL_CERT_DIR", paths.capath)):
        if path:
            config.environment_default(name, path)
