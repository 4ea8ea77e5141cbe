"""/categories: what kinds of events there are, shared by all organisations."""

from litestar import Controller, Response, delete, get, post, put

from boxoffice.contracts.http.catalog import CategoryAnswer
from boxoffice.runtime import idempotency, web
from boxoffice.runtime.authn import ADMINISTRATOR, Caller, require
from boxoffice.runtime.database import Connection
from boxoffice.runtime.paging import DEFAULT_PAGE_SIZE, PageNo, PageSize, paging
from boxoffice.services.catalog.api.parts import (
    PUBLIC,
    AnyRequest,
    Id,
    IfMatch,
    Name,
    Parts,
    Text,
    cacheable,
    etag_of,
    etag_of_page,
    expected,
    once,
)
from boxoffice.services.catalog.api.views import CategoriesView, category_view
from boxoffice.services.catalog.domain import refusals as no
from boxoffice.services.catalog.store import categories
from boxoffice.services.catalog.usecases import keep_categories as keeping


class CategoryBody(web.Model, frozen=True):
    """A category."""

    name: Name
    description: Text = ""


class CategoriesController(Controller):
    """Categories: anybody reads, administrators write."""

    path = "/categories"

    @post("/", guards=[require(ADMINISTRATOR)], opt=web.refuses(no.CategoryExistsError, idempotency.KeyReusedError))
    async def create(
        self, request: AnyRequest, caller: Caller, parts: Parts, data: CategoryBody, key: web.IdempotencyKey = None
    ) -> Response[CategoryAnswer]:
        """Create a category."""

        async def work(tx: Connection) -> CategoryAnswer:
            return category_view(await keeping.create_category(tx, name=data.name, description=data.description))

        return await once(request, parts, caller, key, work, status=201)

    @get("/")
    async def list_them(
        self, request: AnyRequest, parts: Parts, page_no: PageNo = 0, page_size: PageSize = DEFAULT_PAGE_SIZE
    ) -> Response[CategoriesView]:
        """List categories."""
        found, total = await categories.page(parts.database, limit=page_size, offset=page_no * page_size)
        return cacheable(
            request,
            etag_of_page(((one.id, one.version) for one in found), total),
            lambda: CategoriesView(
                categories=[category_view(one) for one in found], **paging(total, page_no, page_size)
            ),
            keep=PUBLIC,
        )

    @get("/{category_id:int}", opt=web.refuses(no.CategoryNotFoundError))
    async def read(self, request: AnyRequest, parts: Parts, category_id: Id) -> Response[CategoryAnswer]:
        """Read a category."""
        found = await categories.find(parts.database, category_id)
        if found is None:
            raise no.CategoryNotFoundError("There is no such category.", categoryId=category_id)
        return cacheable(request, etag_of(found.version), lambda: category_view(found), keep=PUBLIC)

    @put(
        "/{category_id:int}",
        guards=[require(ADMINISTRATOR)],
        opt=web.refuses(
            no.CategoryNotFoundError, no.CategoryExistsError, no.ChangedMeanwhileError, no.BadPreconditionError
        ),
    )
    async def change(
        self,
        request: AnyRequest,
        caller: Caller,
        parts: Parts,
        category_id: Id,
        data: CategoryBody,
        if_match: IfMatch = None,
    ) -> Response[CategoryAnswer]:
        """Change a category."""

        async def work(tx: Connection) -> CategoryAnswer:
            changed = await keeping.change_category(
                tx, category_id, name=data.name, description=data.description, expected_version=expected(if_match)
            )
            return category_view(changed)

        return await once(request, parts, caller, None, work)

    @delete(
        "/{category_id:int}",
        guards=[require(ADMINISTRATOR)],
        opt=web.refuses(no.CategoryNotFoundError, no.CategoryInUseError),
    )
    async def remove(self, parts: Parts, category_id: Id) -> None:
        """Delete a category that no event has."""
        async with parts.database.transaction() as tx:
            await keeping.delete_category(tx, category_id)
