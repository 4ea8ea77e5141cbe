"""The files that deploy the shop, read as their programs read them."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ROOT / "compose.yaml"
DOCKERFILE = ROOT / "Dockerfile"
KUBERNETES = DEPLOY / "kubernetes"
ENV_EXAMPLE = DEPLOY / "compose.env.example"
ENV_FULL = DEPLOY / "compose.full.env"
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:?[-?])(?P<rest>[^}]*))?\})")
"""``$$``, ``${NAME}``, ``${NAME:-default}``, ``${NAME:?complaint}``: what the Compose specification interpolates."""

LOADER = yaml.CSafeLoader
"""The safe loader in C, which is ten times as quick."""

Document = dict[str, Any]


class UnsetError(Exception):
    """A variable that must be set is not."""


def files() -> list[Path]:
    """Give every file that deploys something."""
    beside = [ROOT / name for name in ("Dockerfile", ".dockerignore", "compose.yaml", "Procfile", "app.json")]
    return [*beside, *sorted(path for path in DEPLOY.rglob("*") if path.is_file())]


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Put values in place of variables, as Compose does.

    :raises UnsetError: for a ``${NAME:?…}`` without a value.
    """

    def value(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        given = environment.get(match["name"], "")
        how = match["how"] or ":-"
        if given or (match["name"] in environment and not how.startswith(":")):
            return given
        if how.endswith("?"):
            raise UnsetError(match["name"])
        return match["rest"] or ""

    return VARIABLE.sub(value, text)


def required_variables(text: str) -> set[str]:
    """Name the variables without which Compose refuses to start."""
    return {match["name"] for match in VARIABLE.finditer(text) if (match["how"] or "").endswith("?")}


def variables(text: str) -> set[str]:
    """Name every variable that Compose interpolates."""
    return {match["name"] for match in VARIABLE.finditer(text) if match["name"]}


def compose(environment: Mapping[str, str]) -> Document:
    """Read compose.yaml with values for its variables; merges and anchors are resolved."""
    [document] = yaml.load_all(COMPOSE.read_text(), LOADER)
    read: Document = _interpolated(document, environment)
    return read


def _interpolated(node: Any, environment: Mapping[str, str]) -> Any:
    """Interpolate values after YAML is read, as Compose does: an empty one is an empty text, not null."""
    if isinstance(node, dict):
        return {key: _interpolated(inner, environment) for key, inner in node.items()}
    if isinstance(node, list):
        return [_interpolated(inner, environment) for inner in node]
    return interpolate(node, environment) if isinstance(node, str) else node


def env_file(path: Path, before: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read a file of variables as ``--env-file`` does, where the files ``before`` it set some that it uses."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    found = dict(line.split("=", 1) for line in lines)
    return {name: interpolate(value, {**(before or {}), **found}) for name, value in found.items()}


@cache
def manifests(folder: Path = KUBERNETES) -> list[tuple[Path, Document]]:
    """Give every Kubernetes object with the file it stands in; read once, so change copies only."""
    return [
        (path, document)
        for path in sorted(folder.rglob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.load_all(path.read_text(), LOADER)
    ]


def of_kind(kind: str, folder: Path = KUBERNETES / "base") -> dict[str, Document]:
    """Give the objects of one kind by name."""
    return {document["metadata"]["name"]: document for _, document in manifests(folder) if document["kind"] == kind}


def patched(documents: Mapping[str, Document], component: Path) -> dict[str, Document]:
    """Give Deployments as a component's patches make them; of JSON patches only additions are known here."""
    made = deepcopy(dict(documents))
    for patch in yaml.safe_load((component / "kustomization.yaml").read_text())["patches"]:
        target = re.compile(patch["target"]["name"])
        for name in filter(target.fullmatch, made):
            for step in yaml.safe_load(patch["patch"]):
                assert step["op"] == "add", step
                *way, last = step["path"].strip("/").split("/")
                node: Any = made[name]
                for key in way:
                    node = node[int(key) if isinstance(node, list) else key]
                if last == "-":
                    node.append(step["value"])
                else:
                    node[last] = step["value"]
    return made


def values(node: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk a document: every scalar with the keys that lead to it."""
    if isinstance(node, dict):
        for key, inner in node.items():
            yield from values(inner, *path, str(key))
    elif isinstance(node, list):
        for inner in node:
            yield from values(inner, *path)
    else:
        yield path, node


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a Dockerfile: its name and its instructions, continued lines joined."""

    name: str
    base: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        """Give the arguments of every instruction with this word."""
        return [argument for name, argument in self.instructions if name == word]


def stages(text: str) -> list[Stage]:
    """Read a Dockerfile."""
    joined = re.sub(r"\\\n\s*", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    found: list[Stage] = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        word, _, argument = line.partition(" ")
        if word == "FROM":
            base, _, name = argument.partition(" AS ")
            found.append(Stage(name=name, base=base, instructions=()))
        elif found:
            last = found[-1]
            found[-1] = Stage(last.name, last.base, (*last.instructions, (word, argument.strip())))
    return found
