"""What a process must be told before it starts, and what is said when a part does not start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace

import pytest

from boxoffice.apps import PROCESSES
from boxoffice.apps.starting import NEEDS, PartFailedError, check_needs, running
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import BadSettingsError, Settings


class Part:
    """An application that notes when it is opened and closed, and fails to open when told how."""

    def __init__(self, seen: list[str], name: str, failure: Exception | None = None) -> None:
        self.seen, self.name, self.failure = seen, name, failure

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        if self.failure is not None:
            raise self.failure
        self.seen.append(f"open {self.name}")
        try:
            yield
        finally:
            self.seen.append(f"close {self.name}")


class TestCheckNeeds:
    def test_knows_every_process_and_only_settings_that_exist(self) -> None:
        assert set(NEEDS) == set(PROCESSES)
        assert {name for names in NEEDS.values() for name in names} <= {entry.name for entry in fields(Settings)}

    @pytest.mark.parametrize("process", [name for name in PROCESSES if NEEDS[name]])
    def test_names_everything_that_is_missing_at_once(self, process: str) -> None:
        with pytest.raises(BadSettingsError) as refused:
            check_needs(process, Settings())
        said = str(refused.value).splitlines()
        assert [line.split()[0] for line in said] == [f"BOXOFFICE_{name.upper()}" for name in NEEDS[process]]

    def test_is_content_with_what_is_needed(self) -> None:
        for process, names in NEEDS.items():
            check_needs(process, replace(Settings(), **dict.fromkeys(names, "redis://given")))

    def test_search_needs_no_folder_beside_a_search_server(self) -> None:
        given = dict.fromkeys((name for name in NEEDS["search"] if name != "search_index_dir"), "redis://given")
        check_needs("search", replace(Settings(), **given, search_engine_url="opensearch+http://given"))

    def test_everything_in_one_process_needs_no_address_of_another(self) -> None:
        with pytest.raises(BadSettingsError) as refused:
            check_needs("all", Settings())
        assert "DATABASE_URL" in str(refused.value)
        assert "IDENTITY_URL" not in str(refused.value)


class TestRunning:
    async def test_opens_in_order_and_closes_in_reverse(self) -> None:
        seen: list[str] = []
        async with running({name: Part(seen, name) for name in ("identity", "gateway")}, Peers({})):
            seen.append("inside")
        assert seen == ["open identity", "open gateway", "inside", "close gateway", "close identity"]

    async def test_names_the_part_and_the_cause_within_a_group_and_closes_the_others(self) -> None:
        seen: list[str] = []
        failure = ExceptionGroup("in a task group", [ConnectionRefusedError("nobody listens")])
        parts = {"identity": Part(seen, "identity"), "search": Part(seen, "search", failure)}
        with pytest.raises(PartFailedError, match=r"search did not start: ConnectionRefusedError: nobody listens"):
            async with running(parts, Peers({})):
                pytest.fail("nothing may run")
        assert seen == ["open identity", "close identity"]
