"""Titles of works as a catalogue shouts them ("MEISTERSINGER, DIE, WWV 96"), set as a programme prints them.

Only words in capitals change; an article filed behind comes first, a second spelling with accents replaces the plain
one, key names and catalogue numbers keep their form. What is not in capitals was typed with care and stays.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from boxoffice.services.catalog.domain.names import REMEMBERED, plain, tidy

SMALL = frozenset(
    [
        "a",
        "an",
        "and",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "of",
        "on",
        "or",
        "per",
        "the",
        "to",
        "upon",
        "with",
        "aus",
        "d'",
        "da",
        "das",
        "de",
        "del",
        "den",
        "der",
        "des",
        "di",
        "die",
        "du",
        "e",
        "ed",
        "el",
        "en",
        "et",
        "fur",
        "für",
        "im",
        "la",
        "le",
        "les",
        "los",
        "mit",
        "und",
        "von",
        "zu",
        "zum",
        "zur",
    ]
)
"""Articles, conjunctions and prepositions of the languages that titles come in: small unless they begin a title."""
ARTICLES = ("the", "a", "an", "der", "die", "das", "le", "la", "les", "il", "el", "los")
FILED_ARTICLE = re.compile(
    r"^(?P<title>[^,:(]+), (?P<article>" + "|".join(ARTICLES) + r")(?=[,:]? |[,:]|$)", re.IGNORECASE
)
CATALOGUES = frozenset(
    {"BWV", "KV", "RV", "WWV", "TWV", "HWV", "II", "III", "IV", "VI", "VII", "VIII", "IX", "XI", "XV"}
)
"""Letters that stay capitals: catalogues of works, and Roman numerals."""
ABBREVIATIONS: Mapping[str, str] = {
    "OP.": "Op.", "OP": "Op", "NO.": "No.", "NOS.": "Nos.", "ARR.": "arr.", "ORCH.": "orch.", "REV.": "rev.",
    "MAJOR": "major", "MINOR": "minor", "FLAT": "flat", "SHARP": "sharp", "WOO": "WoO", "VERSION": "version",
}  # fmt: skip
SPELLED = re.compile(r"(\S+) \[([^\]]+)\]")
WORD = re.compile(r"(?<!\d)[^\W\d_]+(?:['\u2019][^\W\d_]+)*\.?", re.UNICODE)
KEY = re.compile(r"\b([A-H])(-| )(FLAT|SHARP)\b")
BEFORE_A_KEY = re.compile(r"\bA (?=(?:MAJOR|MINOR|FLAT|SHARP)\b)")
LETTER_OF_KEY = "\ue000"
"""Stands for the A of a key while the words are set, so that it is not taken for the article."""


@lru_cache(maxsize=REMEMBERED)
def title(text: str) -> str:
    """Set one title."""
    words = _accents(tidy(text))
    if match := FILED_ARTICLE.match(words):
        words = f"{match['article']} {match['title']}{words[match.end() :]}"
    words = BEFORE_A_KEY.sub(f"{LETTER_OF_KEY} ", KEY.sub(_key, words))
    return _set(words).replace(LETTER_OF_KEY, "A")


def _key(match: re.Match[str]) -> str:
    letter = LETTER_OF_KEY if match[1] == "A" else match[1]
    return f"{letter}-{match[3]}"


def from_parts(plain_text: str, emphasised: list[str]) -> str:
    """Put together a title whose italics were published apart from the rest: in its gap, else at its end.

    The gap is ``()``, two spaces, or the end; several italics fill several gaps.
    """
    text = plain_text.strip()
    if text.startswith("FROM ") and len(emphasised) > 1:  # "FROM  (QUARTET)": the part stands before, the whole behind
        text, emphasised = f"{emphasised[0]} {text}", emphasised[1:]
    if text.startswith("(arr. "):
        return tidy(" ".join([*emphasised, text]))
    for italic in emphasised:
        for gap, filled in (("()", f"({italic})"), ("( ", f"({italic} "), ("  ", f" {italic} "), (" )", f" {italic})")):
            if gap in text:
                text = text.replace(gap, filled, 1)
                break
        else:
            text = f"{text} {italic}".strip()
    return tidy(text)


def _accents(text: str) -> str:
    """Take "GÖTTERDÄMMERUNG" from "GOTTERDAMMERUNG [GÖTTERDÄMMERUNG]"; other brackets stay."""
    return SPELLED.sub(lambda match: match[2] if plain(match[1]) == plain(match[2]) else match[0], text)


def _set(text: str) -> str:
    first = True

    def word(match: re.Match[str]) -> str:
        nonlocal first
        found, begins = match[0], first or text[: match.start()].rstrip().endswith((":", "(", "[", '"', "/", "-"))
        first = False
        return _word(found, begins=begins, before_number=text[match.end() : match.end() + 1].isdigit())

    return WORD.sub(word, text)


def _word(word: str, *, begins: bool, before_number: bool) -> str:
    if not word.isupper():
        return word
    if word in ABBREVIATIONS:
        return ABBREVIATIONS[word]
    bare = word.rstrip(".")
    if (
        bare in CATALOGUES
        or (len(bare) == 1 and bare != "A")
        or before_number
        or (word.endswith(".") and len(bare) <= 1)
    ):
        return word
    if word.lower() in SMALL and not begins:
        return word.lower()
    return _capitalised(word)


def _capitalised(word: str) -> str:
    """Write "L'ARLESIENNE" as "L'Arlesienne", "DON'T" as "Don't"."""
    head, apostrophe, tail = word.partition("'")
    if apostrophe and len(head) == 1 and len(tail) > 1:
        return f"{head}'{tail.capitalize()}"
    return word.capitalize()
