"""TLS handshakes that find out why a client library refuses a server: it tells too little."""

import socket
import ssl

HANDSHAKE_SECONDS = 3.0

# OpenSSL's codes (X509_V_ERR_...) of a certificate that does not pass.
EXPIRED = (9, 10)
OTHER_NAME = (62, 64)


def handshake(host: str, port: int, context: ssl.SSLContext, *, greeting: bytes = b"") -> None:
    """Connect and shake hands, after a ``greeting`` that is answered with one byte.

    Raises OSError; of its kinds ssl.SSLCertVerificationError says why a certificate is refused.
    """
    with socket.create_connection((host, port), HANDSHAKE_SECONDS) as plain:
        if greeting:
            plain.sendall(greeting)
            plain.recv(1)
        with context.wrap_socket(plain, server_hostname=host):
            pass
