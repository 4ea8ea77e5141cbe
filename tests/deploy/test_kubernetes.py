"""The manifests: valid for three versions of Kubernetes, locked down, and open exactly where a process needs it."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError
from kubernetes_validate.utils import validate
from tests.support.deploy import DEPLOY, KUBERNETES, ROOT, Document, manifests, of_kind, patched, values

from boxoffice.apps import PROCESSES
from boxoffice.apps.starting import EACH, MAY_HAVE, NEEDS, check_needs
from boxoffice.cli.serving import GRACE_S
from boxoffice.runtime.embedded.engines import SERVICES as DATABASES
from boxoffice.runtime.settings import PREFIX, Settings, env_name, load

VERSIONS = ("1.33", "1.35", "1.37")
KAFKA = KUBERNETES / "components" / "kafka"
MONGODB = KUBERNETES / "components" / "mongodb"
KUSTOMIZATIONS = sorted(DEPLOY.rglob("kustomization.yaml"))
SECRET_WORDS = ("PASSWORD", "SECRET", "DATABASE_URL", "REDIS_URL", "KEY_PEM", "MONGODB_URL", "ARCHIVE_URL")


def pod(document: Document) -> Document:
    found: Document = document["spec"]["template"]["spec"]
    return found


def workloads() -> list[Document]:
    return [document for _, document in manifests() if document["kind"] in {"Deployment", "StatefulSet", "Job"}]


def containers(document: Document) -> list[Document]:
    return [*pod(document).get("initContainers", []), *pod(document)["containers"]]


def environment(document: Document) -> dict[str, Any]:
    """What the one container is given by name: a value, or where it is taken from."""
    [container] = pod(document)["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def secret(name: str) -> str:
    """What a secret might hold for a setting."""
    kind = type(getattr(Settings(), name.removeprefix(PREFIX).lower()))
    samples = {bool: "true", int: "587"}
    return samples.get(kind, "scheme://name:word@host/path")


def callees(policy: Document) -> set[str]:
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
    }


def callers(policy: Document) -> set[str]:
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in policy["spec"]["ingress"]
        for peer in rule["from"]
        if "podSelector" in peer
    }


@pytest.fixture(scope="module")
def deployments() -> dict[str, Document]:
    """The processes with the component that an overlay may add."""
    return patched(of_kind("Deployment"), KAFKA)


class TestSchemas:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_are_kept(self, version: str) -> None:
        for path, document in manifests():
            try:
                validate(document, version, strict=True)
            except ValidationError as error:
                pytest.fail(f"{path.relative_to(ROOT)}, {document['kind']}: {error.message}")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_wrong_manifest_would_be_seen(self, version: str) -> None:
        deployment = deepcopy(of_kind("Deployment")["gateway"])
        deployment["spec"]["replica"] = 2
        with pytest.raises(ValidationError):
            validate(deployment, version, strict=True)


class TestKustomizations:
    @pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: str(path.parent.relative_to(DEPLOY)))
    def test_list_exactly_the_files_that_are_there(self, path: Path) -> None:
        read = yaml.safe_load(path.read_text())
        generated = [name for made in read.get("configMapGenerator", []) for name in made["files"]]
        patches = [patch["path"] for patch in read.get("patches", []) if "path" in patch]
        listed = [*read.get("resources", []), *generated, *patches]
        assert all((path.parent / name).exists() for name in listed)
        folders = {name for name in listed if (path.parent / name).is_dir()}
        assert all((path.parent / name / "kustomization.yaml").exists() for name in folders)
        there = {entry.name for entry in path.parent.iterdir() if entry.is_file()} - {path.name}
        assert sorted(set(listed) - folders) == sorted(there)

    def test_nothing_is_named_twice(self) -> None:
        base = [(document["kind"], document["metadata"]["name"]) for _, document in manifests(KUBERNETES / "base")]
        assert len(base) == len(set(base))


class TestProcesses:
    @pytest.mark.parametrize("process", PROCESSES)
    def test_have_what_they_need(self, process: str) -> None:
        deployment = of_kind("Deployment")[process]
        [container] = pod(deployment)["containers"]
        assert container["args"] == ["serve", process]
        assert {env_name(name) for name in NEEDS[process]} <= set(environment(deployment))

    @pytest.mark.parametrize("process", PROCESSES)
    @pytest.mark.parametrize("overlay", ["base", "overlays/example"])
    def test_have_settings_that_the_process_accepts(self, process: str, overlay: str) -> None:
        shared = {
            **of_kind("ConfigMap")["boxoffice"]["data"],
            **of_kind("ConfigMap", KUBERNETES / overlay)["boxoffice"]["data"],
        }
        given = {
            name: value if isinstance(value, str) else secret(name)
            for name, value in environment(of_kind("Deployment")[process]).items()
        }
        settings = load({**shared, **given})
        check_needs(process, settings)

    @pytest.mark.parametrize("process", PROCESSES)
    def test_know_no_other_services_database(self, process: str) -> None:
        given = {name for name in environment(of_kind("Deployment")[process]) if name.endswith("_DATABASE_URL")}
        assert given == {env_name(name) for name in NEEDS[process] if name.endswith("_database_url")}

    @pytest.mark.parametrize("process", PROCESSES)
    def test_are_probed_where_they_answer(self, process: str) -> None:
        [container] = pod(of_kind("Deployment")[process])["containers"]
        paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
        # The gateway is ready when all others are: as a probe that would take everything away with the least of them.
        ready = "/health/live" if process == "gateway" else "/health/ready"
        assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": ready}

    @pytest.mark.parametrize("process", PROCESSES)
    def test_are_given_time_to_finish(self, process: str) -> None:
        spec = pod(of_kind("Deployment")[process])
        [container] = spec["containers"]
        [_, seconds] = container["lifecycle"]["preStop"]["exec"]["command"]
        assert spec["terminationGracePeriodSeconds"] > int(seconds) + GRACE_S

    @pytest.mark.parametrize("kind", ["Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"])
    def test_have_one_of_each_kind(self, kind: str) -> None:
        assert set(PROCESSES) <= set(of_kind(kind))

    def test_scale_unless_only_one_of_them_works(self) -> None:
        assert set(of_kind("HorizontalPodAutoscaler")) == set(PROCESSES) - {"search", "notification"}

    def test_the_writer_of_the_index_is_alone(self) -> None:
        search = of_kind("Deployment")["search"]["spec"]
        assert search["replicas"] == 1
        assert search["strategy"] == {"type": "Recreate"}

    def test_autoscaled_ones_leave_their_number_alone(self) -> None:
        scaled = of_kind("HorizontalPodAutoscaler")
        assert not [name for name in scaled if "replicas" in of_kind("Deployment")[name]["spec"]]


class TestKafka:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_makes_valid_manifests(self, deployments: dict[str, Document], version: str) -> None:
        for document in deployments.values():
            validate(document, version, strict=True)

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_told_to_those_that_can_use_it(self, deployments: dict[str, Document], process: str) -> None:
        held = of_kind("ConfigMap", KAFKA)["boxoffice-kafka"]["data"]
        given = {
            name: held[taken["configMapKeyRef"]["key"]]
            for name, taken in environment(deployments[process]).items()
            if isinstance(taken, dict) and taken.get("configMapKeyRef", {}).get("name") == "boxoffice-kafka"
        }
        wanted = {env_name(name) for name in ("bus_url", "outbox_carrier") if name in MAY_HAVE[process]}
        assert set(given) == wanted
        settings = load(given)
        assert settings.bus_url == ("kafka://kafka:9092" if wanted else "")

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_reached_by_those_alone(self, deployments: dict[str, Document], process: str) -> None:
        labels = deployments[process]["spec"]["template"]["metadata"]["labels"]
        [rule] = of_kind("NetworkPolicy", KAFKA)["to-kafka"]["spec"]["egress"]
        assert (labels.get("uses-kafka") == "true") is (env_name("bus_url") in environment(deployments[process]))
        assert rule["ports"] == [{"protocol": "TCP", "port": 9092}]

    def test_nothing_of_it_is_there_without_it(self) -> None:
        assert not [name for name, one in of_kind("Deployment").items() if env_name("bus_url") in environment(one)]


@pytest.fixture(scope="module")
def with_it() -> dict[str, Document]:
    """The processes with MongoDB's component."""
    return patched(of_kind("Deployment"), MONGODB)


