"""Accounts: made, taken, verified, changed, exported, erased."""

import asyncio
from typing import Any

import pytest
from tests.support.identity import PASSWORD, Identity, bearer

from boxoffice.services.identity.providers.hashing import MEMORY_KIB


class TestRegister:
    async def test_answers_the_account_and_no_password(self, identity: Identity) -> None:
        answer = await identity.register(phone="+852 2734 9009")
        assert answer.status_code == 201
        assert set(answer.json()) == {"id", "name", "email", "phone", "roles", "emailVerified", "createdAt"}
        assert answer.json()["roles"] == ["customer"]
        assert answer.headers["cache-control"] == "no-store"

    async def test_tells_how_to_reach_the_user_and_asks_for_a_mail(self, identity: Identity) -> None:
        user_id = (await identity.register()).json()["id"]
        (fact,) = await identity.messages("identity.user.v1")
        assert fact["type"] == "identity.user.registered"
        assert fact["body"]["email"] == "ada@example.org"
        (mail,) = await identity.messages("identity.mail.v1")
        assert mail["key"] == user_id
        assert mail["body"]["link"].startswith("https://tickets.example.org/verify-email?token=")

    async def test_stores_argon2id_with_the_parameters_of_owasp(self, identity: Identity) -> None:
        await identity.register()
        stored = await identity.database.fetchval("SELECT password_hash FROM users")
        assert stored.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t=2,p=1$")
        assert MEMORY_KIB >= 19_456

    async def test_refuses_an_address_that_is_taken_in_any_spelling(self, identity: Identity) -> None:
        await identity.register()
        answer = await identity.register("ADA@Example.ORG")
        assert answer.status_code == 409
        assert answer.json()["code"] == "identity.email_taken"

    async def test_gives_one_account_to_many_who_want_it_at_once(self, identity: Identity) -> None:
        answers = await asyncio.gather(*(identity.register() for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
        assert await identity.database.fetchval("SELECT count(*) FROM users") == 1

    async def test_repeats_its_answer_for_the_same_key(self, identity: Identity) -> None:
        body = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD}
        first = await identity.post("/auth/register", body, **{"Idempotency-Key": "k1"})
        second = await identity.post("/auth/register", body, **{"Idempotency-Key": "k1"})
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.content == second.content
        assert len(await identity.messages("identity.mail.v1")) == 1

    @pytest.mark.parametrize("changed", [{"name": "Eve"}, {"password": "another long password"}])
    async def test_refuses_a_key_with_another_body(self, identity: Identity, changed: dict[str, str]) -> None:
        body = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD}
        await identity.post("/auth/register", body, **{"Idempotency-Key": "k1"})
        answer = await identity.post("/auth/register", {**body, **changed}, **{"Idempotency-Key": "k1"})
        assert answer.status_code == 422
        assert answer.json()["code"] == "request.idempotency_key_reused"

    async def test_keeps_no_quick_hash_of_the_password(self, identity: Identity) -> None:
        import hashlib

        body = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD}
        await identity.post("/auth/register", body, **{"Idempotency-Key": "k1"})
        (record,) = await identity.database.fetch("SELECT fingerprint, body FROM idempotency_keys")
        assert record["fingerprint"] == hashlib.sha256(b"Ada\x00ada@example.org\x00").digest()
        assert b"correct" not in record["body"]

    @pytest.mark.parametrize(
        "field",
        [
            "role",
            "roles",
            "staffRoles",
            "staff_roles",
            "state",
            "emailVerified",
            "userId",
            "id",
            "version",
            "passwordHash",
        ],
    )
    async def test_takes_no_field_that_is_not_the_clients(self, identity: Identity, field: str) -> None:
        answer = await identity.register(**{field: "administrator"})
        assert answer.status_code == 422
        assert await identity.database.fetchval("SELECT count(*) FROM users") == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            {"email": "ada"},
            {"email": "ada@localhost"},
            {"email": "ada@example.org\r\nBcc: x@example.org"},
            {"name": "Ada\r\nBcc: x@example.org"},
            {"name": "A\x00"},
            {"name": ""},
            {"name": "x" * 201},
            {"phone": "call me"},
            {"password": "short"},
            {"password": "x" * 257},
            {"password": "password123"},
            {"password": "12345678"},
            {"email": None},
            {"name": 7},
            {"password": ["a"]},
        ],
    )
    async def test_refuses_what_cannot_be(self, identity: Identity, wrong: dict[str, Any]) -> None:
        body = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD, **wrong}
        answer = await identity.post("/auth/register", body)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert await identity.database.fetchval("SELECT count(*) FROM users") == 0

    async def test_takes_long_passwords_whole(self, identity: Identity) -> None:
        long = "ünïcödé " * 32
        assert len(long) == 256
        await identity.register(password=long)
        assert (await identity.login(password=long)).status_code == 200
        assert (await identity.login(password=long[:-1])).status_code == 401

    async def test_refuses_a_body_that_is_no_json(self, identity: Identity) -> None:
        for content in (b"{", b"[]", b"\xff\xfe", b'{"name": "\\ud800"}', b"null", b""):
            answer = await identity.client.post(
                "/api/v1/auth/register", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 422, content


class TestVerifyEmail:
    async def test_verifies_and_tells(self, identity: Identity) -> None:
        tokens = await identity.entered()
        token = await identity.link("identity.mail.verify_email")
        assert (await identity.post("/auth/verify-email", {"token": token})).status_code == 204
        me = await identity.client.get("/api/v1/users/me", headers=bearer(tokens))
        assert me.json()["emailVerified"] is True

    async def test_opening_the_link_twice_is_no_error(self, identity: Identity) -> None:
        await identity.register()
        token = await identity.link("identity.mail.verify_email")
        answers = [await identity.post("/auth/verify-email", {"token": token}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [204, 204]

    async def test_an_expired_link_is_gone(self, identity: Identity) -> None:
        await identity.register()
        token = await identity.link("identity.mail.verify_email")
        await identity.database.fetch("UPDATE one_time_links SET expires_at = clock_timestamp()")
        answer = await identity.post("/auth/verify-email", {"token": token})
        assert (answer.status_code, answer.json()["code"]) == (410, "identity.link_over")

    async def test_a_link_of_one_purpose_opens_no_other(self, identity: Identity) -> None:
        await identity.register()
        token = await identity.link("identity.mail.verify_email")
        answer = await identity.post("/auth/reset-password", {"token": token, "password": "another long password"})
        assert answer.status_code == 410


class TestOwnAccount:
    async def test_changes_name_and_phone_only(self, identity: Identity) -> None:
        headers = bearer(await identity.entered())
        changed = await identity.client.patch(
            "/api/v1/users/me", json={"name": "Ada L", "phone": "12345678"}, headers=headers
        )
        assert (changed.json()["name"], changed.json()["phone"]) == ("Ada L", "12345678")
        cleared = await identity.client.patch("/api/v1/users/me", json={"phone": ""}, headers=headers)
        assert (cleared.json()["name"], cleared.json()["phone"]) == ("Ada L", None)
        for field in ("email", "roles", "password", "emailVerified", "id"):
            answer = await identity.client.patch("/api/v1/users/me", json={field: "x"}, headers=headers)
            assert answer.status_code == 422, field

    async def test_exports_everything_and_no_secret(self, identity: Identity) -> None:
        headers = bearer(await identity.entered())
        export = await identity.client.get("/api/v1/users/me/export", headers=headers)
        assert set(export.json()) == {"user", "organisations", "logins"}
        assert len(export.json()["logins"]) == 1
        assert "argon2" not in export.text

    async def test_erasing_leaves_no_trace_but_the_id(self, identity: Identity) -> None:
        body = {"name": "Ada Canary", "email": "canary@example.org", "phone": "12345678", "password": PASSWORD}
        await identity.post("/auth/register", body, **{"Idempotency-Key": "k1"})
        tokens = (await identity.login("canary@example.org")).json()
        assert (await identity.client.delete("/api/v1/users/me", headers=bearer(tokens))).status_code == 204
        for table in (
            "users",
            "logins",
            "refresh_tokens",
            "one_time_links",
            "outbox",
            "idempotency_keys",
            "memberships",
        ):
            rows = await identity.database.fetchval(ALL_OF[table])
            assert "canary" not in str(rows).lower(), table
            assert "12345678" not in str(rows).replace("-", ""), table
        assert (await identity.login("canary@example.org")).status_code == 401
        assert (await identity.refresh(tokens["refreshToken"])).status_code == 401
        me = await identity.client.get("/api/v1/users/me", headers=bearer(tokens))
        assert (me.status_code, me.json()["code"]) == (401, "identity.account_closed")
        (last,) = await identity.messages("identity.user.v1")
        assert (last["type"], last["body"]["email"]) == ("identity.user.erased", None)

    async def test_an_erased_address_may_register_again(self, identity: Identity) -> None:
        tokens = await identity.entered()
        await identity.client.delete("/api/v1/users/me", headers=bearer(tokens))
        assert (await identity.register()).status_code == 201

    async def test_erasing_twice_is_no_error(self, identity: Identity) -> None:
        headers = bearer(await identity.entered())
        answers = [await identity.client.delete("/api/v1/users/me", headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [204, 204]


ALL_OF = {
    "users": "SELECT json_agg(t) FROM users t",
    "logins": "SELECT json_agg(t) FROM logins t",
    "refresh_tokens": "SELECT json_agg(t) FROM refresh_tokens t",
    "one_time_links": "SELECT json_agg(t) FROM one_time_links t",
    "outbox": "SELECT json_agg(body) FROM outbox",
    "idempotency_keys": "SELECT json_agg(t) FROM idempotency_keys t",
    "memberships": "SELECT json_agg(t) FROM memberships t",
}


class TestOrganisations:
    async def test_the_founder_owns_it_and_is_an_organiser_after_the_next_refresh(self, identity: Identity) -> None:
        tokens = await identity.entered()
        founded = await identity.client.post(
            "/api/v1/organisations", json={"name": "Hong Kong Philharmonic"}, headers=bearer(tokens)
        )
        assert founded.status_code == 201
        assert (founded.json()["slug"], founded.json()["role"]) == ("hong-kong-philharmonic", "owner")
        renewed = (await identity.refresh(tokens["refreshToken"])).json()
        caller = await identity.verifier().caller(renewed["accessToken"])
        assert "organiser" in caller.roles
        assert [str(found) for found in caller.organisations] == [founded.json()["id"]]

    async def test_two_of_one_name_get_two_addresses(self, identity: Identity) -> None:
        headers = bearer(await identity.entered())
        slugs = {
            (await identity.client.post("/api/v1/organisations", json={"name": "Phil"}, headers=headers)).json()["slug"]
            for _ in range(3)
        }
        assert len(slugs) == 3

    async def test_strangers_see_nothing(self, identity: Identity) -> None:
        mine = bearer(await identity.entered())
        other = bearer(await identity.entered("eve@example.org"))
        founded = (await identity.client.post("/api/v1/organisations", json={"name": "Phil"}, headers=mine)).json()
        path = f"/api/v1/organisations/{founded['id']}"
        assert (await identity.client.get(path, headers=mine)).status_code == 200
        seen = await identity.client.get(path, headers=other)
        missing = await identity.client.get("/api/v1/organisations/8a8f2c0e-6d0c-4f6e-9b1d-2f6f3a7f1c55", headers=other)
        assert (seen.status_code, seen.json()["code"]) == (404, "identity.organisation_not_found")
        same = {"status", "code", "title", "detail"}
        assert {key: seen.json()[key] for key in same} == {key: missing.json()[key] for key in same}
        assert (await identity.client.get("/api/v1/organisations", headers=other)).json() == {"organisations": []}

    async def test_repeats_its_answer_for_the_same_key(self, identity: Identity) -> None:
        headers = {**bearer(await identity.entered()), "Idempotency-Key": "k"}
        answers = [
            await identity.client.post("/api/v1/organisations", json={"name": "Phil"}, headers=headers)
            for _ in range(2)
        ]
        assert answers[0].content == answers[1].content
        assert await identity.database.fetchval("SELECT count(*) FROM organisations") == 1

    async def test_the_only_owner_cannot_be_erased(self, identity: Identity) -> None:
        headers = bearer(await identity.entered())
        await identity.client.post("/api/v1/organisations", json={"name": "Phil"}, headers=headers)
        answer = await identity.client.delete("/api/v1/users/me", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "identity.last_owner")

    @pytest.mark.parametrize("what", ["members", "api-keys"])
    async def test_says_what_it_cannot_do_yet(self, identity: Identity, what: str) -> None:
        headers = bearer(await identity.entered())
        founded = (await identity.client.post("/api/v1/organisations", json={"name": "Phil"}, headers=headers)).json()
        for method in ("GET", "POST"):
            answer = await identity.client.request(
                method, f"/api/v1/organisations/{founded['id']}/{what}", headers=headers
            )
            assert (answer.status_code, answer.json()["code"]) == (501, "request.not_implemented")
