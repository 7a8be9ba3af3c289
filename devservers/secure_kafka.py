"""An Apache Kafka with TLS, logins and access lists, and certificates of a private CA.

Its listeners differ by what they ask of a client: MUTUAL a certificate, LOGIN TLS and SASL,
CLEAR a login without TLS. WRONG_NAME and EXPIRED show a certificate that a client must refuse.
``address`` is an unprotected listener, for the tests themselves.
"""

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

from devservers.child_processes import TemporaryFolder
from devservers.kafka import KafkaServer

# Of PLAIN and SCRAM; the second one may write only to topics that an access list names.
USER, PASSWORD = "toast", "correct-horse"
LIMITED_USER, LIMITED_PASSWORD = "limited", "battery-staple"
CLIENT = "toast-client"
KEY_PASSWORD = "of-the-key"

LISTENERS = {
    "MUTUAL": "SSL",
    "LOGIN": "SASL_SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "WRONG_NAME": "SSL",
    "EXPIRED": "SSL",
}

_MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
_MODULES = "org.apache.kafka.common.security"


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
        client = authority.issue_cert("toast.example.org", common_name=CLIENT)
        self.certificate, self.key = folder / "client.pem", folder / "client.key"
        client.cert_chain_pems[0].write_to_path(self.certificate)
        password = BestAvailableEncryption(KEY_PASSWORD.encode())
        self.key.write_bytes(_pkcs8(client, password))

    def _store(self, issued: trustme.LeafCert) -> Path:
        """A file with key and certificate, as Kafka reads it."""
        path = self._folder / f"{len(list(self._folder.iterdir()))}.store.pem"
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        path.write_bytes(_pkcs8(issued, NoEncryption()) + chain)
        return path


class SecureKafka(KafkaServer):
    """The server; ``listeners`` has the address of each, ``certificates`` the files."""

    def __init__(self) -> None:
        self._certificates_folder = TemporaryFolder("certificates")
        self.certificates = Certificates(self._certificates_folder.path)
        users = {USER: PASSWORD, LIMITED_USER: LIMITED_PASSWORD}
        super().__init__(
            _settings(self.certificates, users), listeners=LISTENERS, scram_users=users
        )

    def remove(self) -> None:
        super().remove()
        self._certificates_folder.remove()


def _settings(certificates: Certificates, users: dict[str, str]) -> str:
    """Lines of server.properties."""
    lines = [
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        f"super.users=User:ANONYMOUS;User:{USER};User:CN={CLIENT}",
        f"sasl.enabled.mechanisms={_MECHANISMS}",
    ]
    logins = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    # Its broker takes tokens without a signature.
    token = "unsecuredLoginStringClaim_sub=broker"
    modules = {
        "plain": f"plain.PlainLoginModule required {logins};",
        "scram-sha-256": "scram.ScramLoginModule required;",
        "scram-sha-512": "scram.ScramLoginModule required;",
        "oauthbearer": f"oauthbearer.OAuthBearerLoginModule required {token};",
    }
    for name, protocol in LISTENERS.items():
        prefix = f"listener.name.{name.lower()}."
        if protocol.endswith("SSL"):
            store = certificates.stores.get(name, certificates.stores["server"])
            lines += [
                f"{prefix}ssl.keystore.type=PEM",
                f"{prefix}ssl.keystore.location={store}",
                f"{prefix}ssl.truststore.type=PEM",
                f"{prefix}ssl.truststore.location={certificates.authority}",
                f"{prefix}ssl.client.auth={'required' if name == 'MUTUAL' else 'none'}",
                f"{prefix}ssl.principal.mapping.rules=RULE:^.*CN=([^,]*).*$/CN=$1/,DEFAULT",
            ]
        if protocol.startswith("SASL"):
            lines += [
                f"{prefix}{mechanism}.sasl.jaas.config={_MODULES}.{module}"
                for mechanism, module in modules.items()
            ]
    return "\n".join(lines) + "\n"


def _pkcs8(issued: trustme.LeafCert, encryption: KeySerializationEncryption) -> bytes:
    """The key as PKCS 8, the only form that Kafka reads."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
