"""Which fact becomes which letter, and the letters' titles. Text from people is only ever put in, never read."""

import unicodedata
from enum import StrEnum


class Template(StrEnum):
    """The letters; each has an HTML and a plain part of that name in ``templates/``."""

    TICKETS = "tickets"
    EXCHANGED = "exchanged"
    ORDER_CANCELLED = "order_cancelled"
    REFUNDED = "refunded"
    PAYMENT_FAILED = "payment_failed"
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - the name of a letter
    NEWS = "news"


NECESSARY = frozenset(
    {
        Template.TICKETS,
        Template.EXCHANGED,
        Template.ORDER_CANCELLED,
        Template.REFUNDED,
        Template.PAYMENT_FAILED,
        Template.VERIFY_EMAIL,
        Template.RESET_PASSWORD,
    }
)
"""What a buyer bought, what becomes of their money, and links that they asked for: sent whatever they chose, and also
while nobody can tell what they chose. No advertising may ever be put into one of these."""
BY_CHOICE = frozenset({Template.NEWS})
"""Sent to those only who are known to want it, at the moment of sending."""

TITLES: dict[Template, str] = {
    Template.TICKETS: "Your tickets: ",
    Template.EXCHANGED: "Your new tickets: ",
    Template.ORDER_CANCELLED: "Cancelled: ",
    Template.REFUNDED: "Refunded: ",
    Template.PAYMENT_FAILED: "Your payment did not go through: ",
    Template.VERIFY_EMAIL: "Confirm your e-mail address",
    Template.RESET_PASSWORD: "Choose a new password",
    Template.NEWS: "",
}
MAX_TITLE = 200
"""Mail programs show less; a longer title is cut with an ellipsis."""

BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that end a line or cannot be written: controls, lone surrogates, line and paragraph separators."""

ONCE_AN_ORDER: dict[str, Template] = {"sales.order.confirmed": Template.TICKETS}
ONCE_A_CHANGE: dict[str, Template] = {
    "sales.order.exchanged": Template.EXCHANGED,
    "sales.order.cancelled": Template.ORDER_CANCELLED,
    "sales.order.refunded": Template.REFUNDED,
}
"""An order can be exchanged and cancelled ticket by ticket, so each change of it is told."""
WORTH_TELLING = frozenset({"payment_declined", "payment_expired"})
"""Why an order was released without the buyer's own doing."""


def letter_of_order(type_: str, reason: str | None) -> Template | None:
    """Tell which letter a message about an order asks for; none for what needs no mail, such as a hold."""
    if type_ == "sales.order.released":
        return Template.PAYMENT_FAILED if reason in WORTH_TELLING else None
    return ONCE_AN_ORDER.get(type_) or ONCE_A_CHANGE.get(type_)


def aggregate_of_order(template: Template, order_id: str, version: int) -> str:
    """Name what a letter is the only one of: the order, or one change of it."""
    return f"{order_id}/{version}" if template in ONCE_A_CHANGE.values() else order_id


CARRY_TICKETS = (Template.TICKETS, Template.EXCHANGED)
"""Letters with barcodes in them: one that still waits must not carry a ticket that was voided meanwhile."""


def title(template: Template, about: str = "") -> str:
    """Write a letter's title: one line, whatever was typed into the name of what it is about."""
    text = one_line(TITLES[template] + about)
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"


def one_line(text: str) -> str:
    """Make one line without control characters of it, so that it can never begin another header."""
    return " ".join("".join(" " if unicodedata.category(letter) in BREAKING else letter for letter in text).split())
