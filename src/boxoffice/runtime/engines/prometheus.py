"""One Prometheus on loopback that asks the processes of a shop for their metrics, with the rules of the deployment.

Its program is that of the system (Debian's ``prometheus``); there is none in the registries that engines come from.
"""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml

import boxoffice
from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.errors import EngineMissingError
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.engines.served import ServedEngine

ASK_EVERY_S = 5
KEPT = "2d"
RULES = ("recording.yaml", "alerts.yaml")


class Prometheus(ServedEngine):
    """One running server; its page and its API are at ``url``."""

    READY_PATH = "/-/ready"
    STOP_S = 15.0


def program() -> Path:
    """Find the program.

    :raises EngineMissingError: when there is none.
    """
    found = shutil.which("prometheus")
    if found is None:
        raise EngineMissingError(
            "No program named prometheus on the PATH. Install it, such as Debian's package prometheus, or from "
            "https://prometheus.io/download/."
        )
    return Path(found)


def rules() -> list[Path]:
    """Give the files with recording and alert rules: beside the sources, or beside the package when installed."""
    package = Path(boxoffice.__file__).parent
    installed = package.parent / "boxoffice_prometheus"
    folder = installed if installed.is_dir() else package.parents[1] / "deploy" / "prometheus"
    return [folder / name for name in RULES]


def configuration(targets: Mapping[str, str], *, every_s: int = ASK_EVERY_S) -> str:
    """Write a configuration that asks processes, by their names, at their addresses."""
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": f"{every_s}s", "scrape_timeout": f"{every_s}s",
                       "evaluation_interval": f"{every_s}s"},
            "rule_files": [str(path) for path in rules()],
            "scrape_configs": [
                {
                    "job_name": "boxoffice",
                    "static_configs": [
                        {"targets": [urlsplit(url).netloc], "labels": {"process": name}}
                        for name, url in targets.items()
                    ],
                }
            ],
        },
        sort_keys=False,
    )  # fmt: skip


def start(
    folder: Path, *, targets: Mapping[str, str], log: Path, port: int | None = None, every_s: int = ASK_EVERY_S
) -> Prometheus:
    """Begin to start a server with its data in ``folder``; ``wait_ready`` is yours.

    ``targets`` are addresses by the names of processes, asked every ``every_s`` seconds.

    :raises EngineError: when there is no program, or the folder cannot be used.
    """
    binary = program()
    folder.mkdir(parents=True, exist_ok=True)
    child.end_leftovers(folder, stop_signal=signal.SIGTERM, seconds=Prometheus.STOP_S)
    port = port or free_port()
    settings = folder / "prometheus.yaml"
    settings.write_text(configuration(targets, every_s=every_s))
    command: list[str | Path] = [
        binary, f"--config.file={settings.resolve()}", f"--storage.tsdb.path={folder.resolve() / 'data'}",
        f"--storage.tsdb.retention.time={KEPT}", f"--web.listen-address={LOOPBACK}:{port}", "--log.level=warn",
    ]  # fmt: skip
    return Prometheus(child.start(command, name="Prometheus", log=log, folder=folder), port=port)
