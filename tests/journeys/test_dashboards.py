"""Every query of every dashboard and rule gives figures, asked of a real Prometheus that watched real processes sell."""

import json
import math
import re
import time
from typing import Any

import httpx
import pytest
import yaml
from tests.journeys.test_full import bought
from tests.support.buying import Answer, ok, visitor, wait_until
from tests.support.deploy import DEPLOY
from tests.support.full import FullShop

from boxoffice.apps import PROCESSES

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(600)]

DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
ONLY_WHEN = {
    "boxoffice_upstream_failures_total": "a service is away",
    "boxoffice_database_wait_seconds": "a pool has no connection left",
    "process:database_waits:ratio5m": "a pool has no connection left",
    'outcome="dead"': "a consumer could not take a message",
    "service_route:http_errors:rate5m": "a call fails",
    "boxoffice_early_no_total": "somebody asks for seats that are gone",
}
"""Queries with this in them give nothing until that happens."""


def queries() -> list[tuple[str, str]]:
    return [
        (f"{path.stem}: {panel['title']}", target["expr"])
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]  # fmt: skip


def ask(full: FullShop, expression: str) -> list[Answer]:
    """The series of an expression over the last minutes, without those that never have a figure."""
    now = time.time()
    answer = ok(
        httpx.get(
            f"{full.where().part('prometheus')}/api/v1/query_range",
            params={"query": expression, "start": now - 240, "end": now, "step": 5}, timeout=30, trust_env=False,
        )
    )  # fmt: skip
    assert answer["status"] == "success", answer
    found: list[Answer] = answer["data"]["result"]
    return [one for one in found if any(math.isfinite(float(value)) for _, value in one["values"])]


def rare(expression: str) -> bool:
    return any(part in expression for part in ONLY_WHEN)


@pytest.fixture(scope="module")
def watched(full: FullShop) -> FullShop:
    """The machine after a sale that Prometheus has seen: asked before it, while it went on, and after it."""
    with visitor(full.where()) as anyone:
        anyone.get("/events")
        bought(full)
        anyone.get("/bookings/00000000-0000-0000-0000-000000000000")

        def seen() -> bool:
            bought_there = ask(full, 'sum(boxoffice_facts_total{type="sales.order.confirmed"}) > 0')
            return bool(bought_there) and len(ask(full, "up == 1")) == len(PROCESSES)

        wait_until("Prometheus has seen the sale", seen, seconds=60)
        bought(full)
    return full


class TestDashboards:
    def test_there_are_some_and_each_query_is_one_of_theirs(self) -> None:
        assert len(DASHBOARDS) >= 4
        assert len(queries()) > 25
        for path in DASHBOARDS:
            board = json.loads(path.read_text())
            assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"prometheus"}
            ids = [panel["id"] for panel in board["panels"]]
            assert len(ids) == len(set(ids))

    @pytest.mark.parametrize(("panel", "expression"), queries(), ids=[name for name, _ in queries()])
    def test_a_panel_has_figures(self, watched: FullShop, panel: str, expression: str) -> None:
        if rare(expression):
            ask(watched, expression)  # it can be asked; that it has figures is for the day when it happens
            return
        wait_until(f"{panel} has figures: {expression}", lambda: ask(watched, expression), seconds=60)

    def test_what_is_rare_is_rare_for_a_reason(self) -> None:
        asked = [expression for _, expression in queries()]
        assert all(any(part in expression for expression in asked) for part in ONLY_WHEN)


class TestRules:
    def test_are_loaded_and_none_is_broken(self, watched: FullShop) -> None:
        def groups() -> list[Any]:
            url = f"{watched.where().part('prometheus')}/api/v1/rules"
            found: list[Any] = ok(httpx.get(url, timeout=30, trust_env=False))["data"]["groups"]
            return found

        wait_until(
            "all were worked out", lambda: all(rule["health"] == "ok" for group in groups() for rule in group["rules"])
        )
        loaded = {rule["name"] for group in groups() for rule in group["rules"]}
        written = {
            rule.get("alert") or rule["record"]
            for name in ("alerts.yaml", "recording.yaml")
            for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
            for rule in group["rules"]
        }
        assert loaded == written

    def test_nobody_is_woken_while_the_machine_is_well(self, watched: FullShop) -> None:
        def firing() -> list[Any]:
            url = f"{watched.where().part('prometheus')}/api/v1/query"
            query = {"query": 'ALERTS{alertstate="firing", severity="page"}'}
            found: list[Any] = ok(httpx.get(url, params=query, timeout=30, trust_env=False))["data"]["result"]
            return found

        wait_until("what was away at the start is forgotten", lambda: not firing(), seconds=60)

    def test_metrics_carry_no_names_of_people(self, watched: FullShop) -> None:
        for name in PROCESSES:
            text = httpx.get(f"{watched.where().url(name)}/metrics", timeout=30, trust_env=False).text
            assert not re.search(r"@example\.org", text)
