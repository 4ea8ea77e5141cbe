"""What the handlers work with, opened by ``app.py`` when the process starts."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from litestar.datastructures import ResponseHeader, State

from boxoffice.runtime.database import Database
from boxoffice.runtime.limits import Guesses
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.providers.signing import SigningKeys
from boxoffice.services.identity.usecases.issue_tokens import Issuer

NO_STORE = [ResponseHeader(name="Cache-Control", value="no-store", description="personal: kept by nobody")]

MAX_WORD = 1_000
"""A bound before the domain's own, shorter ones: an address or name never comes near it."""
Word = Annotated[str, msgspec.Meta(max_length=MAX_WORD)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Key = Annotated[str, msgspec.Meta(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The database, the keys and the counters of one process."""

    database: Database
    hasher: Hasher
    keys: SigningKeys
    issuer: Issuer
    guesses: Guesses
    public_url: str


async def parts(state: State) -> Parts:
    """Litestar dependency: the parts of this process."""
    found: Parts = state.parts
    return found
