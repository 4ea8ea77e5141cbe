"""A short trace behind both proxies in every run of the tests."""

import pytest
from tests.machine.caching import KEYS, PROXIES, leaks, run, section
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
        assert float(str(found[f"cache_{name}_share"])) > 0.5, said
    assert set(KEYS) <= set(found)
    assert "private answers" in section(found)


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
