"""Names as a catalogue files them ("Strauss,  Johann, Jr."), put into reading order ("Johann Strauss Jr.").

Understood: suffixes, particles ("Indy, Vincent d'"), several people in one field ("Lerner & Loewe, Alan & Frederick",
"Shand, Terry & Eaton, Jimmy", "Masur, Kurt;  Wong, Samuel"), and a second spelling with its accents in brackets
("Kovacs [Kovács]"). What has no comma (an ensemble, "Traditional,") stays as it is.
"""

import difflib
import re
import unicodedata
from functools import lru_cache

REMEMBERED = 20_000
"""Distinct names in the whole history are a few thousand, each read for every concert that it played in."""
SPACES = re.compile(r"\s+")
SUFFIXES = frozenset({"jr.", "sr.", "jr", "sr", "ii", "iii", "iv", "v"})
PARTICLES = frozenset({"von", "van", "de", "der", "du", "di", "da", "la", "le", "zu", "ten", "d'"})
JOINTS = (" & ", " and ", "/", " - ")
"""What stands between people who share a field; the first that splits both halves alike counts."""
TWO_PEOPLE = re.compile(r"([^,]+), ([^,]+?),? (&|and) ([^,]+), ([^,]+)")
BRACKETED = re.compile(r"\s*[\[(]([^\])]+)[\])]")
TRAILING_NAME = re.compile(r"(.+?)\s+-\s*([A-Z]\w+)")
NOBODY = frozenset({"", "none", "not conducted", "no soloist", "no conductor"})
GROUPS = frozenset({"band", "orchestra", "chorus", "choir", "ensemble", "philharmonic"})
"""A "surname" that ends so is a group, and what follows is a part of it ("Academy Band, Brass and Percussion")."""
ALIKE = 0.7
"""How alike two spellings must be (``difflib`` ratio) where the second has accents and slightly other letters."""
ODD = {
    "Bologne, Joseph Chevalier de Saint-Georges": "Joseph Bologne, Chevalier de Saint-Georges",
    "VARIOUS": "Various",
}
"""Names whose parts do not say which is which."""


def tidy(text: str) -> str:
    """Collapse runs of white space and trim."""
    return SPACES.sub(" ", text).strip()


def people(text: str) -> list[str]:
    """Read a field that may name several people apart by semicolons; an empty list when it names nobody."""
    return [name for part in text.split(";") if (name := person(part)) is not None]


@lru_cache(maxsize=REMEMBERED)
def person(text: str) -> str | None:
    """Put one name into reading order; none when it names nobody ("None", "Not conducted")."""
    filed = _spelled(tidy(text)).rstrip(", ")
    if filed.lower() in NOBODY:
        return None
    if filed in ODD:
        return ODD[filed]
    if match := TWO_PEOPLE.fullmatch(filed):
        surname, given, joint, other_surname, other_given = match.groups()
        return tidy(f"{given} {surname} {joint} {other_given} {other_surname}")
    surname, *rest = (part.strip() for part in filed.split(","))
    if not rest or surname.split(" ")[-1].lower() in GROUPS:
        return filed.strip() or None
    return tidy(_several(surname, rest) or _one(surname, rest)) or None


def article_first(text: str) -> str:
    """Put an article that was filed at the end first ("Museum of Modern Art, The")."""
    before, comma, after = text.rpartition(", ")
    return f"{after} {before}" if comma and after.lower() in {"the", "a", "an"} else text


def surname_of(text: str) -> str | None:
    """Give what a composer is called in a headline ("Strauss,  Richard" gives "Strauss"); none for nobody."""
    filed = _spelled(tidy(text)).rstrip(", ")
    if filed.lower() in NOBODY:
        return None
    return filed.split(",")[0].strip()


def _several(surname: str, rest: list[str]) -> str | None:
    """Read "Lerner & Loewe", ["Alan & Frederick"]: as many given names as surnames, in one order."""
    if len(rest) != 1:
        return None
    for joint in JOINTS:
        surnames = [part.strip() for part in surname.split(joint)]
        given = [part.strip() for part in re.split(r" & | and |/| - ", rest[0])]
        if len(surnames) > 1 and len(surnames) == len(given):
            between = " & " if joint in {"/", " - "} else joint
            return between.join(f"{first} {last}" for first, last in zip(given, surnames, strict=True))
    return None


def _one(surname: str, rest: list[str]) -> str:
    given, *more = rest
    if match := TRAILING_NAME.fullmatch(given):  # "Bach, J. S. -Gounod"
        given, surname = match[1], f"{surname}-{match[2]}"
    head, _, last = given.rpartition(" ")
    if last.lower() in PARTICLES:
        given = f"{head} {last.lower()}".strip()
    name = f"{given}{surname}" if given.endswith("d'") else f"{given} {surname}"
    for part in more:
        first, _, others = part.partition(" & ")
        if others:  # "Strauss, Johann, Jr. & Josef"
            name = f"{given} {first} & {others} {surname}"
        elif part.lower() in SUFFIXES:
            name = f"{name} {part}"
        else:
            name = f"{name}, {part}"
    return name


def _spelled(text: str) -> str:
    """Take the accented spelling when one stands in brackets behind the plain one, and drop the other."""
    while match := _second_spelling(text):
        text = match
    return text


def _second_spelling(text: str) -> str | None:
    for match in BRACKETED.finditer(text):
        second = match[1].strip()
        length = second.count(" ") + 1
        rest = text[: match.start()] + text[match.end() :]
        for words in _runs(text[: match.start()], length):
            if _same(words, second):
                better = max((second, words), key=_accents)
                return tidy(rest.replace(words, better, 1))
    return None


def _runs(before: str, length: int) -> list[str]:
    """Every run of so many words, the nearest to the bracket first."""
    words = [word.strip(",") for word in before.split(" ")]
    return [" ".join(words[at : at + length]) for at in range(len(words) - length, -1, -1)]


def _same(words: str, second: str) -> bool:
    one, other = plain(words), plain(second)
    if one == other:
        return True
    return bool(
        _accents(second) and one[:1] == other[:1] and difflib.SequenceMatcher(None, one, other).ratio() >= ALIKE
    )


def plain(text: str) -> str:
    """Fold case and accents away, to compare spellings."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def _accents(text: str) -> int:
    return sum(not c.isascii() for c in text)
