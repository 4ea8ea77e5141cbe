"""What identity tells of a user (topic ``identity.user.v1``): how to reach them, and that they are gone."""

from typing import Literal
from uuid import UUID

import msgspec

TOPIC = "identity.user.v1"

UserType = Literal["identity.user.registered", "identity.user.changed", "identity.user.erased"]


class UserFact(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``identity.user.v1``; an erased user has neither name nor e-mail left."""

    user_id: UUID
    name: str | None = None
    email: str | None = None
    phone: str | None = None


MAIL_TOPIC = "identity.mail.v1"

MailType = Literal["identity.mail.verify_email", "identity.mail.reset_password"]


class MailRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``identity.mail.v1``: a mail that carries a one-time link; ``expires_in_minutes`` is for the reader."""

    user_id: UUID
    email: str
    name: str
    link: str
    expires_in_minutes: int
