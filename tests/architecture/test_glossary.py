"""One word, one meaning: states, messages, tables and error codes use the words of GLOSSARY.md and none it forbids."""

import importlib
import pkgutil
import re
import typing
from enum import Enum
from pathlib import Path
from types import ModuleType

import boxoffice
from boxoffice.contracts.messages import catalog, identity, sales
from boxoffice.kernel.errors import DomainError

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "GLOSSARY.md").read_text()
DEFINED = set(re.findall(r"`([^`]+)`", TEXT))
TABLE_NAME = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
CODE = re.compile(r"[a-z]+(\.[a-z][a-z0-9_]*)+")


def forbidden_words() -> set[str]:
    """The "never" column of the words."""
    words: set[str] = set()
    for line in TEXT.split("## States")[0].splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[4] not in {"never", "---", ""}:
            words |= {word.strip() for word in cells[4].split(",")}
    return words - {"message", "category"}  # forbidden for another thing only, and the right word for their own


def modules() -> list[ModuleType]:
    return [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(boxoffice.__path__, "boxoffice.")
        if not found.name.endswith("__main__")
    ]


def error_codes() -> set[str]:
    modules()
    codes, waiting = set(), [DomainError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if "code" in vars(kind) and kind.__module__.startswith("boxoffice."):
            codes.add(kind.code)
    return codes


def states() -> set[str]:
    found = set()
    for module in modules():
        table = vars(module).get("TRANSITIONS")
        if isinstance(table, dict) and ".domain." in module.__name__:
            for (state, _), to in table.items():
                found |= {str(part.value if isinstance(part, Enum) else part) for part in (state, to)}
    return found


def tables() -> set[str]:
    return {
        name
        for path in (ROOT / "migrations").rglob("*")
        if path.suffix in {".sql", ".py"}
        for name in TABLE_NAME.findall(path.read_text())
    }


def messages() -> set[str]:
    kinds = (catalog.EventType, identity.UserType, identity.MailType, sales.OrderType)
    return {name for kind in kinds for name in typing.get_args(kind)} | {
        catalog.TOPIC, identity.TOPIC, identity.MAIL_TOPIC, sales.ORDER_TOPIC, sales.EVENT_TOPIC,
        sales.SEED_RESERVATION_TOPIC, sales.SEED_TICKETS_TOPIC,
    }  # fmt: skip


class TestGlossary:
    def test_knows_every_state(self) -> None:
        assert states(), "no state tables found"
        assert states() <= DEFINED

    def test_knows_every_message(self) -> None:
        assert messages() <= DEFINED

    def test_no_name_uses_a_forbidden_word(self) -> None:
        never = forbidden_words()
        assert {"cart", "lock", "redeem", "amount"} <= never
        names = states() | messages() | tables() | error_codes()
        guilty = {name for name in names if set(re.split(r"[._\-]", name)) & never}
        assert not guilty

    def test_error_codes_are_well_formed(self) -> None:
        codes = error_codes()
        assert codes
        assert not {code for code in codes if not CODE.fullmatch(code)}
        owners = {path.name for path in (ROOT / "src/boxoffice/services").iterdir() if path.is_dir()}
        owners |= {"request", "runtime", "simulator"}
        assert {code.split(".")[0] for code in codes} <= owners
