"""Say which organisation a caller acts for, and in which ones they may change what is in the catalog."""

from collections.abc import Mapping
from uuid import UUID

from boxoffice.kernel.ids import OrganisationId
from boxoffice.services.catalog.domain.refusals import OrganisationNeededError, OrganisationNotYoursError

MAY_CHANGE = frozenset({"owner", "manager"})
"""Box office and scanners see the drafts of their organisation but change none."""


def may_change(memberships: Mapping[OrganisationId, str]) -> list[OrganisationId]:
    """List the organisations (id -> role in it) for which a member may change things; for the WHERE clause."""
    return [organisation for organisation, role in memberships.items() if role in MAY_CHANGE]


def act_for(memberships: Mapping[OrganisationId, str], named: UUID | None) -> OrganisationId:
    """Choose the organisation: the one that is named, else the only one.

    :raises OrganisationNotYoursError: when the caller may not change things for it, or for any.
    :raises OrganisationNeededError: when there are several and none is named.
    """
    own = may_change(memberships)
    if (named is not None and named not in own) or not own:
        raise OrganisationNotYoursError("Only its owners and managers may do this.")
    if named is None and len(own) > 1:
        raise OrganisationNeededError("You belong to several: send organisationId.", field="organisationId")
    return own[0] if named is None else OrganisationId(named)