class TestMongodb:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_makes_valid_manifests(self, with_it: dict[str, Document], version: str) -> None:
        for document in with_it.values():
            validate(document, version, strict=True)

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_told_to_those_that_can_use_it_by_reference(self, with_it: dict[str, Document], process: str) -> None:
        given = {
            name
            for name, taken in environment(with_it[process]).items()
            if taken == {"secretKeyRef": {"name": "boxoffice-mongodb", "key": "url"}}
        }
        wanted = {name for name in ("mongodb_url", "log_archive_url") if name in (*MAY_HAVE[process], *EACH)}
        assert given == {env_name(name) for name in wanted}

    @pytest.mark.parametrize("process", PROCESSES)
    def test_is_reached_by_those(self, with_it: dict[str, Document], process: str) -> None:
        labels = with_it[process]["spec"]["template"]["metadata"]["labels"]
        [rule] = of_kind("NetworkPolicy", MONGODB)["to-mongodb"]["spec"]["egress"]
        assert labels["uses-mongodb"] == "true"
        assert rule["ports"] == [{"protocol": "TCP", "port": 27017}]

    def test_nothing_of_it_is_there_without_it(self) -> None:
        for one in of_kind("Deployment").values():
            assert not {env_name("mongodb_url"), env_name("log_archive_url")} & set(environment(one))


