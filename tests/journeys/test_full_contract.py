"""The public contract over the full machine: the journeys of the shop of one process, unchanged."""

import pytest
from tests.journeys.test_contract import (
    TestBadInput,
    TestEventsVenuesCategories,
    TestIdentity,
    TestNotifications,
    TestOperations,
    TestSale,
    TestSearch,
    administrator,
    anyone,
    category,
    customer,
    organiser,
    venue,
)
from tests.support.full import FullShop
from tests.support.shop import Shop

__all__ = [
    "TestBadInput", "TestEventsVenuesCategories", "TestIdentity", "TestNotifications", "TestOperations",
    "TestSale", "TestSearch", "administrator", "anyone", "category", "customer", "organiser", "venue",
]  # fmt: skip

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def shop(full: FullShop) -> Shop:
    """What the journeys ask: here the gateway of many processes."""
    return full
