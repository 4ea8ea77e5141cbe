"""Places as the Philharmonic writes them ("Leipzig, GERMANY"), split into city, region and country, with their zone.

The table holds every place that occurs; one that it does not hold is refused, never guessed: a wrong zone is a concert
at the wrong hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from boxoffice.services.catalog.domain.names import tidy

UNITED_STATES = "United States"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a venue stands; ``time_zone`` is an IANA name."""

    city: str
    region: str | None
    country: str
    time_zone: str


EASTERN, CENTRAL, MOUNTAIN, PACIFIC = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles",
)  # fmt: skip

STATES: Mapping[str, tuple[str, str]] = {
    "CA": ("California", PACIFIC),
    "CO": ("Colorado", MOUNTAIN),
    "DC": ("District of Columbia", EASTERN),
    "FL": ("Florida", EASTERN),
    "GA": ("Georgia", EASTERN),
    "IL": ("Illinois", CENTRAL),
    "IN": ("Indiana", "America/Indiana/Indianapolis"),
    "KY": ("Kentucky", EASTERN),
    "MA": ("Massachusetts", EASTERN),
    "MI": ("Michigan", "America/Detroit"),
    "NC": ("North Carolina", EASTERN),
    "NJ": ("New Jersey", EASTERN),
    "NV": ("Nevada", PACIFIC),
    "NY": ("New York", EASTERN),
    "PA": ("Pennsylvania", EASTERN),
    "SD": ("South Dakota", CENTRAL),
    "TX": ("Texas", CENTRAL),
    "VA": ("Virginia", EASTERN),
}
"""State -> name and zone; of states with two zones, that of the cities that occur (checked in ``SPLIT_STATES``)."""

SPLIT_STATES: Mapping[str, frozenset[str]] = {
    "FL": frozenset({"Miami", "Miami Beach", "Naples", "Orlando", "Sarasota", "West Palm Beach"}),
    "IN": frozenset({"South Bend"}),
    "KY": frozenset({"Danville"}),
    "MI": frozenset({"Ann Arbor", "Kalamazoo"}),
    "SD": frozenset({"Sioux Falls"}),
    "TX": frozenset({"Dallas", "Ft. Worth"}),
}
"""States that lie in two zones: the cities for which the zone above was looked up."""

COUNTRIES: Mapping[str, tuple[str, str | None, str]] = {
    "ARGENTINA": ("Argentina", None, "America/Argentina/Buenos_Aires"),
    "AUSTRIA": ("Austria", None, "Europe/Vienna"),
    "BELGIUM": ("Belgium", None, "Europe/Brussels"),
    "CANARY ISLANDS": ("Spain", "Canary Islands", "Atlantic/Canary"),
    "CHILE": ("Chile", None, "America/Santiago"),
    "CHINA": ("China", None, "Asia/Shanghai"),
    "CZECH REPUBLIC": ("Czech Republic", None, "Europe/Prague"),
    "DEMOCRATIC PEOPLE'S REPUBLIC OF KOREA": ("North Korea", None, "Asia/Pyongyang"),
    "DENMARK": ("Denmark", None, "Europe/Copenhagen"),
    "ENGLAND": ("United Kingdom", "England", "Europe/London"),
    "FRANCE": ("France", None, "Europe/Paris"),
    "GERMANY": ("Germany", None, "Europe/Berlin"),
    "HUNGARY": ("Hungary", None, "Europe/Budapest"),
    "IRELAND": ("Ireland", None, "Europe/Dublin"),
    "ITALY": ("Italy", None, "Europe/Rome"),
    "JAPAN": ("Japan", None, "Asia/Tokyo"),
    "KOREA": ("South Korea", None, "Asia/Seoul"),
    "LITHUANIA": ("Lithuania", None, "Europe/Vilnius"),
    "LUXEMBOURG": ("Luxembourg", None, "Europe/Luxembourg"),
    "MALAYSIA": ("Malaysia", None, "Asia/Kuala_Lumpur"),
    "NETHERLANDS": ("Netherlands", None, "Europe/Amsterdam"),
    "POLAND": ("Poland", None, "Europe/Warsaw"),
    "PORTUGAL": ("Portugal", None, "Europe/Lisbon"),
    "PUERTO RICO": (UNITED_STATES, "Puerto Rico", "America/Puerto_Rico"),
    "SCOTLAND": ("United Kingdom", "Scotland", "Europe/London"),
    "SERBIA": ("Serbia", None, "Europe/Belgrade"),
    "SLOVENIA": ("Slovenia", None, "Europe/Ljubljana"),
    "SOUTH KOREA": ("South Korea", None, "Asia/Seoul"),
    "SPAIN": ("Spain", None, "Europe/Madrid"),
    "SWITZERLAND": ("Switzerland", None, "Europe/Zurich"),
    "TAIWAN": ("Taiwan", None, "Asia/Taipei"),
    "THE PHILIPPINES": ("Philippines", None, "Asia/Manila"),
    "UNITED ARAB EMIRATES": ("United Arab Emirates", None, "Asia/Dubai"),
    "VIETNAM": ("Vietnam", None, "Asia/Ho_Chi_Minh"),
    "W. GERMANY": ("Germany", None, "Europe/Berlin"),
}
"""Country as published -> country, region, and the zone where the country has one."""

