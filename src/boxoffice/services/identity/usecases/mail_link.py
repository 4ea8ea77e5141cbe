"""Have a one-time link mailed: the link and the message that carries it, in one transaction."""

from typing import get_args

from boxoffice.contracts.messages.identity import MAIL_TOPIC, MailRequest, MailType
from boxoffice.runtime import outbox
from boxoffice.runtime.database import Connection
from boxoffice.services.identity.domain.link import LIFE_MINUTES, Purpose, address
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.store import links
from boxoffice.services.identity.store.users import Account

MESSAGES: dict[Purpose, MailType] = {
    Purpose.VERIFY_EMAIL: "identity.mail.verify_email",
    Purpose.RESET_PASSWORD: "identity.mail.reset_password",
}
assert set(MESSAGES.values()) == set(get_args(MailType))


async def mail_link(tx: Connection, account: Account, purpose: Purpose, *, public_url: str) -> None:
    """Issue a link, withdraw the older ones of its purpose, and ask for the mail."""
    token = secrets.new_secret()
    number = await links.issue(tx, secrets.digest(token), account.user_id, purpose, life_minutes=LIFE_MINUTES[purpose])
    await outbox.append(
        tx,
        topic=MAIL_TOPIC,
        key=str(account.user_id),
        type_=MESSAGES[purpose],
        version=number,
        body=MailRequest(
            user_id=account.user_id,
            email=account.email,
            name=account.name,
            link=address(public_url, purpose, token),
            expires_in_minutes=LIFE_MINUTES[purpose],
        ),
    )
