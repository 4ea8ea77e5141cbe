"""Who comes with a ticket, as its owner names them: a name, perhaps an e-mail address, until the list is made."""

import re
from datetime import datetime, timedelta

from boxoffice.services.sales.domain.refusals import BadAttendeeError

NAMES_CLOSE_BEFORE_START = timedelta(hours=1)
"""When the list for the door is made. Later changes would let names and list differ at the door."""
MAX_NAME = 200
"""Characters of a name: as much as the database and a ticket take."""
MAX_EMAIL = 254
"""Characters of an e-mail address (RFC 5321)."""
ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+")
"""Near enough: whether an address works is known once somebody answers from it."""


def names_close_at(starts_at: datetime) -> datetime:
    """Give the instant from which on names stay as they are."""
    return starts_at - NAMES_CLOSE_BEFORE_START


def checked_name(text: str) -> str:
    """Make one line of a name.

    :raises BadAttendeeError: when nothing is left of it, or it is too long, or it holds control characters.
    """
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise BadAttendeeError(f"A name has 1 to {MAX_NAME} characters, on one line.")
    return name


def checked_email(text: str | None) -> str | None:
    """Take an e-mail address as it is.

    :raises BadAttendeeError: when it is none.
    """
    if text is None:
        return None
    if len(text) > MAX_EMAIL or not text.isprintable() or ADDRESS.fullmatch(text) is None:
        raise BadAttendeeError("That is no e-mail address.")
    return text
