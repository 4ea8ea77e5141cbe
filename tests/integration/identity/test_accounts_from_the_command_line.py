"""What the command line makes: the administrator and the demo's accounts."""

import pytest
from tests.support.identity import Identity

from boxoffice.services.identity.domain.password import WeakPasswordError
from boxoffice.services.identity.usecases.close_demo_accounts import close_demo_accounts
from boxoffice.services.identity.usecases.create_administrator import create_administrator
from boxoffice.services.identity.usecases.ensure_demo_accounts import PASSWORD, ensure_demo_accounts


class TestCreateAdministrator:
    async def test_makes_one_that_can_log_in(self, identity: Identity) -> None:
        await create_administrator(identity.database, "root@example.org", "a very long password")
        tokens = (await identity.login("root@example.org", "a very long password")).json()
        assert "administrator" in (await identity.verifier().caller(tokens["accessToken"])).roles

    async def test_promotes_an_account_and_ends_its_logins(self, identity: Identity) -> None:
        tokens = await identity.entered()
        await create_administrator(identity.database, "ada@example.org", "a very long password")
        assert (await identity.refresh(tokens["refreshToken"])).status_code == 401
        assert (await identity.login()).status_code == 401
        again = (await identity.login(password="a very long password")).json()
        assert "administrator" in (await identity.verifier().caller(again["accessToken"])).roles

    async def test_refuses_a_weak_password(self, identity: Identity) -> None:
        with pytest.raises(WeakPasswordError):
            await create_administrator(identity.database, "root@example.org", "password")


class TestDemoAccounts:
    async def test_are_made_once_with_their_roles(self, identity: Identity) -> None:
        first = await ensure_demo_accounts(identity.database)
        assert await ensure_demo_accounts(identity.database) == first
        roles = {}
        for name in ("organiser", "buyer", "administrator"):
            tokens = (await identity.login(f"{name}@example.org", PASSWORD)).json()
            caller = await identity.verifier().caller(tokens["accessToken"])
            roles[name] = set(caller.roles)
            if name == "organiser":
                assert caller.organisations == {first.organisation: "owner"}
        assert roles == {
            "organiser": {"customer", "organiser"},
            "buyer": {"customer"},
            "administrator": {"customer", "administrator"},
        }
        assert len(await identity.messages("identity.user.v1")) == 3

    async def test_are_closed_where_there_is_no_demo_and_opened_again_by_the_next(self, identity: Identity) -> None:
        await ensure_demo_accounts(identity.database)
        names = [f"{name}@example.org" for name in ("organiser", "buyer", "administrator")]
        tokens = [(await identity.login(name, PASSWORD)).json() for name in names]
        assert await close_demo_accounts(identity.database) == 3
        assert [(await identity.login(name, PASSWORD)).status_code for name in names] == [401, 401, 401]
        for pair in tokens:
            assert (await identity.refresh(pair["refreshToken"])).status_code == 401
        assert await close_demo_accounts(identity.database) == 0
        await ensure_demo_accounts(identity.database)
        assert [(await identity.login(name, PASSWORD)).status_code for name in names] == [200, 200, 200]

    async def test_of_others_are_left_alone(self, identity: Identity) -> None:
        await identity.register("buyer@example.org", PASSWORD)  # the address of the demo's, but somebody's own
        await create_administrator(identity.database, "administrator@example.org", "a very long password")
        assert await close_demo_accounts(identity.database) == 0
        assert (await identity.login("buyer@example.org", PASSWORD)).status_code == 200

    async def test_with_a_password_of_their_own_stay(self, identity: Identity) -> None:
        await ensure_demo_accounts(identity.database)
        await create_administrator(identity.database, "administrator@example.org", "a very long password")
        assert await close_demo_accounts(identity.database) == 2
        assert (await identity.login("administrator@example.org", "a very long password")).status_code == 200

    async def test_a_shop_begins_without_any(self, identity: Identity) -> None:
        assert await identity.database.fetchval("SELECT count(*) FROM users") == 0
