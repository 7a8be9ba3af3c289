"""Apache Kafka itself, one node on loopback, for tests that need a real broker.

`mvn` fetches its jars from Maven Central, once, into `.cache/` of the checkout.
"""

import base64
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from devservers.checkout import CACHE
from devservers.child_processes import FolderServer, ServerError, free_port, poll_until
from devservers.needs import Unavailable, program

VERSION = "3.9.2"
LIBRARIES = CACHE / f"kafka-{VERSION}"
START_SECONDS = 90
STOP_SECONDS = 30

POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>toast</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
# After a kill the controller accepts the same broker again only after this time.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# Workers must create missing topics themselves: the live brokers may not.
auto.create.topics.enable=false
"""


class KafkaServer(FolderServer):
    """One node with one data folder and one port; `address` is its host:port."""

    def __init__(
        self,
        settings: str = "",
        *,
        data: Path | None = None,
        listeners: Mapping[str, str] = MappingProxyType({}),
        scram_users: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``settings`` are additional lines of server.properties, ``data`` is another data folder,
        ``listeners`` names of more listeners with their protocols, ``scram_users`` names and
        passwords.

        Raises Unavailable without Java, or if its jars cannot be fetched.
        """
        self._libraries = _libraries()
        super().__init__("kafka")
        protocols = {"PLAINTEXT": "PLAINTEXT", **listeners}
        self.listeners = {name: f"127.0.0.1:{free_port()}" for name in protocols}
        self.address = self.listeners["PLAINTEXT"]
        self._scram_users = scram_users
        self._settings = self._folder.path / "server.properties"
        self._settings.write_text(
            SETTINGS.format(
                listeners=",".join(f"{name}://{at}" for name, at in self.listeners.items()),
                protocols=",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
                controller_port=free_port(),
                data=data or self._folder.path / "data",
            )
            + settings
        )
        self._format()

    def start(self) -> None:
        """Start on the same port and data as before, and wait until it answers."""
        self._process.start([*self._java("-Xmx384m"), "kafka.Kafka", self._settings])
        if not self._process.wait_until(self._answers, START_SECONDS):
            raise ServerError(f"Kafka did not start:\n{self._process.log_end}")

    def stop(self) -> None:
        """Shut it down in order; its data stays."""
        self.thaw()
        self._process.stop(signal.SIGTERM, STOP_SECONDS)

    def freeze(self) -> None:
        """Keep its connections open without answers, until `thaw`."""
        if pid := self._process.pid:
            self._process.send(signal.SIGSTOP)
            # Its threads continue until one of them has received the signal.
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self._process.send(signal.SIGCONT)

    def create_topic(self, name: str, partitions: int = 3, **settings: str) -> None:
        """Create a topic and wait until the broker serves it; settings with _ for dots."""
        admin = AdminClient({"bootstrap.servers": self.address})
        config = {key.replace("_", "."): value for key, value in settings.items()}
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)
        poll_until(lambda: name in admin.list_topics(timeout=10).topics, 30)

    def _java(self, *options: str) -> list[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
        return [_program("java"), *options, quiet, "-cp", f"{self._libraries}/*"]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        subprocess.run(
            [
                *(*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format"),
                *(f"--cluster-id={cluster}", "--config", self._settings),
                *(
                    f"--add-scram={mechanism}=[name={name},password={password}]"
                    for name, password in self._scram_users.items()
                    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
                ),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _answers(self) -> bool:
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        try:
            client.list_topics(timeout=2)
        except KafkaException:
            return False
        return True


def _libraries() -> Path:
    """The folder with Kafka's jars, which are fetched if it does not exist."""
    _program("java")
    if not LIBRARIES.is_dir():
        _fetch()
    return LIBRARIES


def _program(name: str) -> str:
    return program(name, of="Apache Kafka", packages="default-jre-headless maven")


def _fetch() -> None:
    maven = _program("mvn")
    LIBRARIES.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=LIBRARIES.parent, prefix="kafka-") as folder:
        Path(folder, "pom.xml").write_text(POM)
        fetched = subprocess.run(
            [maven, "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=libraries"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if fetched.returncode != 0:
            first, *_ = fetched.stdout.splitlines() or [""]
            why = f"mvn could not fetch it: {first}"
            raise Unavailable("Apache Kafka", why, "let mvn reach a Maven repository")
        # Renamed last, so that an existing folder is complete.
        if not LIBRARIES.is_dir():
            os.rename(Path(folder, "libraries"), LIBRARIES)
