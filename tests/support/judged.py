"""Judged queries on the real concerts: what people type, and by a rule over the programme which concerts they mean."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.concert_facts import NOW, concert_facts

from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.services.search.domain.criteria import criteria
from boxoffice.services.search.domain.words import folded
from boxoffice.services.search.providers.engine import SearchEngine

FIRST = 10

Rule = Callable[[EventFact], bool]


@dataclass(frozen=True)
class Judged:
    query: str
    rule: Rule
    recall: bool = True


def composer(name: str) -> Rule:
    return lambda fact: any(name in (work.composer or "") for work in fact.programme)


def performer(name: str) -> Rule:
    return lambda fact: any(name in who for work in fact.programme for who in (work.conductor or "", *work.soloists))


def piece(by: str, *titles: str) -> Rule:
    return lambda fact: any(
        by in (work.composer or "") and any(title in (work.title or "").upper() for title in titles)
        for work in fact.programme
    )


def venue(name: str) -> Rule:
    return lambda fact: folded(name) in folded(fact.venue.name)


def place(name: str) -> Rule:
    return lambda fact: name.lower() in fact.venue.location.lower()


def category(name: str) -> Rule:
    return lambda fact: name in (fact.category or "")


def both(*rules: Rule) -> Rule:
    return lambda fact: all(rule(fact) for rule in rules)


JUDGED = [
    # composers as they are written
    Judged("beethoven", composer("Beethoven")),
    Judged("Ludwig van Beethoven", composer("Beethoven")),
    Judged("MAHLER", composer("Mahler")),
    Judged("gustav mahler", composer("Mahler")),
    Judged("shostakovich", composer("Shostakovich")),
    Judged("mozart", composer("Mozart")),
    Judged("sibelius", composer("Sibelius")),
    Judged("bruckner", composer("Bruckner")),
    Judged("gubaidulina", composer("Gubaidulina")),
    Judged("vaughan williams", composer("Vaughan Williams")),
    Judged("saint-saens", composer("Saint-Saens")),
    Judged("rimsky korsakov", composer("Rimsky-Korsakov")),
    Judged("villa-lobos", composer("Villa-Lobos")),
    # accents, on one side or the other
    Judged("dvorak", composer("Dvorak")),
    Judged("Dvořák", composer("Dvorak")),
    Judged("Antonín Dvořák", composer("Dvorak")),
    Judged("bartok", composer("Bartok")),
    Judged("Béla Bartók", composer("Bartok")),
    Judged("faure", composer("Faure")),
    Judged("Fauré", composer("Faure")),
    Judged("Janáček", composer("Janacek")),
    Judged("kodaly", composer("Kodaly")),
    Judged("Saint-Saëns", composer("Saint-Saens")),
    Judged("lutosławski", composer("Lutoslawski")),
    Judged("martinu", composer("Martinu")),
    Judged("varese", composer("Varese")),
    # typing errors
    Judged("bethoven", composer("Beethoven")),
    Judged("beethowen", composer("Beethoven")),
    Judged("betehoven", composer("Beethoven")),
    Judged("mahlr", composer("Mahler")),
    Judged("mahelr", composer("Mahler")),
    Judged("tchaikovski", composer("Tchaikovsky")),
    Judged("tschaikovsky", composer("Tchaikovsky")),
    Judged("tchaikowsky", composer("Tchaikovsky")),
    Judged("chaikovsky", composer("Tchaikovsky")),
    Judged("rachmaninov", composer("Rachmaninoff")),
    Judged("prokofief", composer("Prokofiev")),
    Judged("prokoviev", composer("Prokofiev")),
    Judged("shostakovitch", composer("Shostakovich")),
    Judged("mussorgsky", composer("Musorgsky")),
    Judged("sibelus", composer("Sibelius")),
    Judged("mendelson", composer("Mendelssohn")),
    Judged("stravinski", composer("Stravinsky")),
    Judged("haendel", composer("Handel")),
    Judged("schoenburg", composer("Schoenberg")),
    Judged("gershwinn", composer("Gershwin")),
    Judged("bernstien", composer("Bernstein")),
    Judged("debusy", composer("Debussy")),
    # works
    Judged("messiah", piece("Handel", "MESSIAH")),
    Judged("handel messiah", piece("Handel", "MESSIAH")),
    Judged("beethoven 9", piece("Beethoven", "SYMPHONY NO. 9")),
    Judged("beethoven symphony no. 9", piece("Beethoven", "SYMPHONY NO. 9")),
    Judged("symphony no 9 beethoven", piece("Beethoven", "SYMPHONY NO. 9")),
    Judged("Beethoven's 9th", piece("Beethoven", "SYMPHONY NO. 9")),
    Judged("beethoven fifth symphony", piece("Beethoven", "SYMPHONY NO. 5")),
    Judged("eroica", piece("Beethoven", "EROICA")),
    Judged("mahler 5", piece("Mahler", "SYMPHONY NO. 5", "SYMPHONY NO.  5")),
    Judged("mahler symphony 1 titan", piece("Mahler", "TITAN")),
    Judged("dvorak new world", piece("Dvorak", "NEW WORLD")),
    Judged("new world symphony", piece("Dvorak", "NEW WORLD")),
    Judged("sacre du printemps", piece("Stravinsky", "SACRE")),
    Judged("stravinsky firebird", piece("Stravinsky", "FIREBIRD")),
    Judged("symphonie fantastique", piece("Berlioz", "FANTASTIQUE")),
    Judged("pictures at an exhibition", piece("Musorgsky", "PICTURES AT AN EXHIBITION")),
    Judged("picturs at an exibition", piece("Musorgsky", "PICTURES AT AN EXHIBITION")),
    Judged("nutcraker", piece("", "NUTCRACKER")),
    Judged("west side story", piece("Bernstein", "WEST SIDE STORY")),
    Judged("porgy and bess", piece("Gershwin", "PORGY AND BESS")),
    Judged("romeo and juliet prokofiev", piece("Prokofiev", "ROMEO AND JULIET")),
    Judged("tchaikovsky violin concerto", piece("Tchaikovsky", "CONCERTO, VIOLIN")),
    Judged("sibelius violin concerto", piece("Sibelius", "CONCERTO, VIOLIN")),
    Judged("rachmaninoff piano concerto no. 2", piece("Rachmaninoff", "CONCERTO, PIANO, NO. 2")),
    Judged("brahms requiem", piece("Brahms", "REQUIEM"), recall=False),
    Judged("l'arlesienne", piece("Bizet", "ARLESIENNE")),
    Judged("four last songs strauss", piece("Strauss", "FOUR LAST SONGS")),
    Judged("till eulenspiegel", piece("Strauss", "TILL EULENSPIEGEL")),
    # people who play
    Judged("kurt masur", performer("Kurt Masur")),
    Judged("Masur, Kurt", performer("Kurt Masur")),
    Judged("lorin mazel", performer("Lorin Maazel")),
    Judged("yo-yo ma", performer("Yo-Yo Ma")),
    Judged("yoyo ma", performer("Yo-Yo Ma")),
    Judged("anne sophie mutter", performer("Anne-Sophie Mutter")),
    Judged("joshua bell", performer("Joshua Bell")),
    Judged("lang lang", performer("Lang Lang")),
    Judged("emanuel ax", performer("Emanuel Ax")),
    Judged("yuja wang", performer("Yuja Wang")),
    Judged("mitsuko ushida", performer("Mitsuko Uchida")),
    Judged("esa pekka salonen", performer("Esa-Pekka Salonen")),
    Judged("alan gilbert mahler", both(performer("Alan Gilbert"), composer("Mahler"))),
    Judged("welser-most", performer("Welser-Möst")),
    # where and what kind
    Judged("carnegie hall", venue("Carnegie Hall")),
    Judged("st john the divine", venue("Saint John the Divine")),
    Judged("prospect park", venue("Prospect Park")),
    Judged("royal albert hall", venue("Royal Albert Hall")),
    Judged("kolner philharmonie", venue("Kölner Philharmonie")),
    Judged("tokyo", place("Tokyo")),
    Judged("tokio", place("Tokyo")),
    Judged("vienna", both(place("Vienna")), recall=False),
    Judged("hong kong", place("Hong Kong")),
    Judged("vail", place("Vail")),
    Judged("young people's concert", category("Young People")),
    Judged("summertime classics", category("Summertime Classics")),
    Judged("rush hour", category("Rush Hour")),
    Judged("beethoven in tokyo", both(composer("Beethoven"), place("Tokyo"))),
    Judged("mahler carnegie", both(composer("Mahler"), venue("Carnegie Hall")), recall=False),
]


def found(engine: SearchEngine, query: str, size: int = FIRST) -> list[int]:
    """The first hits; with another size all of them, page by page."""
    hits: list[int] = []
    while True:
        asked = criteria(texts={"q": query}, page_no=len(hits) // size, page_size=size)
        page = engine.search(asked, now=NOW)
        hits += [entry.event_id for entry in page.hits]
        if size == FIRST or len(page.hits) < size:
            return hits


def precision(engine: SearchEngine, judged: Judged) -> float:
    """The share of the first ten hits (or as many as are meant) that were meant."""
    hits = found(engine, judged.query)
    meant = {fact.event_id for fact in concert_facts() if judged.rule(fact)}
    assert meant, "a query that nothing can answer judges nothing"
    return sum(hit in meant for hit in hits) / min(FIRST, len(meant))


def recall(engine: SearchEngine, judged: Judged) -> float:
    """The share of what was meant that is found at all."""
    meant = {fact.event_id for fact in concert_facts() if judged.rule(fact)}
    return len(set(found(engine, judged.query, size=100)) & meant) / len(meant)
