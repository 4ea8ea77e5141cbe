"""What a word is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.services.search.domain.words import MAX_WORD, alike, folded, joined, tolerance, words


class TestWords:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Antonín Dvořák", ["antonin", "dvorak"]),
            ("Łódź, Straße, Søren, Œuvre", ["lodz", "strasse", "soren", "oeuvre"]),
            ("OP.67", ["op", "67"]),
            ("Yo-Yo Ma", ["yo", "yo", "ma"]),
            ("Young People's Concert", ["young", "people", "concert"]),
            ("L\u2019Arlésienne", ["arlesienne"]),
            ("O'Connor", ["oconnor"]),
            ("Beethoven's 9th", ["beethoven", "9"]),
            ("the Fifth", ["the", "5"]),
            ("St. John", ["saint", "john"]),
            ("香港文化中心", ["香", "港", "文", "化", "中", "心"]),
            ("서울 Arts", ["서", "울", "arts"]),
            ("\uff26\uff35\uff2c\uff2c width", ["full", "width"]),
            ('"*:*" AND name:(x) \\ ~2 ^ {!', ["and", "name", "x", "2"]),
            ("??? --- ''", []),
            ("", []),
        ],
    )
    def test_fold_to_what_people_type(self, text: str, expected: list[str]) -> None:
        assert words(text) == expected

    def test_leave_a_run_out_that_nobody_types(self) -> None:
        assert words("x" * (MAX_WORD + 1) + " bach") == ["bach"]

    @given(st.text(max_size=200))
    def test_are_plain_whatever_comes_in(self, text: str) -> None:
        for word in words(text) + joined(text):
            assert word
            assert len(word) <= MAX_WORD
            assert not any(sign.isspace() or sign in "\"'()*:^~\\/+-!&|{}[]?" for sign in word)

    @given(st.text(max_size=100))
    def test_do_not_change_when_folded_twice(self, text: str) -> None:
        once = folded(text)
        assert folded(once) == once


class TestJoined:
    def test_writes_compounds_as_one_word(self) -> None:
        assert joined("Yo-Yo Ma plays for people's parks") == ["yoyo", "peoples"]


class TestTolerance:
    @pytest.mark.parametrize(
        ("word", "errors"), [("bax", 0), ("bach", 1), ("mozart", 1), ("beethoven", 2), ("k551", 0)]
    )
    def test_grows_with_length_and_spares_numbers(self, word: str, errors: int) -> None:
        assert tolerance(word) == errors


class TestAlike:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [("bee", "beethoven"), ("bethoven", "beethoven"), ("mahlr", "mahler"), ("tchaikovski", "tchaikovsky"),
         ("bethov", "beethoven"), ("sibleius", "sibelius")],
    )  # fmt: skip
    def test_forgives_what_the_length_allows(self, typed: str, meant: str) -> None:
        assert alike(typed, meant)

    @pytest.mark.parametrize(("typed", "meant"), [("bax", "bach"), ("haydn", "handel"), ("551", "552")])
    def test_tells_other_words_apart(self, typed: str, meant: str) -> None:
        assert not alike(typed, meant)
