"""Say for which organisations a caller may do what.

Their ids go into the WHERE clause, so that a role too small finds nothing. Every member sees the drafts of an
organisation; scanners may do nothing else here.
"""

from collections.abc import Mapping

from boxoffice.kernel.ids import OrganisationId

MANAGERS = frozenset({"owner", "manager"})
"""They create and block seats, set seats aside, read payments and refund them."""
SELLERS = MANAGERS | {"box_office"}
"""They read the bookings of their events and cancel them."""


def may_manage(memberships: Mapping[OrganisationId, str]) -> list[OrganisationId]:
    """List the organisations (id -> role in it) whose seats, allocations and payments a member manages."""
    return _with_role(memberships, MANAGERS)


def may_sell(memberships: Mapping[OrganisationId, str]) -> list[OrganisationId]:
    """List the organisations (id -> role in it) whose bookings a member reads and cancels."""
    return _with_role(memberships, SELLERS)


def may_look(memberships: Mapping[OrganisationId, str]) -> list[OrganisationId]:
    """List the organisations whose drafts a member sees: all of the member's."""
    return list(memberships)


def _with_role(memberships: Mapping[OrganisationId, str], roles: frozenset[str]) -> list[OrganisationId]:
    return [organisation for organisation, role in memberships.items() if role in roles]
