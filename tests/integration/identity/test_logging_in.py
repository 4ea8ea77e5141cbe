"""Logins: passwords, tokens, refresh with reuse detection, forgotten passwords, and what they tell strangers."""

import asyncio
import statistics
import time

import pytest
from tests.support.identity import PASSWORD, Identity, bearer

from boxoffice.runtime.authn import UnauthenticatedError
from boxoffice.services.identity.providers.hashing import BusyError, Hasher


async def _busy(*_: object) -> bool:
    raise BusyError("Try again in a moment.", retryAfterSeconds=1)


async def pass_days(identity: Identity, days: int) -> None:
    """Let that many days go by for every login."""
    await identity.database.fetch(
        "UPDATE logins SET begun_at = begun_at - make_interval(days => $1),"
        " idle_until = idle_until - make_interval(days => $1),"
        " absolute_until = absolute_until - make_interval(days => $1)",
        days,
    )


class TestLogIn:
    async def test_answers_tokens_that_every_service_takes(self, identity: Identity) -> None:
        tokens = await identity.entered()
        assert set(tokens) == {"accessToken", "refreshToken", "expiresInSeconds", "tokenType"}
        assert tokens["expiresInSeconds"] <= 600
        caller = await identity.verifier().caller(tokens["accessToken"])
        assert caller.roles == {"customer"}

    async def test_says_the_same_for_an_unknown_address_and_a_wrong_password(self, identity: Identity) -> None:
        await identity.register()
        wrong = await identity.login(password="not the password")
        unknown = await identity.login("nobody@example.org")
        assert wrong.status_code == unknown.status_code == 401
        same = {"type", "status", "code", "title", "detail"}
        assert {key: wrong.json()[key] for key in same} == {key: unknown.json()[key] for key in same}
        assert set(wrong.headers) == set(unknown.headers)

    async def test_takes_as_long_for_an_unknown_address(self, identity: Identity) -> None:
        await identity.register()

        async def seconds(email: str) -> float:
            began = time.perf_counter()
            assert (await identity.login(email, password="not the password")).status_code in {401, 429}
            return time.perf_counter() - began

        known, unknown = [], []
        for number in range(12):
            await identity.database.fetch("SELECT 1")
            known.append(await seconds("ada@example.org"))
            unknown.append(await seconds(f"nobody{number % 3}@example.org"))
        # Both verify one argon2id hash until the fifth failure and none after it.
        assert statistics.median(known[:4]) > 0.005
        assert statistics.median(unknown[:4]) > 0.005
        assert 0.3 < statistics.median(known[:4]) / statistics.median(unknown[:4]) < 3

    async def test_compares_a_password_as_it_was_typed(self, identity: Identity) -> None:
        await identity.register(password="Correct Horse 7")
        for other in ("correct horse 7", "CORRECT HORSE 7", " Correct Horse 7", "Correct Horse 7 "):
            assert (await identity.login(password=other)).status_code == 401, other
        assert (await identity.login(password="Correct Horse 7")).status_code == 200

    async def test_slows_guessing_at_one_account_and_takes_the_right_password_before(self, identity: Identity) -> None:
        await identity.register()
        for _ in range(4):
            assert (await identity.login(password="not the password")).status_code == 401
        assert (await identity.login()).status_code == 200
        assert (await identity.login(password="not the password")).status_code == 401
        answer = await identity.login(password="not the password")
        assert (answer.status_code, answer.json()["code"]) == (429, "identity.too_many_attempts")
        assert 1 <= int(answer.headers["retry-after"]) <= 13

    async def test_guesses_at_the_same_moment_do_not_all_pass(self, identity: Identity) -> None:
        await identity.register()
        answers = await asyncio.gather(*(identity.login(password=f"not the password {n}") for n in range(40)))
        assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 35

    async def test_a_guess_that_nobody_could_look_at_counts_nothing(
        self, identity: Identity, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await identity.register()
        with monkeypatch.context() as busy:
            busy.setattr(Hasher, "matches", _busy)
            assert {(await identity.login(password="not the password")).status_code for _ in range(8)} == {503}
        assert (await identity.login(password="not the password")).status_code == 401
        assert (await identity.login()).status_code == 200

    async def test_counts_failures_of_unknown_addresses_alike(self, identity: Identity) -> None:
        statuses = [(await identity.login("nobody@example.org")).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]

    async def test_many_logins_of_one_account_are_no_failures(self, identity: Identity) -> None:
        await identity.register()
        assert {(await identity.login()).status_code for _ in range(8)} == {200}

    async def test_renews_a_hash_with_old_parameters(self, identity: Identity) -> None:
        from argon2 import PasswordHasher

        await identity.register()
        old = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
        await identity.database.fetch("UPDATE users SET password_hash = $1", old)
        assert (await identity.login()).status_code == 200
        assert "$m=19456,t=2,p=1$" in await identity.database.fetchval("SELECT password_hash FROM users")
        assert (await identity.login()).status_code == 200

    async def test_refuses_absurd_passwords_without_hashing_them(self, identity: Identity) -> None:
        await identity.register()
        assert (await identity.login(password="x" * 4_000)).status_code == 401
        assert (await identity.login(password="x" * 5_000)).status_code == 422

    async def test_hashes_at_most_so_many_at_once(self) -> None:
        hasher, most, now = Hasher(at_once=2), 0, 0

        def slowly() -> str:
            nonlocal most, now
            now += 1
            most = max(most, now)
            time.sleep(0.02)
            now -= 1
            return "done"

        await asyncio.gather(*(hasher._in_turn(slowly) for _ in range(8)))
        assert most == 2


class TestRefresh:
    async def test_rotates(self, identity: Identity) -> None:
        tokens = await identity.entered()
        first = (await identity.refresh(tokens["refreshToken"])).json()
        assert first["refreshToken"] != tokens["refreshToken"]
        assert (await identity.refresh(first["refreshToken"])).status_code == 200

    async def test_stores_hashes_only(self, identity: Identity) -> None:
        tokens = await identity.entered()
        renewed = (await identity.refresh(tokens["refreshToken"])).json()
        stored = str(await identity.database.fetchval("SELECT json_agg(t) FROM refresh_tokens t"))
        assert tokens["refreshToken"] not in stored
        assert renewed["refreshToken"] not in stored
        assert renewed["refreshToken"].encode().hex() not in stored

    async def test_a_second_use_ends_the_whole_login(self, identity: Identity) -> None:
        tokens = await identity.entered()
        renewed = (await identity.refresh(tokens["refreshToken"])).json()
        reused = await identity.refresh(tokens["refreshToken"])
        assert (reused.status_code, reused.json()["code"]) == (401, "identity.login_over")
        assert (await identity.refresh(renewed["refreshToken"])).status_code == 401
        assert await identity.database.fetchval("SELECT closed_because FROM logins") == "reuse"

    async def test_other_logins_of_the_account_live_on(self, identity: Identity) -> None:
        tokens = await identity.entered()
        other = (await identity.login()).json()
        await identity.refresh(tokens["refreshToken"])
        await identity.refresh(tokens["refreshToken"])
        assert (await identity.refresh(other["refreshToken"])).status_code == 200

    async def test_of_32_uses_at_once_one_succeeds_and_then_the_login_is_over(self, identity: Identity) -> None:
        tokens = await identity.entered()
        answers = await asyncio.gather(*(identity.refresh(tokens["refreshToken"]) for _ in range(32)))
        won = [answer for answer in answers if answer.status_code == 200]
        assert len(won) == 1
        assert {answer.status_code for answer in answers} <= {200, 401, 503}  # 503: waited too long for the lock
        assert (await identity.refresh(won[0].json()["refreshToken"])).status_code == 401

    async def test_a_lost_answer_is_given_again_to_the_same_client(self, identity: Identity) -> None:
        tokens = await identity.entered()
        key = {"Idempotency-Key": "retry-1"}
        answers = await asyncio.gather(*(identity.refresh(tokens["refreshToken"], **key) for _ in range(8)))
        given = {answer.json()["refreshToken"] for answer in answers if answer.status_code == 200}
        assert len(given) == 1
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert (await identity.refresh(given.pop())).status_code == 200

    async def test_the_grace_ends_after_ten_seconds(self, identity: Identity) -> None:
        tokens = await identity.entered()
        key = {"Idempotency-Key": "retry-1"}
        await identity.refresh(tokens["refreshToken"], **key)
        await identity.database.fetch("UPDATE refresh_tokens SET rotated_at = rotated_at - interval '10.1 s'")
        assert (await identity.refresh(tokens["refreshToken"], **key)).status_code == 401

    async def test_another_key_has_no_grace(self, identity: Identity) -> None:
        tokens = await identity.entered()
        await identity.refresh(tokens["refreshToken"], **{"Idempotency-Key": "mine"})
        thief = await identity.refresh(tokens["refreshToken"], **{"Idempotency-Key": "theirs"})
        assert thief.status_code == 401

    async def test_ends_by_time(self, identity: Identity) -> None:
        tokens = await identity.entered()
        await identity.database.fetch("UPDATE logins SET absolute_until = clock_timestamp()")
        assert (await identity.refresh(tokens["refreshToken"])).status_code == 401

    async def test_ends_when_nobody_uses_it(self, identity: Identity) -> None:
        tokens = await identity.entered()
        for _ in range(2):  # each use begins the time anew
            await pass_days(identity, 13)
            tokens = (await identity.refresh(tokens["refreshToken"])).json()
        await pass_days(identity, 14)
        answer = await identity.refresh(tokens["refreshToken"])
        assert (answer.status_code, answer.json()["code"]) == (401, "identity.login_over")

    async def test_survives_the_loss_of_valkey(self, identity: Identity, redis_url: str) -> None:
        from redis.asyncio import Redis

        tokens = await identity.entered()
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        assert (await identity.refresh(tokens["refreshToken"])).status_code == 200

    @pytest.mark.parametrize("token", ["x", "y" * 200, "\u0000", "' OR 1=1 --", "☃"])
    async def test_refuses_what_is_no_token(self, identity: Identity, token: str) -> None:
        assert (await identity.refresh(token)).status_code == 401

    async def test_an_access_token_refreshes_nothing_and_the_other_way_round(self, identity: Identity) -> None:
        tokens = await identity.entered()
        assert (await identity.refresh(tokens["accessToken"])).status_code in {401, 422}
        with pytest.raises(UnauthenticatedError):
            await identity.verifier().caller(tokens["refreshToken"])


class TestLogOut:
    async def test_ends_the_login_and_may_be_repeated(self, identity: Identity) -> None:
        tokens = await identity.entered()
        for _ in range(2):
            answer = await identity.post("/auth/logout", {"refreshToken": tokens["refreshToken"]})
            assert answer.status_code == 204
        assert (await identity.refresh(tokens["refreshToken"])).status_code == 401
        assert await identity.database.fetchval("SELECT state FROM logins") == "ended"

    async def test_an_unknown_token_is_no_error(self, identity: Identity) -> None:
        assert (await identity.post("/auth/logout", {"refreshToken": "unknown"})).status_code == 204


class TestForgottenPassword:
    async def reset_link(self, identity: Identity) -> str:
        assert (await identity.post("/auth/forgot-password", {"email": "ada@example.org"})).status_code == 202
        for _ in range(100):
            try:
                return await identity.link("identity.mail.reset_password")
            except IndexError:
                await asyncio.sleep(0.1)
        raise AssertionError("no mail was asked for within ten seconds")

    async def test_says_the_same_whether_the_address_is_known_or_not(self, identity: Identity) -> None:
        await identity.register()
        known = await identity.post("/auth/forgot-password", {"email": "ada@example.org"})
        unknown = await identity.post("/auth/forgot-password", {"email": "nobody@example.org"})
        assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (202, known.content)

    async def test_only_the_owner_gets_a_mail(self, identity: Identity) -> None:
        await identity.register()
        await identity.post("/auth/forgot-password", {"email": "nobody@example.org"})
        await self.reset_link(identity)
        mails = [mail for mail in await identity.messages("identity.mail.v1") if "reset" in mail["type"]]
        assert {mail["body"]["email"] for mail in mails} == {"ada@example.org"}
        assert await identity.database.fetchval("SELECT count(*) FROM reset_requests") == 0

    async def test_the_new_password_replaces_the_old_and_ends_every_login(self, identity: Identity) -> None:
        tokens = await identity.entered()
        token = await self.reset_link(identity)
        answer = await identity.post("/auth/reset-password", {"token": token, "password": "another long password"})
        assert answer.status_code == 204
        assert (await identity.login()).status_code == 401
        assert (await identity.login(password="another long password")).status_code == 200
        assert (await identity.refresh(tokens["refreshToken"])).status_code == 401

    async def test_a_link_works_once_whoever_is_first(self, identity: Identity) -> None:
        await identity.register()
        token = await self.reset_link(identity)
        answers = await asyncio.gather(
            *(
                identity.post("/auth/reset-password", {"token": token, "password": f"another long password {number}"})
                for number in range(4)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [204, 410, 410, 410]

    async def test_a_weak_password_leaves_the_link_usable(self, identity: Identity) -> None:
        await identity.register()
        token = await self.reset_link(identity)
        weak = await identity.post("/auth/reset-password", {"token": token, "password": "password1"})
        assert weak.status_code == 422
        good = await identity.post("/auth/reset-password", {"token": token, "password": "another long password"})
        assert good.status_code == 204

    async def test_a_form_is_no_mail_bomb(self, identity: Identity) -> None:
        await identity.register()
        await self.reset_link(identity)
        for _ in range(3):
            await identity.post("/auth/forgot-password", {"email": "ada@example.org"})
            await asyncio.sleep(0.6)
        mails = [mail for mail in await identity.messages("identity.mail.v1") if "reset" in mail["type"]]
        assert len(mails) == 1


class TestBearer:
    async def test_is_asked_for_and_refused_the_same_way(self, identity: Identity) -> None:
        for headers in (
            {},
            {"Authorization": "Bearer "},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer x.y.z"},
        ):
            answer = await identity.client.get("/api/v1/users/me", headers=headers)
            assert answer.status_code == 401, headers
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["code"] == "identity.unauthenticated"

    async def test_opens_the_account(self, identity: Identity) -> None:
        tokens = await identity.entered()
        assert (await identity.client.get("/api/v1/users/me", headers=bearer(tokens))).status_code == 200
