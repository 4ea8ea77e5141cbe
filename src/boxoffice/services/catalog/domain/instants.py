"""Times as people write them, read in a venue's zone, and shifted by weeks without moving the clock on the wall."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from boxoffice.services.catalog.domain.refusals import BadTimeError, UnknownZoneError

EARLIEST, LATEST = 1800, 2200
"""Years between which events lie: history at one end, far from the calendar's own end at the other."""
ZONES = frozenset(available_timezones())


def zone(name: str) -> ZoneInfo:
    """Find a time zone of the IANA database.

    :raises UnknownZoneError: when it lists none of that name.
    """
    if name not in ZONES:
        raise UnknownZoneError(f"{name!r} is no time zone of the IANA database, such as Asia/Hong_Kong.", timeZone=name)
    return ZoneInfo(name)


def read(text: str, zone_name: str) -> datetime:
    """Read an ISO 8601 time into UTC; one without an offset is read in the zone.

    :raises BadTimeError: when it is no time, out of range, or a time that the zone's clocks skip.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTimeError(f"{text!r} is no time such as 2030-05-01T19:30:00.", time=text) from error
    if not EARLIEST <= moment.year <= LATEST:
        raise BadTimeError(f"The year of {text!r} is not between {EARLIEST} and {LATEST}.", time=text)
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return at_wall_clock(moment.date(), moment.time(), zone_name)


def at_wall_clock(day: date, clock: time, zone_name: str) -> datetime:
    """Say in UTC when the clocks of a zone show a time; of a repeated hour, the first.

    :raises BadTimeError: when the clocks skip that time (the hour that summer time takes).
    """
    local = datetime.combine(day, clock, tzinfo=zone(zone_name))
    moment = local.astimezone(UTC)
    if moment.astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise BadTimeError(f"The clocks of {zone_name} skip {local:%Y-%m-%d %H:%M}.", timeZone=zone_name)
    return moment


def weeks_until(first: date, earliest: date) -> int:
    """Count the whole weeks by which ``first`` must move so that it is not before ``earliest`` (0 or more)."""
    return max(0, -((first - earliest) // timedelta(weeks=1)))
