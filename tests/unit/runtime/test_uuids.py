"""Ids of new records grow with time and are never drawn twice."""

import os
from uuid import UUID

from boxoffice.runtime.uuids import DRAWN_AT_ONCE, uuid7


class TestUuid7:
    def test_is_of_version_7(self) -> None:
        made = uuid7()
        assert (made.version, made.variant) == (7, "specified in RFC 4122")
        assert UUID(str(made)) == made

    def test_grows_with_time(self) -> None:
        made = [uuid7() for _ in range(1_000)]
        assert [one.int >> 80 for one in made] == sorted(one.int >> 80 for one in made)

    def test_is_never_drawn_twice(self) -> None:
        assert len({uuid7().int & (1 << 62) - 1 for _ in range(4 * DRAWN_AT_ONCE)}) == 4 * DRAWN_AT_ONCE

    def test_a_child_draws_its_own(self) -> None:
        uuid7()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, str(uuid7().int & (1 << 62) - 1).encode())
            os._exit(0)
        os.waitpid(child, 0)
        theirs = int(os.read(read, 64))
        assert theirs not in {uuid7().int & (1 << 62) - 1 for _ in range(2 * DRAWN_AT_ONCE)}