class TestMigration:
    def test_reaches_every_database(self) -> None:
        job = of_kind("Job")["migrate"]
        assert pod(job)["containers"][0]["args"] == ["migrate"]
        assert set(environment(job)) == {env_name(f"{name}_database_url") for name in DATABASES}


class TestHardening:
    @pytest.mark.parametrize("document", workloads(), ids=lambda document: document["metadata"]["name"])
    def test_runs_with_as_little_as_can_be(self, document: Document) -> None:
        spec = pod(document)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(document):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]

    @pytest.mark.parametrize("document", workloads(), ids=lambda document: document["metadata"]["name"])
    def test_has_an_account_without_a_token(self, document: Document) -> None:
        accounts = {**of_kind("ServiceAccount"), **of_kind("ServiceAccount", KUBERNETES / "overlays" / "example")}
        assert accounts[pod(document)["serviceAccountName"]]["automountServiceAccountToken"] is False

    @pytest.mark.parametrize("document", workloads(), ids=lambda document: document["metadata"]["name"])
    def test_takes_secrets_by_reference_only(self, document: Document) -> None:
        for container in containers(document):
            for entry in container.get("env", []):
                if any(word in entry["name"] for word in SECRET_WORDS):
                    assert "secretKeyRef" in entry.get("valueFrom", {}), entry["name"]

    def test_no_secret_is_an_object_here(self) -> None:
        assert not [document for _, document in manifests() if document["kind"] == "Secret"]

    @pytest.mark.parametrize("document", workloads(), ids=lambda document: document["metadata"]["name"])
    def test_mounts_only_what_it_has(self, document: Document) -> None:
        claimed = {entry["metadata"]["name"] for entry in document["spec"].get("volumeClaimTemplates", [])}
        has = {volume["name"] for volume in pod(document)["volumes"]} | claimed
        mounted = {mount["name"] for container in containers(document) for mount in container["volumeMounts"]}
        assert mounted == has


class TestNetwork:
    def test_nothing_is_open_by_default(self) -> None:
        assert of_kind("NetworkPolicy")["default-deny"]["spec"] == {
            "podSelector": {}, "policyTypes": ["Ingress", "Egress"],
        }  # fmt: skip

    @pytest.mark.parametrize("process", PROCESSES)
    def test_a_process_reaches_those_whose_address_it_has(self, process: str) -> None:
        given = environment(of_kind("Deployment")[process])
        told = {other for other in PROCESSES if env_name(f"{other}_url") in given} - {process}
        assert callees(of_kind("NetworkPolicy")[process]) == told
        assert {given[env_name(f"{other}_url")] for other in told} == {f"http://{other}:8000" for other in told}

    def test_who_is_called_lets_exactly_its_callers_in(self) -> None:
        policies = {name: of_kind("NetworkPolicy")[name] for name in PROCESSES}
        calls = {(caller, callee) for caller, policy in policies.items() for callee in callees(policy)}
        assert calls == {(caller, callee) for callee, policy in policies.items() for caller in callers(policy)}

    @pytest.mark.parametrize("document", workloads(), ids=lambda document: document["metadata"]["name"])
    def test_only_who_has_an_engines_url_reaches_it(self, document: Document) -> None:
        labels = document["spec"]["template"]["metadata"]["labels"]
        given = environment(document)
        assert (labels.get("uses-valkey") == "true") is ("BOXOFFICE_REDIS_URL" in given)
        assert (labels.get("uses-postgres") == "true") is any(name.endswith("_DATABASE_URL") for name in given)

    def test_every_port_is_the_one_that_is_listened_on(self) -> None:
        ports = {
            value
            for _, document in manifests(KUBERNETES / "base")
            for path, value in values(document)
            if path[-1:] == ("containerPort",)
        }
        assert ports == {8000}
        assert of_kind("ConfigMap")["boxoffice"]["data"]["BOXOFFICE_PORT"] == "8000"
