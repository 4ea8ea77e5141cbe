"""Lists in pages: how a call asks for one and how an answer tells which it is, in the same words in every service.

Keeps that no answer carries more than :data:`MAX_PAGE_SIZE` things.
"""

from typing import Annotated, Any

from litestar.params import QueryParameter

from boxoffice.runtime import web

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
"""A page that one query and one screen carry easily; whoever wants more asks for the next one."""
MAX_PAGE_NO = 1_000_000
"""Far beyond anybody's list, and its offset still fits the database's integers."""

PageNo = Annotated[int, QueryParameter(name="pageNo", ge=0, le=MAX_PAGE_NO, description="From 0.")]
PageSize = Annotated[int, QueryParameter(name="pageSize", ge=1, le=MAX_PAGE_SIZE)]


class Page(web.View, frozen=True):
    """Which page of how many; an answer adds what is on it. Pages count from 0."""

    page_number: int
    page_size: int
    total_element: int
    total_pages: int
    is_last: bool


def paging(total: int, page_no: int, page_size: int) -> dict[str, Any]:
    """Count the pages: the fields of :class:`Page`."""
    pages = -(-total // page_size)
    return {
        "page_number": page_no, "page_size": page_size, "total_element": total, "total_pages": pages,
        "is_last": page_no >= pages - 1,
    }  # fmt: skip
