"""compose.yaml: valid, every process with what it needs and no more, nothing secret with a default."""

import re
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from tests.support.deploy import (
    COMPOSE,
    ENV_EXAMPLE,
    ENV_FULL,
    UnsetError,
    compose,
    env_file,
    interpolate,
    required_variables,
    variables,
)

from boxoffice.apps import PROCESSES
from boxoffice.apps.starting import MAY_HAVE, NEEDS, check_needs
from boxoffice.cli.connecting import NEEDS as CONNECTORS_NEED
from boxoffice.cli.connecting import SERVICES as WITH_CONNECTORS
from boxoffice.runtime.embedded.engines import SERVICES as DATABASES
from boxoffice.runtime.engines.locks import lock
from boxoffice.runtime.settings import env_name, load

TEXT = COMPOSE.read_text()
GIVEN = {
    **dict.fromkeys(required_variables(TEXT), "0123456789abcdef"),
    "BOXOFFICE_PUBLIC_URL": "https://tickets.example.org",
}
ENGINES = ("postgres", "valkey")
WATCHERS = ("prometheus", "zipkin", "grafana")
CARRIERS = ("kafka", "connect", "connectors")
KEEPERS = ("mongodb",)
ON_THE_BUS = {name for name in PROCESSES if "bus_url" in MAY_HAVE[name]}
TOLD_THE_CARRIER = {name for name in PROCESSES if "outbox_carrier" in MAY_HAVE[name]}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose(GIVEN)["services"]
    return found


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    """The services as ``deploy/compose.full.env`` makes them."""
    known = {**GIVEN, "CDC_PASSWORD": "of-this-test", "MONGODB_PASSWORD": "ofthistest"}
    found: dict[str, Any] = compose({**known, **env_file(ENV_FULL, known)})["services"]
    return found


