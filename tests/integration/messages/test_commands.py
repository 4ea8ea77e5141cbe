"""``boxoffice messages`` over both engines: what could not be taken is listed, and taken again when it is asked for."""

from pathlib import Path
from uuid import UUID

import pytest
from tests.integration.messages.conftest import KAFKA
from tests.integration.messages.facts import TOPIC, tell, until
from tests.support.commands import run

from boxoffice.cli.exits import Exit
from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus import Consumer, open_bus
from boxoffice.runtime.bus.streams import StreamBus
from boxoffice.runtime.database import Database
from boxoffice.runtime.relay import Relay


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("engine", ["streams", KAFKA])
async def test_dead_letters_are_listed_and_replayed(
    engine: str,
    database: Database,
    stream_bus: StreamBus,
    redis_url: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    settings = {"BOXOFFICE_REDIS_URL": redis_url}
    if engine == "kafka":
        settings["BOXOFFICE_BUS_URL"] = (
            f"{request.getfixturevalue('kafka_server').url}/{request.getfixturevalue('shop')}"
        )
    refused: list[UUID] = []
    taken: list[UUID] = []

    async def refuse(envelope: Envelope) -> None:
        refused.append(envelope.message_id)
        raise ValueError("not today")

    async def take(envelope: Envelope) -> None:
        taken.append(envelope.message_id)

    async with open_bus(settings.get("BOXOFFICE_BUS_URL", ""), stream_bus.redis) as bus:
        folder = ["--data-dir", str(tmp_path / "data")]
        assert "No consumer" in run("messages", "dead", *folder, **settings).stdout
        await tell(database, ("a", 1))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming([Consumer(name="moody", topics=[TOPIC], take=refuse)]):
            await until(lambda: len(refused) == 5)
            await until(lambda: _has_letters(bus))
        listed = run("messages", "dead", *folder, **settings)
        assert listed.returncode == Exit.FINDINGS
        assert str(refused[0]) in listed.stdout
        wrong = run("messages", "replay", "nobody", *folder, **settings)
        assert wrong.returncode == Exit.REFUSED
        assert "moody has" in wrong.stderr
        said = run("messages", "replay", "moody", "--only", str(refused[0]), *folder, **settings)
        assert (said.returncode, said.stderr) == (Exit.OK, "")
        async with bus.consuming([Consumer(name="moody", topics=[TOPIC], take=take)]):
            await until(lambda: bool(taken))
        assert taken == refused[:1]
        assert run("messages", "dead", *folder, **settings).returncode == Exit.OK


async def _has_letters(bus: object) -> bool:
    from boxoffice.runtime.bus import Bus

    assert isinstance(bus, Bus)
    return bool([letter async for letter in bus.dead_letters("moody")])
