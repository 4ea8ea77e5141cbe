"""What a shop says when it is up."""

from pathlib import Path

import pytest
from rich.console import Console

from boxoffice.cli import welcome
from boxoffice.runtime.settings import Settings


def said(**settings: object) -> str:
    known = Settings(public_url="http://127.0.0.1:8000", **settings)  # type: ignore[arg-type] # of several types
    console = Console(width=200)
    with console.capture() as captured:
        console.print(welcome.box(known, Path("data")))
    return captured.get()


class TestDemo:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "shop.example.org"])  # noqa: S104 - nobody listens
    def test_on_an_address_that_others_reach_says_who_can_log_in(self, host: str) -> None:
        assert "Beware" in said(demo=True, host=host)
        assert "Beware" not in said(demo=False, host=host)

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
    def test_on_ones_own_machine_needs_no_warning(self, host: str) -> None:
        assert "administrator@example.org" in said(demo=True, host=host)
        assert "Beware" not in said(demo=True, host=host)
