"""The engines themselves: they start, answer, and keep what they promised."""

from uuid import uuid4

import psycopg2
import redis
from tests.support.tokens import TokenFactory


class TestFixtures:
    def test_give_a_fresh_migrated_database(self, sales_url: str) -> None:
        with psycopg2.connect(sales_url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM outbox")
            assert cursor.fetchone() == (0,)
        connection.close()

    def test_give_an_empty_valkey(self, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url) as client:
            assert client.dbsize() == 0

    async def test_give_tokens_that_verify(self, tokens: TokenFactory) -> None:
        user = uuid4()
        caller = await tokens.verifier().caller(tokens.token(user, ("customer", "organiser"), {user: "owner"}))
        assert caller.user_id == user
        assert caller.roles == {"customer", "organiser"}
