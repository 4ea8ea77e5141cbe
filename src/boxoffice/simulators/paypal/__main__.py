"""Run the PayPal simulator: ``python -m boxoffice.simulators.paypal --port 8100 --data-dir DIR``."""

import argparse
import os
from pathlib import Path

from boxoffice.runtime.telemetry import configure_logging
from boxoffice.simulators.paypal.app import Account, build
from boxoffice.simulators.paypal.server import serve
from boxoffice.simulators.stopping import end_cleanly

SECRET_VARIABLE = "PAYPAL_SIMULATOR_SECRET"  # noqa: S105 - the variable's name, not a secret


def main() -> None:
    """Read the command line and serve until TERM."""
    parser = argparse.ArgumentParser(prog="python -m boxoffice.simulators.paypal", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data-dir", type=Path, required=True, help="the ledger and the webhook keys live here")
    parser.add_argument("--base-url", help="address that shop and payer reach it at; default http://HOST:PORT")
    parser.add_argument("--client-id", default="boxoffice-simulator")
    parser.add_argument("--client-secret", help=f"default: the environment's {SECRET_VARIABLE}")
    parser.add_argument("--other-client", help="ID:SECRET of a second merchant, for tests")
    parser.add_argument("--webhook-url", default="")
    parser.add_argument("--webhook-id", default="SIMULATORWEBHOOK1")
    parser.add_argument("--log-level", default="info")
    given = parser.parse_args()
    end_cleanly()
    secret = given.client_secret or os.environ.get(SECRET_VARIABLE)
    if not secret:
        parser.error(f"give --client-secret or set {SECRET_VARIABLE}")
    configure_logging(service="paypal-simulator", level=given.log_level)
    accounts = [
        Account(
            client_id=given.client_id, client_secret=secret, webhook_url=given.webhook_url, webhook_id=given.webhook_id
        )
    ]
    if given.other_client:
        other_id, _, other_secret = given.other_client.partition(":")
        accounts.append(Account(client_id=other_id, client_secret=other_secret))
    base_url = given.base_url or f"http://{given.host}:{given.port}"
    serve(build(given.data_dir, base_url=base_url, accounts=accounts), host=given.host, port=given.port)


if __name__ == "__main__":
    main()
