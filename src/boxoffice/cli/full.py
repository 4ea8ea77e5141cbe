"""``boxoffice full``: the shop as a deployment of many processes with every engine that it can use, on one machine."""

from pathlib import Path
from typing import Annotated

import typer

from boxoffice.cli.options import DataDir

FULL_DATA_DIR = Path(".boxoffice-full")
"""Not that of ``up``: what travelled over one bus is not on the other."""


def full(
    *,
    port: Annotated[
        int, typer.Option(help="Port of the gateway; 0 takes a free one. All others are free ones.")
    ] = 8000,
    data_dir: DataDir = FULL_DATA_DIR,
    demo_concerts: Annotated[
        int | None, typer.Option(min=1, help="Put only so many of the demo's concerts on sale.")
    ] = None,
) -> None:
    """Start the demo as many processes on Kafka, Debezium, OpenSearch, Zipkin and Prometheus. Needs Java 21.

    PostgreSQL, Valkey, Kafka, Kafka Connect, OpenSearch, documents, Zipkin, Prometheus, the simulators and the nine
    processes each run as a process of their own on loopback, without containers. Kafka, Connect, OpenSearch, Zipkin
    and a server of documents that speaks MongoDB's protocol are fetched once (460 MB); Prometheus is the system's own.
    When one of them ends by itself, everything ends and says which. Settings of the environment are not read: this is
    to look at and to try.

    With Java 17 it does without OpenSearch (search is in process then), and without a program named prometheus without
    Prometheus; the table says so.

    Exit codes:
    0 stopped when asked ·
    2 wrong command line ·
    10 a shop is running on this data folder ·
    11 port in use ·
    12 disk full ·
    13 data of a newer version ·
    14 no Java, or an engine that cannot be had ·
    15 folder cannot be used ·
    16 an engine failed ·
    17 a process or a connector did not start, or ended ·
    18 a server cannot be reached ·
    130 stopped by a second Ctrl-C
    """
    from boxoffice.cli.many import ManyProcesses

    ManyProcesses(data_dir, port=port, concerts=demo_concerts).run()
