"""An engine that is one process on loopback and answers over HTTP: Kafka Connect, Zipkin, Prometheus."""

from typing import ClassVar

import httpx

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.ports import LOOPBACK

READY_S = 600.0
"""Seconds alone on two cores; minutes where every engine starts at once on a busy machine."""
LOOK_S = 2.0
"""How long one look at whether it is ready may take."""


class ServedEngine:
    """One running server. Its kind says which path answers when it is ready, and how long stopping may take."""

    READY_PATH: ClassVar[str]
    STOP_S: ClassVar[float]

    def __init__(self, process: child.Child, *, port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{LOOPBACK}:{self.port}"

    def wait_ready(self) -> None:
        """Wait until it answers; one that does not is killed.

        :raises EngineFailedError: when it does not.
        """
        try:
            self.process.wait_until(self._answers, seconds=READY_S)
        except BaseException:
            self.process.kill()
            raise

    def stop(self) -> None:
        """Stop it in order."""
        self.process.stop(seconds=self.STOP_S)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}{self.READY_PATH}", timeout=LOOK_S, trust_env=False).is_success
        except httpx.HTTPError:
            return False
