"""Messages stay readable: schemas fit those that were released, and a change that does not fit is found."""

import copy
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
Schema = dict[str, Any]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_schemas", ROOT / "scripts" / "check_schemas.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_schemas = script()


@pytest.fixture
def order() -> Schema:
    found: Schema = json.loads((ROOT / "schemas" / "released" / "sales.order.v1" / "1.json").read_text())
    return found


def fact(schema: Schema) -> Schema:
    found: Schema = schema["$defs"]["OrderFact"]
    return found


def rename(schema: Schema) -> None:
    fact(schema)["properties"]["sum"] = fact(schema)["properties"].pop("total")


def change_state(schema: Schema, values: list[str]) -> None:
    fact(schema)["properties"]["state"]["enum"] = values


INCOMPATIBLE: dict[str, tuple[Callable[[Schema], Any], str]] = {
    "removed": (lambda schema: fact(schema)["properties"].pop("reason"), "message.reason is gone"),
    "renamed": (rename, "message.total is gone (or has another name)"),
    "retyped": (
        lambda schema: fact(schema)["properties"].update(total={"type": "number"}),
        "message.total was string and is number",
    ),
    "another format": (
        lambda schema: fact(schema)["properties"].update(orderId={"type": "string"}),
        "message.orderId was string uuid and is string",
    ),
    "required and new": (
        lambda schema: (
            fact(schema)["properties"].update(channel={"type": "string"}),
            fact(schema)["required"].append("channel"),
        ),
        "message.channel is required now",
    ),
    "required at last": (
        lambda schema: fact(schema)["required"].append("reason"),
        "message.reason is required now",
    ),
    "optional at last": (
        lambda schema: fact(schema)["required"].remove("total"),
        "message.total was always there and may be missing now",
    ),
    "a value less": (lambda schema: change_state(schema, ["held", "paying"]), "message.state had the values"),
    "a value more": (
        lambda schema: fact(schema)["properties"]["state"]["enum"].append("lent"),
        "message.state had the values",
    ),
    "never null": (
        lambda schema: fact(schema)["properties"].update(reason={"type": "string"}),
        "message.reason was one of several and is string",
    ),
    "deep inside": (
        lambda schema: schema["$defs"]["OrderTicket"]["properties"].update(price={"type": "integer"}),
        "message.tickets[].price was string and is integer",
    ),
    "in an alternative": (
        lambda schema: schema["$defs"]["RefundTerms"]["properties"].pop("refundPercent"),
        "message.refundTerms.refundPercent is gone",
    ),
}


class TestSchemas:
    def test_fit_what_was_released(self) -> None:
        assert check_schemas.check() == [], "a change that readers of before cannot read needs a topic of its own"

    def test_every_topic_was_released_once(self) -> None:
        assert [topic for topic in check_schemas.topics() if not check_schemas.releases(topic)] == []

    def test_may_gain_what_may_be_missing(self, order: Schema) -> None:
        changed = copy.deepcopy(order)
        fact(changed)["properties"]["channel"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
        fact(changed)["description"] = "Said better."
        changed["$defs"]["OrderTicket"]["properties"]["gate"] = {"type": "string", "default": ""}
        assert check_schemas.misfits(order, changed) == []
        assert check_schemas.misfits(order, order) == []

    @pytest.mark.parametrize("change", INCOMPATIBLE)
    def test_may_not_change_otherwise(self, order: Schema, change: str) -> None:
        changed, (seed, said) = copy.deepcopy(order), INCOMPATIBLE[change]
        seed(changed)
        found = check_schemas.misfits(order, changed)
        assert any(text.startswith(said) for text in found), found

    def test_a_topic_may_not_vanish(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(check_schemas, "CURRENT", tmp_path)
        assert "sales.order.v1: it was released and has no schema any more" in check_schemas.check()
