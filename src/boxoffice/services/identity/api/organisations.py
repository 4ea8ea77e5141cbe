"""/organisations: found one, list one's own, read one. Members and keys come with a later version."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, get, post

from boxoffice.runtime import web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.identity.api.parts import NO_STORE, Parts, Word
from boxoffice.services.identity.api.views import OrganisationView, organisation_view
from boxoffice.services.identity.domain.organisation import (
    BadOrganisationError,
    TooManyOrganisationsError,
    UnknownOrganisationError,
)
from boxoffice.services.identity.usecases.found_organisation import (
    ROUTE,
    found_organisation,
    list_organisations,
    read_organisation,
)


class OrganisationBody(web.Model, frozen=True):
    """A new organisation."""

    name: Word


class OrganisationsView(web.View, frozen=True):
    """The caller's organisations."""

    organisations: list[OrganisationView]


class OrganisationsController(Controller):
    """Organisations as their members see them."""

    path = "/organisations"
    response_headers = NO_STORE

    @post("/", opt=web.refuses(BadOrganisationError, TooManyOrganisationsError))
    async def found(
        self,
        caller: Caller,
        parts: Parts,
        data: OrganisationBody,
        request: Request[Any, Any, Any],
        idempotency_key: web.IdempotencyKey = None,
    ) -> OrganisationView:
        """Found an organisation. The caller owns it, and is an organiser from the next token on."""
        call = IdempotentCall.of(principal=caller.user_id, key=idempotency_key, route=ROUTE, body=await request.body())
        return organisation_view(await found_organisation(parts.database, caller.user_id, name=data.name, call=call))

    @get("/")
    async def list_own(self, caller: Caller, parts: Parts) -> OrganisationsView:
        """List the caller's organisations."""
        found = await list_organisations(parts.database, caller.user_id)
        return OrganisationsView(organisations=[organisation_view(entry) for entry in found])

    @get("/{organisation_id:uuid}", opt=web.refuses(UnknownOrganisationError))
    async def read(self, caller: Caller, parts: Parts, organisation_id: UUID) -> OrganisationView:
        """Read an organisation that the caller belongs to."""
        return organisation_view(
            await read_organisation(parts.database, organisation_id, caller.user_id, staff=caller.is_staff)
        )

    @get(
        ["/{organisation_id:uuid}/members", "/{organisation_id:uuid}/api-keys"],
        opt=web.refuses(web.NotImplementedYetError),
    )
    async def later(self, caller: Caller, parts: Parts, organisation_id: UUID) -> None:
        """Not in this version yet."""
        await read_organisation(parts.database, organisation_id, caller.user_id, staff=caller.is_staff)
        raise web.NotImplementedYetError("Members and keys of an organisation come with a later version.")

    @post(
        ["/{organisation_id:uuid}/members", "/{organisation_id:uuid}/api-keys"],
        opt=web.refuses(web.NotImplementedYetError),
    )
    async def later_too(self, caller: Caller, parts: Parts, organisation_id: UUID) -> None:
        """Not in this version yet."""
        await self.later.fn(self, caller, parts, organisation_id)
