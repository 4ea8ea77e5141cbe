"""A short trace behind both proxies in every run of the tests."""

import pytest
from tests.machine.between import Passed
from tests.machine.caching import KEYS, PROXIES, leaks, reasons, run, section
from tests.machine.trace import Answer, Ask, Person


@pytest.mark.xdist_group("edge")
@pytest.mark.timeout(400)
def test_proxies_answer_most_of_browsing_and_nobody_gets_anothers_answer() -> None:
    said: list[str] = []
    found = run(said.append, seed=3, requests=1_500, personal_requests=150, per_second=300, concerts=4)
    assert found["private_answers_leaked"] == 0, said
    for name in PROXIES:
        assert found[f"cache_{name}_other_statuses"] == 0, said
        assert int(str(found[f"cache_{name}_own"])) > 5, said
        assert found[f"cache_{name}_personal"] == 150, said
        assert f"cache_{name}_odd_first" not in found, said
        assert float(str(found[f"cache_{name}_share"])) > 0.8, said
    assert set(KEYS) <= set(found)
    assert "private answers" in section(found)


def test_counts_what_reached_the_shop_as_first_or_again() -> None:
    asks = [
        Ask(kind="home", path="/"), Ask(kind="home", path="/?gclid=1"),
        Ask(kind="personal", path="/bookings", person=0),
    ]  # fmt: skip
    passed = [Passed(path=path, is_somebodys=False) for path in ("/", "/", "/?gclid=1", "/", "/bookings")]
    counted = reasons(passed, asks)
    assert counted["home"] == {"first": 2, "again": 2}
    assert counted["odd"] == {"first": 1}


def test_a_leak_would_be_seen() -> None:
    people = [
        Person(marks=("Anna", "anna@example.org"), cookie="", token=""),
        Person(marks=("Berta",), cookie="", token=""),
    ]
    kept = {"x-cache": "HIT", "cache-control": "public, max-age=5"}
    nobody, anna = Ask(kind="home", path="/"), Ask(kind="personal", path="/", person=0)
    assert leaks([Answer(nobody, 200, kept, b"Log in"), Answer(anna, 200, {}, b"Hello Anna")], people) == []
    assert len(leaks([Answer(nobody, 200, kept, b"Hello Anna")], people)) == 1
    assert len(leaks([Answer(anna, 200, {}, b"Hello Berta")], people)) == 1
    assert len(leaks([Answer(anna, 200, kept, b"Hello Anna")], people)) == 1
    assert len(leaks([Answer(nobody, 200, {"set-cookie": "session=x"}, b"")], people)) == 1
