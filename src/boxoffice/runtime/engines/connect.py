"""One Kafka Connect worker with Debezium's PostgreSQL connector, its REST interface on loopback."""

import os
import signal
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.java import java
from boxoffice.runtime.engines.locks import lock
from boxoffice.runtime.engines.served import ServedEngine

JAVA = 17
HEAP = "512m"
PROPERTIES = """\
bootstrap.servers={servers}
group.id={group}
config.storage.topic={group}.configs
offset.storage.topic={group}.offsets
status.storage.topic={group}.status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=1
status.storage.partitions=1
offset.flush.interval.ms=1000
listeners=http://{host}:{port}
rest.advertised.host.name={host}
rest.advertised.port={port}
plugin.path={plugins}
plugin.discovery=service_load
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
scheduled.rebalance.max.delay.ms=0
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
"""
"""Secrets come from the worker's environment (``${env:NAME}`` in a connector): REST shows the reference only."""
LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.c.ref = c
appender.c.type = Console
appender.c.name = c
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d %p %c - %m%n
"""


class Connect(ServedEngine):
    """One running worker; ``url`` is the value of ``BOXOFFICE_CONNECT_URL``. Stopping, it delivers what it read."""

    READY_PATH = "/connectors"
    STOP_S = 30.0


def start(
    folder: Path,
    *,
    servers: str,
    log: Path,
    group: str = "boxoffice.connect",
    port: int | None = None,
    secrets: Mapping[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> Connect:
    """Begin to start a worker; ``wait_ready`` is yours. What it knows is kept on the bus, under ``group``.

    ``secrets`` are variables of its environment that connectors refer to.

    :raises EngineError: when there is no Java or Connect, or the folder cannot be used.
    """
    files, program = fetched(lock("connect"), say=say), java(JAVA)
    plugins = _unpacked(files)
    folder.mkdir(parents=True, exist_ok=True)
    child.end_leftovers(folder, stop_signal=signal.SIGTERM, seconds=Connect.STOP_S)
    port = port or free_port()
    properties, logging = folder / "worker.properties", folder / "log4j2.properties"
    properties.write_text(
        PROPERTIES.format(servers=servers, host=LOOPBACK, port=port, plugins=plugins, group=group)
    )  # fmt: skip
    logging.write_text(LOGGING)
    command: list[str | Path] = [
        program, f"-Xmx{HEAP}", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        f"-Dlog4j2.configurationFile=file:{logging.resolve()}", "-cp", f"{files}/*",
        "org.apache.kafka.connect.cli.ConnectDistributed", properties.resolve(),
    ]  # fmt: skip
    process = child.start(
        command, name="Kafka Connect", log=log, folder=folder, environment={**os.environ, **(secrets or {})}
    )
    return Connect(process, port=port)


def start_ready(
    folder: Path, *, servers: str, log: Path, port: int | None = None, group: str = "boxoffice.connect",
    secrets: Mapping[str, str] | None = None,
) -> Connect:  # fmt: skip
    """Start a worker and wait until it takes connectors."""
    worker = start(folder, servers=servers, log=log, port=port, group=group, secrets=secrets)
    worker.wait_ready()
    return worker


def _unpacked(files: Path) -> Path:
    """Unpack the connectors beside their archives, once."""
    plugins = files / "plugins"
    if not plugins.exists():
        part = files / f"plugins.{os.getpid()}.part"
        for archive in files.glob("*-plugin.tar.gz"):
            with tarfile.open(archive) as packed:
                packed.extractall(part, filter="data")
        try:
            part.rename(plugins)
        except OSError:  # another process was quicker
            if not plugins.exists():
                raise
    return plugins