class TestCompose:
    def test_keeps_the_specification(self) -> None:
        read = PyCompose.from_yaml(yaml.safe_dump(compose(GIVEN)))
        assert set(PROCESSES) <= set(read.service_names())

    def test_a_wrong_file_would_be_seen(self) -> None:
        wrong = compose(GIVEN)
        wrong["services"]["gateway"]["restart"] = "sometimes"
        with pytest.raises(ValueError, match="restart"):
            PyCompose.from_yaml(yaml.safe_dump(wrong))

    @pytest.mark.parametrize("name", sorted(required_variables(TEXT)))
    def test_refuses_to_start_without(self, name: str) -> None:
        with pytest.raises(UnsetError, match=name):
            compose({**GIVEN, name: ""})

    def test_the_core_profile_is_the_shop(self, services: dict[str, Any]) -> None:
        core = {name for name, service in services.items() if "core" in service["profiles"]}
        assert core == {*PROCESSES, *ENGINES, "migrate"}

    def test_the_full_profile_adds_what_watches_and_kafka(self, services: dict[str, Any]) -> None:
        full = {name for name, service in services.items() if "full" in service["profiles"]}
        assert full == set(services) == {*PROCESSES, *ENGINES, "migrate", *WATCHERS, *CARRIERS, *KEEPERS}

    def test_the_example_lists_what_must_be_set_and_sets_nothing(self) -> None:
        lines = [line for line in ENV_EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
        assert all(line.endswith("=") for line in lines)
        listed = {line.removesuffix("=") for line in lines}
        assert required_variables(TEXT) <= listed <= variables(TEXT)

    def test_no_secret_has_a_default(self) -> None:
        for name in variables(TEXT):
            if "PASSWORD" in name or "SECRET" in name:
                assert f"${{{name}:-}}" in TEXT or f"${{{name}:?" in TEXT
                assert f"${{{name}:-" not in TEXT.replace(f"${{{name}:-}}", "")


class TestServices:
    @pytest.mark.parametrize("process", PROCESSES)
    def test_have_settings_that_the_process_accepts(self, services: dict[str, Any], process: str) -> None:
        given = {name: str(value) for name, value in services[process]["environment"].items()}
        settings = load(given)
        assert not [name for name in NEEDS[process] if not getattr(settings, name)]

    @pytest.mark.parametrize("process", PROCESSES)
    def test_know_no_other_services_database(self, services: dict[str, Any], process: str) -> None:
        given = {name for name in services[process]["environment"] if name.endswith("_DATABASE_URL")}
        assert given == {env_name(name) for name in NEEDS[process] if name.endswith("_database_url")}

    @pytest.mark.parametrize("process", PROCESSES)
    def test_start_after_the_migration_and_are_asked_whether_they_are_ready(
        self, services: dict[str, Any], process: str
    ) -> None:
        service = services[process]
        assert service["command"] == ["serve", process]
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert service["depends_on"]["valkey"] == {"condition": "service_healthy"}
        # Not required: the core profile has no Kafka.
        kafka = {"condition": "service_healthy", "required": False} if process in ON_THE_BUS else None
        assert service["depends_on"].get("kafka") == kafka
        path = "/health/live" if process == "gateway" else "/health/ready"
        assert f"http://127.0.0.1:8000{path}" in service["healthcheck"]["test"][-1]

    @pytest.mark.parametrize("process", [*PROCESSES, "migrate", "connectors"])
    def test_run_with_as_little_as_can_be(self, services: dict[str, Any], process: str) -> None:
        service = services[process]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["pids_limit"] > 0

    def test_all_have_limits(self, services: dict[str, Any]) -> None:
        assert all({"cpus", "memory"} <= set(one["deploy"]["resources"]["limits"]) for one in services.values())

    def test_the_migration_reaches_every_database(self, services: dict[str, Any]) -> None:
        migrate = services["migrate"]
        assert set(migrate["environment"]) == {env_name(f"{name}_database_url") for name in DATABASES}
        assert migrate["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        for name in DATABASES:
            assert f"{name.upper()}_DATABASE_PASSWORD" in services["postgres"]["environment"]

    def test_the_three_of_sales_share_their_ticket_key(self, services: dict[str, Any]) -> None:
        keys = {tuple(services[name]["volumes"]) for name in ("tickets", "bookings", "payments")}
        assert keys == {("ticket-key:/var/lib/boxoffice/keys",)}


class TestKafka:
    def test_is_told_by_a_file_that_sets_nothing_else(self) -> None:
        told = {"BOXOFFICE_BUS_URL", "BOXOFFICE_OUTBOX_CARRIER", "BOXOFFICE_ZIPKIN_URL"}
        assert told <= set(env_file(ENV_FULL)) <= variables(TEXT)

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_the_bus_of_those_that_use_one(self, full: dict[str, Any], process: str) -> None:
        settings = load({name: str(value) for name, value in full[process]["environment"].items()})
        check_needs(process, settings)
        assert settings.bus_url == ("kafka://kafka:9092" if process in ON_THE_BUS else "")
        assert settings.outbox_carrier == ("connect" if process in TOLD_THE_CARRIER else "relay")
        assert settings.zipkin_url == "http://zipkin:9411"

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_left_out_without_that_file(self, services: dict[str, Any], process: str) -> None:
        settings = load({name: str(value) for name, value in services[process]["environment"].items()})
        assert (settings.bus_url, settings.outbox_carrier, settings.zipkin_url) == ("", "relay", "")

    def test_connectors_are_applied_with_all_that_takes(self, full: dict[str, Any]) -> None:
        service = full["connectors"]
        assert service["command"] == ["connectors", "apply"]
        assert service["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "connect": {"condition": "service_healthy"},
        }
        settings = load(service["environment"])
        needed = {*CONNECTORS_NEED, "cdc_user", *(f"{name}_database_url" for name in WITH_CONNECTORS)}
        assert {env_name(name) for name in needed} == set(service["environment"])
        assert all(getattr(settings, name) for name in needed)
        assert settings.bus_url == env_file(ENV_FULL)["BOXOFFICE_BUS_URL"]
        assert "--wal_level=logical" in full["postgres"]["command"]

    def test_debeziums_password_is_given_to_the_server_and_to_the_worker_alone(self, full: dict[str, Any]) -> None:
        told = {name for name, one in full.items() if "of-this-test" in one.get("environment", {}).values()}
        assert told == {"postgres", "connect"}
        assert "${CDC_PASSWORD:?" in full["connect"]["entrypoint"][-1]
        assert full["connect"]["environment"]["CONNECT_CONFIG_PROVIDERS"] == "env"

    def test_versions_are_those_that_the_tests_run(self, full: dict[str, Any]) -> None:
        first = lock("connect").read_text().splitlines()[0]
        kafka, debezium = re.findall(r"\d+\.\d+\.\d+", first)
        assert full["kafka"]["image"] == f"apache/kafka:{kafka}"
        assert full["connect"]["image"] == f"quay.io/debezium/connect:{debezium}.Final"
        [zipkin] = re.findall(r"zipkin-server-(\d+\.\d+\.\d+)-exec", lock("zipkin").read_text())
        assert full["zipkin"]["image"] == f"openzipkin/zipkin:{zipkin}"


class TestMongodb:
    URL = "mongodb://boxoffice:ofthistest@mongodb:27017/boxoffice?authSource=admin"

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_told_to_those_that_can_use_it(self, full: dict[str, Any], process: str) -> None:
        settings = load({name: str(value) for name, value in full[process]["environment"].items()})
        assert settings.mongodb_url == (self.URL if "mongodb_url" in MAY_HAVE[process] else "")
        assert settings.log_archive_url == self.URL

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_left_out_without_that_file(self, services: dict[str, Any], process: str) -> None:
        settings = load({name: str(value) for name, value in services[process]["environment"].items()})
        assert (settings.mongodb_url, settings.log_archive_url) == ("", "")

    def test_is_waited_for_by_notification_where_it_is(self, full: dict[str, Any]) -> None:
        assert full["notification"]["depends_on"]["mongodb"] == {"condition": "service_healthy", "required": False}
        assert full["mongodb"]["profiles"] == ["full"]
        assert full["mongodb"]["healthcheck"]["test"][1] == "mongosh"

    def test_lets_nobody_in_without_a_password(self, full: dict[str, Any]) -> None:
        assert full["mongodb"]["environment"]["MONGO_INITDB_ROOT_PASSWORD"] == "ofthistest"
        assert "${MONGO_INITDB_ROOT_PASSWORD:?" in full["mongodb"]["entrypoint"][-1]


class TestNetwork:
    def test_engines_and_most_processes_have_no_way_out(self, services: dict[str, Any]) -> None:
        out = {name for name, service in services.items() if "outward" in service["networks"]}
        assert out == {"gateway", "bookings", "payments", "notification", "grafana"}
        assert compose(GIVEN)["networks"]["inside"]["internal"] is True

    def test_only_this_machine_reaches_what_is_published(self, services: dict[str, Any]) -> None:
        published = {name: service["ports"] for name, service in services.items() if "ports" in service}
        assert published == {"gateway": ["127.0.0.1:8000:8000"], "grafana": ["127.0.0.1:3000:3000"]}

    def test_the_gateway_trusts_the_inner_network_alone(self, services: dict[str, Any]) -> None:
        [inner] = compose(GIVEN)["networks"]["inside"]["ipam"]["config"]
        assert services["gateway"]["environment"]["BOXOFFICE_TRUSTED_NETWORKS"] == inner["subnet"]


class TestInterpolation:
    @pytest.mark.parametrize(
        ("text", "result"),
        [("${A}", "1"), ("${B:-2}", "2"), ("${B}", ""), ("$$A", "$A"), ("${A:?no}", "1"), ("${EMPTY-3}", "")],
    )
    def test_is_composes_own(self, text: str, result: str) -> None:
        assert interpolate(text, {"A": "1", "EMPTY": ""}) == result
