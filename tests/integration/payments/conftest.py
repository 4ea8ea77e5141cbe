"""The till, the simulator and its control."""

from tests.support.payments import paypal, simulator, till  # noqa: F401 - fixtures
