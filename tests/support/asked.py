"""The SQL that this version asks of each service's database, to be asked of later schemas: ``python -m tests.support.asked``.

Run it when a version is released: processes of that version will run beside the next one, on its schema.
"""

import asyncio
import json
import pkgutil
import re
import sys
from importlib import import_module
from pathlib import Path

import asyncpg

import boxoffice.services
from boxoffice.runtime.embedded.engines import SERVICES

RECORDED = Path(__file__).parents[1] / "integration" / "asked_by_the_version_before.json"
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
SHARED = ("outbox", "inbox", "idempotency", "lease", "relay", "consumed")


def constants(service: str) -> dict[str, str]:
    """Collect the statements that a service's modules name, by where they stand."""
    package = import_module(f"boxoffice.services.{service}.store")
    names = [f"{package.__name__}.{found.name}" for found in pkgutil.iter_modules(package.__path__)]
    names += [
        f"boxoffice.runtime.{name}"
        for name in SHARED
        if (Path(boxoffice.__file__).parent / "runtime" / f"{name}.py").exists()
    ]
    found = {}
    for name in names:
        module = import_module(name)
        for constant, value in vars(module).items():
            if constant.isupper() and isinstance(value, str) and STATEMENT.match(value):
                found[f"{name.removeprefix('boxoffice.')}:{constant}"] = value
    return found


async def refused(url: str, statements: dict[str, str]) -> dict[str, str]:
    """Have the database parse and plan each statement; what it says to those that it cannot."""
    connection = await asyncpg.connect(url)
    found = {}
    try:
        for name, statement in statements.items():
            try:
                await connection.prepare(statement)
            except asyncpg.PostgresError as error:
                found[name] = str(error)
    finally:
        await connection.close()
    return found


def main() -> None:
    """Record what this version asks; parts of statements, which no database takes alone, are left out."""
    from tests.support.engines import running_engines

    recorded = {}
    with running_engines() as engines:
        for service in SERVICES:
            every = constants(service)
            with engines.database(service) as url:
                no = asyncio.run(refused(url, every))
            recorded[service] = {name: text for name, text in sorted(every.items()) if name not in no}
            print(f"{service}: {len(recorded[service])} statements, {len(no)} parts of some left out")
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
