"""Names as the archive files them, in reading order. Every example is one of the archive's own."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boxoffice.services.catalog.domain import names


class TestPerson:
    @pytest.mark.parametrize(
        ("filed", "read"),
        [
            ("Strauss,  Richard", "Richard Strauss"),
            ("Bach,  Johann  Sebastian", "Johann Sebastian Bach"),
            ("Beethoven,  Ludwig  van", "Ludwig van Beethoven"),
            ("Indy,  Vincent  d'", "Vincent d'Indy"),
            ("Otter, Anne Sofie von", "Anne Sofie von Otter"),
            ("Fuente, Joel de la", "Joel de la Fuente"),
            ("Suppe [Suppé],  Franz  Von", "Franz von Suppé"),
            ("Strauss,  Johann, II", "Johann Strauss II"),
            ("Corigliano,  John, Jr.", "John Corigliano Jr."),
            ("Jones, Otis, IV", "Otis Jones IV"),
            ("Flecha,  Mateo, El Viejo", "Mateo Flecha, El Viejo"),
            ("Strauss,  Johann, Jr. & Josef", "Johann Jr. & Josef Strauss"),
            ("Elgar,  Sir  Edward", "Sir Edward Elgar"),
            ("Lloyd Webber,  Lord  Andrew", "Lord Andrew Lloyd Webber"),
            ("Cresswell & McNicholas,  Luke & Steve", "Luke Cresswell & Steve McNicholas"),
            ("Hathaway and McKinnor,  Donny and Nadine", "Donny Hathaway and Nadine McKinnor"),
            ("Davis/Ramirez/Sherman,  Rimmy/Roger/James", "Rimmy Davis & Roger Ramirez & James Sherman"),
            ("Schubert - Berio ,  Franz - Luciano", "Franz Schubert & Luciano Berio"),
            ("Hill,  Patty  and Mildred", "Patty and Mildred Hill"),
            ("May,  Billy  & Kenton, Stan", "Billy May & Stan Kenton"),
            ("Anastasio, Trey, and Hart, Don,", "Trey Anastasio and Don Hart"),
            ("Bach, J. S. -Gounod,", "J. S. Bach-Gounod"),
            ("Kurtag [Kurtág],  Georgy [György]", "György Kurtág"),
            ("Ligeti,  György [Gyorgy]", "György Ligeti"),
            ("Koper,  Karl-Heinz  (Köper)", "Karl-Heinz Köper"),
            ("Siebert, Renee (Renée)", "Renée Siebert"),
            ("Falcon [Falcón] Sanabria,  Juan  José", "Juan José Falcón Sanabria"),
            ('Parker,  Charlie  ("Bird")', 'Charlie ("Bird") Parker'),
            ("Burleigh,  Henry [Harry]  Thacker", "Henry [Harry] Thacker Burleigh"),
            ("Bologne,  Joseph  Chevalier de Saint-Georges", "Joseph Bologne, Chevalier de Saint-Georges"),
            ("Traditional,", "Traditional"),
            ("VARIOUS,", "Various"),
            ("Coldplay", "Coldplay"),
            ("New York Choral Artists", "New York Choral Artists"),
            ("American Boychoir, The", "The American Boychoir"),
            ("National Dance Institute, Dancers from the", "Dancers from the National Dance Institute"),
            ("United States Military Academy Band, Brass and Percussion",
             "United States Military Academy Band, Brass and Percussion"),
        ],
    )  # fmt: skip
    def test_puts_a_name_into_reading_order(self, filed: str, read: str) -> None:
        assert names.person(filed) == read

    @pytest.mark.parametrize("filed", ["", " ", "None", "Not conducted", "No Soloist", ","])
    def test_knows_who_is_nobody(self, filed: str) -> None:
        assert names.person(filed) is None

    def test_reads_several_people_apart_by_semicolons(self) -> None:
        assert names.people("Masur, Kurt;  Wong, Samuel") == ["Kurt Masur", "Samuel Wong"]
        assert names.people("Not conducted") == []

    @given(st.text(max_size=60) | st.text(alphabet="ab ,&-/[](;.", max_size=60))
    @example(",0")
    def test_reads_anything_without_running_wild(self, filed: str) -> None:
        read = names.person(filed)
        assert read is None or (read == read.strip() and "  " not in read and read)

    @given(st.text(alphabet="ab [(])", max_size=60))
    def test_brackets_always_come_to_an_end(self, filed: str) -> None:
        names.person(filed)


class TestSurname:
    def test_is_what_stands_first_with_its_accents(self) -> None:
        assert names.surname_of("Dvorak [Dvořák],  Antonín") == "Dvořák"
        assert names.surname_of("None") is None
