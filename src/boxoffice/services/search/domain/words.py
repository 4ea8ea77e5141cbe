"""What a word is: one rule for the index and for the question, so that "Dvorak" finds "Dvořák".

Folded to lower case without accents; split at everything that is no letter or digit; no stemming, since it would bend
names. Pure text in, plain words out: nothing that comes out can be query syntax.
"""

import re
import unicodedata
from collections.abc import Iterator

MAX_WORD = 40
"""Characters; a longer run is no word that anybody types."""

TOLERANT_FROM, VERY_TOLERANT_FROM = 4, 8
"""Lengths from which one and two typing errors are forgiven: in shorter words an error makes another word."""

MAX_ERRORS = 2

UNFOLDABLE = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i", "ħ": "h"}
)
"""Letters that Unicode does not decompose into a base letter and an accent."""

WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"  # one sign of Chinese, Japanese, Korean is a word
    r"|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+"
    r"(?:'[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+)*"
)
COMPOUND = re.compile(r"[^\W_]+(?:[-'][^\W_]+)+")
APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u2018\u02bc\u0060\u00b4", "'"))
ELIDED = frozenset({"l", "d", "m", "n", "s", "qu", "dell", "all", "nell"})
"""What French and Italian put before an apostrophe: "l'Arlésienne" is looked for under A."""
ORDINAL = re.compile(r"(\d{1,4})(?:st|nd|rd|th)")
SAME_WORD = {
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7",
    "eighth": "8", "ninth": "9", "tenth": "10", "st": "saint",
}  # fmt: skip
"""Two ways to write one word; both sides are folded to the second."""

OPTIONAL = frozenset(
    {"the", "a", "an", "of", "and", "in", "at", "on", "for", "with", "by", "to", "no", "op", "from", "de", "la", "le"}
)
"""Words that carry nothing beside others: they may add to a score, they never exclude an event."""


def words(text: str) -> list[str]:
    """Split text into folded words, in order ("Yo-Yo Ma's 9th" gives yo, yo, ma, 9)."""
    found: list[str] = []
    for run in WORD.findall(_folded(text)):
        for part in _unelided(run):
            word = _one_spelling(part)
            if len(word) <= MAX_WORD:
                found.append(word)
    return found


def joined(text: str) -> list[str]:
    """List compounds written as one word ("Yo-Yo" gives yoyo, "people's" gives peoples), to be indexed beside."""
    runs = (re.sub(r"[-']", "", run) for run in COMPOUND.findall(_folded(text)))
    return [run for run in runs if len(run) <= MAX_WORD]


def folded(text: str) -> str:
    """Write text as its words with single spaces: equal for two spellings of one name."""
    return " ".join(words(text))


def tolerance(word: str) -> int:
    """Tell how many typing errors (0, 1 or 2) a word may have; a number may have none."""
    if any(sign.isdigit() for sign in word) or len(word) < TOLERANT_FROM:
        return 0
    return 1 if len(word) < VERY_TOLERANT_FROM else 2


def alike(typed: str, meant: str) -> bool:
    """Whether ``typed`` is ``meant`` or its beginning, with as many typing errors as its length forgives."""
    if meant.startswith(typed):
        return True
    allowed = tolerance(typed)
    return allowed > 0 and any(
        distance(typed, meant[:length], allowed) <= allowed
        for length in range(len(typed) - allowed, min(len(meant), len(typed) + allowed) + 1)
    )


def distance(left: str, right: str, most: int) -> int:
    """Count edits (insert, drop, change, swap neighbours); anything beyond ``most`` may come out as ``most + 1``."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(right, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


def _folded(text: str) -> str:
    spread = unicodedata.normalize("NFKD", text.translate(APOSTROPHES)).casefold().translate(UNFOLDABLE)
    return unicodedata.normalize("NFC", "".join(sign for sign in spread if unicodedata.category(sign) != "Mn"))


def _unelided(run: str) -> Iterator[str]:
    parts = run.split("'")
    if len(parts) > 1 and parts[0] in ELIDED:
        parts = parts[1:]
    if len(parts) > 1 and parts[-1] == "s":
        parts = parts[:-1]
    yield "".join(parts)


def _one_spelling(word: str) -> str:
    if ordinal := ORDINAL.fullmatch(word):
        return ordinal[1]
    return SAME_WORD.get(word, word)
