"""What the page handlers work with, put together by ``app.py``."""

from dataclasses import dataclass

from litestar.datastructures import State

from boxoffice.services.storefront.api.rendering import Pages
from boxoffice.services.storefront.usecases.draw_house import Pictures
from boxoffice.services.storefront.usecases.show_event import Houses


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The pages, the drawn houses, the price levels, and the shop's own address."""

    pages: Pages
    pictures: Pictures
    houses: Houses
    public_url: str


async def front(state: State) -> Front:
    """Litestar dependency: the front of this process."""
    found: Front = state.front
    return found
