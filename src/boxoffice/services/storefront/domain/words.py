"""How times, money and states are said on a page. A time is always said on the venue's own clock."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

SALE: Mapping[str, tuple[str, str]] = {
    "on_sale": ("On sale", "good"),
    "few_left": ("Few left", "warn"),
    "sold_out": ("Sold out", "off"),
    "on_sale_soon": ("On sale soon", "soon"),
    "cancelled": ("Cancelled", "bad"),
    "past": ("Past", "off"),
    "not_on_sale": ("Not on sale", "off"),
}
"""What the API says of a sale -> the words and the tone of the badge."""

BOOKING: Mapping[str, tuple[str, str]] = {
    "HELD": ("Held for you", "warn"),
    "PAYING": ("Being paid", "warn"),
    "CONFIRMED": ("Confirmed", "good"),
    "RELEASED": ("Given back", "off"),
    "EXPIRED": ("Time ran out", "off"),
    "CANCELLED": ("Cancelled", "bad"),
}
TICKET: Mapping[str, tuple[str, str]] = {
    "VALID": ("Valid", "good"),
    "USED": ("Used", "off"),
    "VOID": ("Void", "bad"),
}


def _local(moment: datetime, zone: str) -> datetime:
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return moment


def day(moment: datetime, zone: str) -> str:
    """Say the day: "Friday 4 December 2026"."""
    local = _local(moment, zone)
    return f"{DAYS[local.weekday()]} {local.day} {MONTHS[local.month - 1]} {local.year}"


def clock(moment: datetime, zone: str) -> str:
    """Say the time of day: "19:30"."""
    return f"{_local(moment, zone):%H:%M}"


def when(moment: datetime, zone: str) -> str:
    """Say day and time: "Fri 4 Dec 2026, 19:30"."""
    local = _local(moment, zone)
    return f"{DAYS[local.weekday()][:3]} {local.day} {MONTHS[local.month - 1][:3]} {local.year}, {local:%H:%M}"


def calendar_leaf(moment: datetime, zone: str) -> tuple[str, str, str, str]:
    """Give weekday, day, month and year for a little calendar leaf: ("Fri", "4", "Dec", "2026")."""
    local = _local(moment, zone)
    return DAYS[local.weekday()][:3], str(local.day), MONTHS[local.month - 1][:3], str(local.year)


def zone_name(moment: datetime, zone: str) -> str:
    """Say the zone as people there do: "EST"; a bare offset becomes the zone's city."""
    name = _local(moment, zone).tzname() or zone
    return zone.rsplit("/", 1)[-1].replace("_", " ") + " time" if name[:1] in "+-" else name


def month(text: str) -> str:
    """Say a month as the API counts it: "2026-12" is "December 2026"; anything else stays."""
    year, _, number = text.partition("-")
    if year.isdecimal() and number.isdecimal() and 1 <= int(number) <= len(MONTHS):
        return f"{MONTHS[int(number) - 1]} {year}"
    return text


def month_days(text: str) -> tuple[str, str]:
    """Give the first and the last day of a month as the API counts it: "2026-12" is 2026-12-01 to 2026-12-31."""
    year, _, number = text.partition("-")
    return f"{text}-01", f"{text}-{monthrange(int(year), int(number))[1]:02}"


def money(price: str | None, currency: str | None) -> str:
    """Say a price: "1,250.00 USD"; a price of nothing is "free"."""
    if price is None:
        return ""
    whole, _, fraction = price.partition(".")
    if not whole.lstrip("-").isdecimal():
        return f"{price} {currency or ''}".strip()
    if not int(whole) and not fraction.strip("0"):
        return "free"
    grouped = f"{int(whole):,}" + (f".{fraction}" if fraction else "")
    return f"{grouped} {currency}" if currency else grouped


def span(seconds: int) -> str:
    """Say a length of time roughly, for people: "5 minutes", "36 hours", "3 days"."""
    length = timedelta(seconds=max(0, seconds))
    hours = length // timedelta(hours=1)
    if hours >= 72:  # noqa: PLR2004 - up to three days hours say more
        return f"{length.days} days"
    if hours >= 1:
        return "1 hour" if hours == 1 else f"{hours} hours"
    minutes = max(1, length // timedelta(minutes=1))
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def count(number: int, one: str, many: str | None = None) -> str:
    """Say how many: "1 seat", "1,240 seats"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
