"""A real Connect worker with Debezium for tests, which can be killed and started again."""

import asyncio
from pathlib import Path

from boxoffice.runtime.engines import connect as engine
from boxoffice.runtime.engines.connect import Connect
from boxoffice.runtime.engines.kafka import Kafka


class Worker:
    """A Connect worker that can be killed and started again at its port."""

    def __init__(self, kafka: Kafka, folder: Path, password: str) -> None:
        self._kafka, self._folder, self._secrets = kafka, folder, {"CDC_PASSWORD": password}
        self.connect: Connect = self._start(None)
        self.connect.wait_ready()

    def _start(self, port: int | None) -> Connect:
        return engine.start(
            self._folder / "data", servers=self._kafka.servers, log=self._folder / "connect.log", port=port,
            secrets=self._secrets,
        )  # fmt: skip

    def kill(self) -> None:
        self.connect.process.kill()

    async def start_again(self) -> None:
        """Start it in this thread, which it lives as long as, and wait in another."""
        self.connect = self._start(self.connect.port)
        await asyncio.to_thread(self.connect.wait_ready)
