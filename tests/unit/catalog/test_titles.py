"""Titles set for reading. Every example is one of the archive's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.services.catalog.domain import titles


class TestTitle:
    @pytest.mark.parametrize(
        ("published", "read"),
        [
            ("DON JUAN, OP. 20", "Don Juan, Op. 20"),
            ("MEISTERSINGER, DIE, WWV 96", "Die Meistersinger, WWV 96"),
            ("GOTTERDAMMERUNG [GÖTTERDÄMMERUNG]", "Götterdämmerung"),
            ("MER, LA [THE SEA]", "La Mer [The Sea]"),
            ("SYMPHONY NO. 5 IN C MINOR, OP. 67", "Symphony No. 5 in C minor, Op. 67"),
            ("SYMPHONY NO. 1 IN A FLAT MAJOR, OP.55", "Symphony No. 1 in A-flat major, Op.55"),
            ("CONCERTO, VIOLIN, A MINOR, OP. 82", "Concerto, Violin, A minor, Op. 82"),
            ("PASSACAGLIA &  FUGUE, C MINOR, BWV 582 (ARR. Stokowski)",
             "Passacaglia & Fugue, C minor, BWV 582 (arr. Stokowski)"),
            ("NUTCRACKER, THE: SUITE, OP. 71A", "The Nutcracker: Suite, Op. 71A"),
            ("CHORUS LINE, A", "A Chorus Line"),
            ("L'ISLE JOYEUSE", "L'Isle Joyeuse"),
            ("IT DON'T MEAN A THING IF IT AIN'T GOT THAT SWING", "It Don't Mean a Thing If It Ain't Got That Swing"),
            ("GUN: THERE'S NO BUSINESS", "Gun: There's No Business"),
            ("HUMORESQUE II, D MAJOR", "Humoresque II, D major"),
            ("Hear and Now", "Hear and Now"),
        ],
    )  # fmt: skip
    def test_is_set_for_reading(self, published: str, read: str) -> None:
        assert titles.title(published) == read

    @given(st.text(max_size=80))
    def test_reads_anything_without_running_wild(self, published: str) -> None:
        assert "  " not in titles.title(published)


class TestItalics:
    @pytest.mark.parametrize(
        ("plain", "italics", "read"),
        [
            ("Overture To", ["Tannhäuser"], "Overture To Tannhäuser"),
            ("", ["The Swan of Tuonela"], "The Swan of Tuonela"),
            ("Hedwig's Theme (from )", ["Harry Potter"], "Hedwig's Theme (from Harry Potter)"),
            ("Andante allegretto ()", ["Blumine"], "Andante allegretto (Blumine)"),
            ("CONCERT FANTASY ON  FOR VIOLIN", ["CARMEN"], "CONCERT FANTASY ON CARMEN FOR VIOLIN"),
            ("RV 269 ( FROM ) (ARR.)", ["SPRING", "THE FOUR SEASONS"], "RV 269 (SPRING FROM THE FOUR SEASONS) (ARR.)"),
            ("FROM  (QUARTET)", ["ARRIVAL", "SOLOMON"], "ARRIVAL FROM SOLOMON (QUARTET)"),
            ("(arr. Tyzik)", ["The Skater's Overture"], "The Skater's Overture (arr. Tyzik)"),
        ],
    )
    def test_go_back_to_where_they_were(self, plain: str, italics: list[str], read: str) -> None:
        assert titles.from_parts(plain, italics) == read
