"""Ids of new records grow with time and are never drawn twice."""

import copy
import os
import pickle
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.runtime.uuids import DRAWN_AT_ONCE, uuid7, uuid_of


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


class TestUuidOf:
    @given(st.uuids())
    def test_is_what_the_class_makes(self, theirs: UUID) -> None:
        ours = uuid_of(theirs.int)
        assert type(ours) is UUID
        assert (ours, hash(ours), str(ours), repr(ours), ours.bytes) == (
            theirs, hash(theirs), str(theirs), repr(theirs), theirs.bytes,
        )  # fmt: skip
        assert (ours.is_safe, ours.version, ours.fields) == (theirs.is_safe, theirs.version, theirs.fields)
        assert copy.deepcopy(ours) == pickle.loads(pickle.dumps(ours)) == theirs  # noqa: S301 - our own
        assert msgspec.json.encode(ours) == msgspec.json.encode(theirs)

    def test_never_changes(self) -> None:
        with pytest.raises(TypeError, match="immutable"):
            uuid_of(7).int = 8  # type: ignore[misc]
