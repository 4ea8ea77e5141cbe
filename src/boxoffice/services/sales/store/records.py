"""Values of the driver's records as the domain wants them."""

from typing import Any
from uuid import UUID

from boxoffice.runtime.uuids import uuid_of


def plain_uuid(value: Any) -> UUID:
    """Make the driver's UUID the standard library's, which msgspec and dataclass comparison expect."""
    return value if type(value) is UUID else uuid_of(value.int)
