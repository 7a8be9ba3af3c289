"""An Apache Kafka with TLS, logins and access lists, and certificates of a private CA.

Its listeners differ by what they ask of a client: MUTUAL a certificate, LOGIN TLS and SASL,
CLEAR a login without TLS. WRONG_NAME and EXPIRED show a certificate that a client must refuse.
``address`` is an unprotected listener, for the tests themselves.
"""

from devservers.child_processes import TemporaryFolder
from devservers.kafka import KafkaServer
from devservers.tls.certificates import CLIENT, Certificates

# Of PLAIN and SCRAM; the second one may write only to topics that an access list names.
USER, PASSWORD = "toast", "correct-horse"
LIMITED_USER, LIMITED_PASSWORD = "limited", "battery-staple"

LISTENERS = {
    "MUTUAL": "SSL",
    "LOGIN": "SASL_SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "WRONG_NAME": "SSL",
    "EXPIRED": "SSL",
}

_MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
_MODULES = "org.apache.kafka.common.security"


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
            # A connection ends with its token, if it shows no new one before.
            lines.append(f"{prefix}oauthbearer.connections.max.reauth.ms=3600000")
    return "\n".join(lines) + "\n"
