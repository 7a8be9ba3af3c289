"""PEM files of a private CA, for servers with TLS and for their clients."""

import datetime
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

CLIENT = "toast-client"
KEY_PASSWORD = "of-the-key"


class Certificates:
    """PEM files of a private CA, of what it has issued, and of another CA."""

    def __init__(self, folder: Path) -> None:
        authority, other = trustme.CA(), trustme.CA()
        self._folder = folder
        self.authority, self.other_authority = folder / "ca.pem", folder / "other-ca.pem"
        authority.cert_pem.write_to_path(self.authority)
        other.cert_pem.write_to_path(self.other_authority)
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        self.stores = {
            "server": self._store(authority.issue_cert("127.0.0.1", "localhost")),
            "WRONG_NAME": self._store(authority.issue_cert("kafka.example.org")),
            "EXPIRED": self._store(authority.issue_cert("127.0.0.1", not_after=yesterday)),
        }
        self.certificate, self.key = self._client(authority, "client")
        self.strange_certificate, self.strange_key = self._client(other, "stranger")

    def _client(self, authority: trustme.CA, name: str) -> tuple[Path, Path]:
        """The files of a client's certificate and of its key, which has a password."""
        issued = authority.issue_cert("toast.example.org", common_name=CLIENT)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        key.write_bytes(_pkcs8(issued, BestAvailableEncryption(KEY_PASSWORD.encode())))
        key.chmod(0o600)  # libpq refuses a key that others can read
        return certificate, key

    def _store(self, issued: trustme.LeafCert) -> Path:
        """A file with key and certificate."""
        path = self._folder / f"{len(list(self._folder.iterdir()))}.store.pem"
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        path.write_bytes(_pkcs8(issued, NoEncryption()) + chain)
        return path


def _pkcs8(issued: trustme.LeafCert, encryption: KeySerializationEncryption) -> bytes:
    """The key as PKCS 8, the only form that Kafka reads."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
