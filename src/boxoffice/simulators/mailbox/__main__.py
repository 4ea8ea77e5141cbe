"""Run the mailbox alone: ``python -m boxoffice.simulators.mailbox --smtp-port 2525 --http-port 8025 --data-dir D``."""

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from boxoffice.runtime.telemetry import configure_logging
from boxoffice.simulators.mailbox import Mailbox
from boxoffice.simulators.stopping import end_cleanly


def main(
    *,
    data_dir: Annotated[Path, typer.Option(help="Folder of the mails; made when missing.")],
    smtp_port: Annotated[int, typer.Option(help="Port that takes mail.")] = 2525,
    http_port: Annotated[int, typer.Option(help="Port of the pages, under /mailbox.")] = 8025,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Take mail and show it until TERM or INT."""
    configure_logging(service="mailbox", human=True)
    end_cleanly()
    mailbox = Mailbox(folder=data_dir, host=host, smtp_port=smtp_port)
    mailbox.start()
    typer.echo(f"SMTP on {host}:{mailbox.smtp_port}, pages on http://{host}:{http_port}/mailbox")
    try:
        uvicorn.run(mailbox.app, host=host, port=http_port, log_config=None, access_log=False, ws="none")
    finally:
        mailbox.stop()


if __name__ == "__main__":
    typer.run(main)
