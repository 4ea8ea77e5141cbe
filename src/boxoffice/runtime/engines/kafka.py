"""One Kafka node (broker and controller in one) on loopback."""

import base64
import secrets
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.errors import EngineFailedError
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.java import java
from boxoffice.runtime.engines.locks import lock

JAVA = 17
READY_S = 600.0
STOP_S = 30.0
HEAP = "512m"
"""What a busy node of ours needs; it rests at 300 MB."""
READY = b"Kafka Server started"
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/logs
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""
LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.c.ref = c
appender.c.type = Console
appender.c.name = c
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d %p %c - %m%n
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
"""


class Kafka:
    """One running node."""

    def __init__(self, process: child.Child, *, port: int) -> None:
        self.process = process
        self.port = port

    @property
    def servers(self) -> str:
        """What clients call "bootstrap servers"."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The value of ``BOXOFFICE_BUS_URL``."""
        return f"kafka://{self.servers}"

    def wait_ready(self) -> None:
        """Wait until it serves.

        :raises EngineFailedError: when it does not.
        """
        self.process.wait_until(lambda: READY in self.process.log.read_bytes(), seconds=READY_S)

    def stop(self) -> None:
        """Stop it in order."""
        self.process.stop(seconds=STOP_S)


def start(folder: Path, *, log: Path, port: int | None = None, say: Callable[[str], None] = print) -> Kafka:
    """Begin to start the node whose data is in ``folder``, which is made when it is not there; ``wait_ready`` is yours.

    :raises EngineError: when there is no Java or Kafka, or the folder cannot be used.
    """
    jars, program = fetched(lock("kafka"), say=say), java(JAVA)
    folder.mkdir(parents=True, exist_ok=True)
    child.end_leftovers(folder, stop_signal=signal.SIGTERM, seconds=STOP_S)
    port, controller = port or free_port(), free_port()
    while controller == port:
        controller = free_port()
    properties, logging = folder / "server.properties", folder / "log4j2.properties"
    properties.write_text(PROPERTIES.format(host=LOOPBACK, port=port, controller=controller, folder=folder.resolve()))
    logging.write_text(LOGGING)
    command: list[str | Path] = [
        program, f"-Xmx{HEAP}", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        f"-Dlog4j2.configurationFile=file:{logging.resolve()}", "-cp", f"{jars}/*",
    ]  # fmt: skip
    if not (folder / "logs" / "meta.properties").exists():
        _format(command, properties)
    process = child.start([*command, "kafka.Kafka", properties.resolve()], name="Kafka", log=log, folder=folder)
    return Kafka(process, port=port)


def start_ready(folder: Path, *, log: Path, port: int | None = None, say: Callable[[str], None] = print) -> Kafka:
    """Start a node and wait until it serves."""
    server = start(folder, log=log, port=port, say=say)
    try:
        server.wait_ready()
    except BaseException:
        server.process.kill()
        raise
    return server


def _format(command: list[str | Path], properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    tool: list[str | Path] = [
        "kafka.tools.StorageTool",
        "format",
        "--standalone",
        f"--cluster-id={cluster}",  # of its own, it might begin with a dash
        "-c",
        properties.resolve(),
    ]
    said = subprocess.run([str(part) for part in (*command, *tool)], capture_output=True, text=True, check=False)  # noqa: S603 - our own command line
    if said.returncode:
        raise EngineFailedError(
            f"Kafka's folder could not be made. It said:\n{said.stdout[-2000:]}{said.stderr[-2000:]}"
        )
