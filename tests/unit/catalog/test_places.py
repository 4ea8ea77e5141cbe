"""Places split, and their zones: all that occur in the archive, and what does not is never guessed."""

import gzip
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from boxoffice.services.catalog.domain.places import CITIES, COUNTRIES, STATES, UnknownPlaceError, of_address, place

FILES = sorted((Path(__file__).parents[3] / "data" / "concerts").glob("*.json.gz"))


class TestPlace:
    @pytest.mark.parametrize(
        ("published", "city", "region", "country", "zone"),
        [
            ("Manhattan, NY", "Manhattan", "New York", "United States", "America/New_York"),
            ("Vail, CO", "Vail", "Colorado", "United States", "America/Denver"),
            ("Ann Arbor, MI", "Ann Arbor", "Michigan", "United States", "America/Detroit"),
            ("South Bend, IN", "South Bend", "Indiana", "United States", "America/Indiana/Indianapolis"),
            ("Ft. Worth, TX", "Fort Worth", "Texas", "United States", "America/Chicago"),
            ("San Juan, PUERTO RICO", "San Juan", "Puerto Rico", "United States", "America/Puerto_Rico"),
            ("Seoul, KOREA", "Seoul", None, "South Korea", "Asia/Seoul"),
            ("Incheon, South Korea", "Incheon", None, "South Korea", "Asia/Seoul"),
            ("Pyongyang, DEMOCRATIC PEOPLE'S REPUBLIC OF KOREA", "Pyongyang", None, "North Korea", "Asia/Pyongyang"),
            ("Leipzig, GERMANY", "Leipzig", None, "Germany", "Europe/Berlin"),
            ("Mannheim, W. GERMANY", "Mannheim", None, "Germany", "Europe/Berlin"),
            ("Edinburgh, SCOTLAND", "Edinburgh", "Scotland", "United Kingdom", "Europe/London"),
            ("Cagliari, SARDINIA, ITALY", "Cagliari", "Sardinia", "Italy", "Europe/Rome"),
            ("Las Palmas, CANARY ISLANDS", "Las Palmas", "Canary Islands", "Spain", "Atlantic/Canary"),
            ("Tenerife, Santa Cruz de, CANARY ISLANDS", "Santa Cruz de Tenerife", "Canary Islands", "Spain",
             "Atlantic/Canary"),
            ("Hong Kong, CHINA", "Hong Kong", None, "China", "Asia/Hong_Kong"),
            ("Shanghai, CHINA", "Shanghai", None, "China", "Asia/Shanghai"),
            ("Luzerne, SWITZERLAND", "Lucerne", None, "Switzerland", "Europe/Zurich"),
            ("Monterey, MEXICO", "Monterrey", None, "Mexico", "America/Monterrey"),
            ("Singapore", "Singapore", None, "Singapore", "Asia/Singapore"),
            ("Macau", "Macau", None, "China", "Asia/Macau"),
        ],
    )  # fmt: skip
    def test_is_split_and_has_its_zone(
        self, published: str, city: str, region: str | None, country: str, zone: str
    ) -> None:
        found = place(published)
        assert (found.city, found.region, found.country, found.time_zone) == (city, region, country, zone)

    @pytest.mark.parametrize("published", ["", "Atlantis", "Pensacola, FL", "Moscow, RUSSIA", "Rio, BRAZIL", "Paris,"])
    def test_is_never_guessed(self, published: str) -> None:
        with pytest.raises(UnknownPlaceError):
            place(published)

    def test_is_known_for_every_concert_of_the_archive(self) -> None:
        locations = {
            concert["Location"]
            for file in FILES
            for programme in json.loads(gzip.decompress(file.read_bytes()))["programs"]
            for concert in programme["concerts"]
        }
        assert len(locations) == 138
        assert all(ZoneInfo(place(location).time_zone) for location in locations)

    def test_every_zone_in_the_tables_exists(self) -> None:
        zones = {zone for _, zone in STATES.values()} | {zone for _, _, zone in COUNTRIES.values()}
        zones |= {one.time_zone for one in CITIES.values()}
        assert all(ZoneInfo(zone) for zone in zones)

    def test_is_told_from_an_address(self) -> None:
        found = of_address("10 Salisbury Road, Tsim Sha Tsui, Kowloon, Hong Kong")
        assert found is not None
        assert found.time_zone == "Asia/Hong_Kong"
        assert of_address("Somewhere") is None
