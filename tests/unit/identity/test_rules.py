"""Identity's rules: names, addresses, passwords, what a presented refresh token leads to, roles."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.services.identity.domain import account, link, login, organisation, password
from boxoffice.services.identity.domain.account import BadAccountError
from boxoffice.services.identity.domain.login import GRACE_S, Presented, Use, judge
from boxoffice.services.identity.domain.password import COMMON, WeakPasswordError


class TestEmail:
    @pytest.mark.parametrize("good", ["ada@example.org", "a.b+c@sub.example.co.uk", " ada@example.org "])
    def test_takes_what_browsers_take(self, good: str) -> None:
        assert account.read_email(good) == good.strip()

    @pytest.mark.parametrize(
        "bad",
        ["", "ada", "ada@", "@example.org", "ada@example", "a b@example.org", "ada@ex ample.org", "ada@example..org",
         "ada@-example.org", "ada@example.org\nBcc: x@example.org", "x" * 65 + "@example.org", "a@" + "b" * 250 + ".org"],
    )  # fmt: skip
    def test_refuses_the_rest(self, bad: str) -> None:
        with pytest.raises(BadAccountError):
            account.read_email(bad)

    def test_two_spellings_are_one_address(self) -> None:
        assert account.email_key("Ada@Example.ORG ") == account.email_key("ada@example.org")


class TestPerson:
    def test_names_every_field_that_is_wrong(self) -> None:
        with pytest.raises(BadAccountError) as caught:
            account.person(name="", email="x", phone="?")
        errors = caught.value.context["errors"]
        assert isinstance(errors, list)
        assert [error["field"] for error in errors] == ["name", "email", "phone"]

    @given(st.text())
    def test_a_name_that_is_taken_has_no_control_characters(self, text: str) -> None:
        try:
            name = account.read_name(text)
        except BadAccountError:
            return
        assert 1 <= len(name) <= 200
        assert not any(letter in name for letter in "\r\n\x00\x1b\u2028")


class TestRoles:
    def test_everybody_is_a_customer_and_members_are_organisers(self) -> None:
        assert account.roles(staff_roles=[], memberships=[]) == ["customer"]
        assert account.roles(staff_roles=["administrator"], memberships=["x"]) == [
            "customer",
            "organiser",
            "administrator",
        ]


class TestPassword:
    @pytest.mark.parametrize(
        "weak",
        ["", "1234567", "password", "Password", "P@ssw0rd", "qwertyuiop", "aaaaaaaaaa", "abababab", "abcdefgh", "87654321",
         "asdfghjkl", "ada@example.org", "ada lovelace", "x" * 257, "welcome123"],
    )  # fmt: skip
    def test_refuses_what_would_be_guessed(self, weak: str) -> None:
        with pytest.raises(WeakPasswordError):
            password.check(weak, email="ada@example.org", name="Ada Lovelace")

    def test_wants_eight_characters(self) -> None:
        with pytest.raises(WeakPasswordError, match="at least 8"):
            password.check("k7#mQ2x", email="ada@example.org", name="Ada")
        password.check("k7#mQ2xw", email="ada@example.org", name="Ada")

    @pytest.mark.parametrize("good", ["correct horse", "boxoffice-demo", "ünïcödé wörds", "x7" + "y" * 254, "8 chars!"])
    def test_takes_the_rest_without_rules_about_signs(self, good: str) -> None:
        password.check(good, email="ada@example.org", name="Ada")

    def test_knows_common_passwords_that_are_long_enough_to_matter(self) -> None:
        assert len(COMMON) > 250
        assert all(len(word) >= password.MIN_CHARACTERS and word == word.casefold() for word in COMMON)

    def test_two_keyboards_give_one_password(self) -> None:
        assert password.normal("e\u0301clair au chocolat") == password.normal("éclair au chocolat")


class TestJudge:
    @staticmethod
    def presented(**changed: object) -> Presented:
        usual: dict[str, object] = {
            "login": login.State.OPEN, "expired": False, "rotated": False, "seconds_since_rotation": 0.0,
            "rotated_by_key": None, "key": None,
        }  # fmt: skip
        return Presented(**{**usual, **changed})  # type: ignore[arg-type]

    def test_a_current_token_rotates(self) -> None:
        assert judge(self.presented()) is Use.ROTATE

    def test_a_spent_one_is_reuse(self) -> None:
        assert judge(self.presented(rotated=True)) is Use.REUSED

    def test_the_same_key_within_the_grace_repeats(self) -> None:
        spent = {"rotated": True, "rotated_by_key": "k", "key": "k"}
        assert judge(self.presented(**spent, seconds_since_rotation=GRACE_S)) is Use.REPEAT
        assert judge(self.presented(**spent, seconds_since_rotation=GRACE_S + 0.001)) is Use.REUSED
        assert judge(self.presented(**spent, seconds_since_rotation=-1.0)) is Use.REUSED

    def test_no_key_is_never_the_same_key(self) -> None:
        assert judge(self.presented(rotated=True, rotated_by_key=None, key=None)) is Use.REUSED

    def test_a_closed_or_expired_login_gives_nothing_whatever_the_token(self) -> None:
        for state, expired, rotated in itertools.product(login.State, [False, True], [False, True]):
            if state is login.State.OPEN and not expired:
                continue
            found = judge(self.presented(login=state, expired=expired, rotated=rotated, rotated_by_key="k", key="k"))
            assert found is Use.OVER


class TestTables:
    @pytest.mark.parametrize("state", list(account.State))
    def test_an_erased_account_takes_nothing_more(self, state: account.State) -> None:
        for action in account.Action:
            if state is account.State.ERASED:
                with pytest.raises(account.AccountMoveError):
                    account.after(state, action)
            else:
                assert account.after(state, action)

    def test_a_closed_login_never_opens_again(self) -> None:
        assert all(to is not login.State.OPEN for to in login.TRANSITIONS.values())
        with pytest.raises(login.LoginMoveError):
            login.after(login.State.ENDED, login.Action.REVOKE)

    def test_a_link_is_used_once(self) -> None:
        assert (link.State.USED, link.Action.USE) not in link.TRANSITIONS
        assert (link.State.WITHDRAWN, link.Action.USE) not in link.TRANSITIONS

    def test_every_purpose_has_a_life_and_a_page(self) -> None:
        assert set(link.LIFE_MINUTES) == set(link.PAGES) == set(link.Purpose)


class TestSlug:
    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            ("Hong Kong Philharmonic", "hong-kong-philharmonic"),
            ("Café  Müller!", "cafe-muller"),
            ("香港", "organisation"),
        ],
    )
    def test_is_fit_for_addresses(self, name: str, slug: str) -> None:
        assert organisation.slug(name) == slug

    @given(st.text(min_size=1))
    def test_always_fits_the_tables_check(self, name: str) -> None:
        import re

        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", organisation.slug(name))
        assert len(organisation.slug(name)) <= 60