CITIES: Mapping[str, Place] = {
    "Cagliari, SARDINIA, ITALY": Place(city="Cagliari", region="Sardinia", country="Italy", time_zone="Europe/Rome"),
    "Hong Kong, CHINA": Place(city="Hong Kong", region=None, country="China", time_zone="Asia/Hong_Kong"),
    "Macau": Place(city="Macau", region=None, country="China", time_zone="Asia/Macau"),
    "Mexico City, MEXICO": Place(city="Mexico City", region=None, country="Mexico", time_zone="America/Mexico_City"),
    "Monterey, MEXICO": Place(city="Monterrey", region=None, country="Mexico", time_zone="America/Monterrey"),
    "Rio De Janeiro, BRAZIL": Place(
        city="Rio de Janeiro", region=None, country="Brazil", time_zone="America/Sao_Paulo"
    ),
    "Sao Paulo, BRAZIL": Place(city="São Paulo", region=None, country="Brazil", time_zone="America/Sao_Paulo"),
    "Singapore": Place(city="Singapore", region=None, country="Singapore", time_zone="Asia/Singapore"),
    "Tenerife, Santa Cruz de, CANARY ISLANDS": Place(
        city="Santa Cruz de Tenerife", region="Canary Islands", country="Spain", time_zone="Atlantic/Canary"
    ),
}
"""Places of countries with several zones, and those that are written in no common form."""

SPELLINGS: Mapping[str, str] = {
    "Dusseldorf": "Düsseldorf",
    "Ft. Worth": "Fort Worth",
    "Luebeck": "Lübeck",
    "Luzerne": "Lucerne",
    "Santiago De Compostela": "Santiago de Compostela",
}
"""Names that were typed without their umlaut, shortened or misspelt -> what the place calls itself."""


class UnknownPlaceError(ValueError):
    """A place that the tables do not hold."""


def place(location: str) -> Place:
    """Split a published location.

    :raises UnknownPlaceError: when the tables do not say which country and zone it is in.
    """
    text = tidy(location)
    if text in CITIES:
        return CITIES[text]
    city, comma, where = text.rpartition(", ")
    if comma and "," not in city:
        name = SPELLINGS.get(city, city)
        if where in STATES and city in SPLIT_STATES.get(where, {city}):
            region, time_zone = STATES[where]
            return Place(city=name, region=region, country=UNITED_STATES, time_zone=time_zone)
        if where.upper() in COUNTRIES:
            country, part, time_zone = COUNTRIES[where.upper()]
            return Place(city=name, region=part, country=country, time_zone=time_zone)
    raise UnknownPlaceError(f"the place {text!r} is not in the table of places, so its time zone is not known")


def of_address(address: str) -> Place | None:
    """Tell where an address is by its last part ("…, Kowloon, Hong Kong"); none when the tables do not say."""
    last = tidy(address).rpartition(", ")[2]
    by_city = {known.city: known for known in CITIES.values()}
    if last in by_city:
        return by_city[last]
    try:
        return place(", ".join(tidy(address).split(", ")[-2:]))
    except UnknownPlaceError:
        return None
