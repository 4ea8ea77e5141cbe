"""The log archive in MongoDB: one document a record, which the server itself forgets (a TTL index over ``time``)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING, WriteConcern
from pymongo.errors import BulkWriteError, OperationFailure

from boxoffice.runtime.archive.record import LogRecord
from boxoffice.runtime.archive.seam import MOST_FOUND, Wanted
from boxoffice.runtime.mongodb import Documents, open_mongodb, speaking_plainly

COLLECTION = "log_records"
TTL_INDEX = "forget"
TRACE_INDEX = "trace"
TIMEOUT_MS = 10_000
"""Nobody is waiting but an operator who looks for something."""
DUPLICATE = 11000
OTHER_OPTIONS = frozenset({85, 86})
"""IndexOptionsConflict, IndexKeySpecsConflict: there is such an index, and it keeps records for another time.
https://www.mongodb.com/docs/manual/reference/error-codes/"""


class MongoLogs:
    """An archive in one collection."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        # Confirmed by one server: losing the last records with it is no harm.
        self._records = documents.get_collection(COLLECTION, write_concern=WriteConcern(w=1))

    async def prepare(self, *, days: int) -> None:
        """Make the indexes, and let the server forget after so many days, whatever was set before."""
        seconds = int(timedelta(days=days).total_seconds())
        with speaking_plainly():
            try:
                await self._records.create_index([("time", ASCENDING)], name=TTL_INDEX, expireAfterSeconds=seconds)
            except OperationFailure as error:
                if error.code not in OTHER_OPTIONS:
                    raise
                index = {"name": TTL_INDEX, "expireAfterSeconds": seconds}
                await self._documents.command("collMod", COLLECTION, index=index)
            await self._records.create_index([("traceId", ASCENDING), ("time", ASCENDING)], name=TRACE_INDEX)

    async def add(self, records: Sequence[LogRecord]) -> None:
        """Keep records, each on its own: one that is there already stops no other."""
        with speaking_plainly():
            try:
                await self._records.insert_many([_document(one) for one in records], ordered=False)
            except BulkWriteError as error:
                if any(one["code"] != DUPLICATE for one in error.details["writeErrors"]):
                    raise

    async def find(self, wanted: Wanted) -> list[LogRecord]:
        """Find the newest records that are wanted, the oldest of them first."""
        chosen: dict[str, Any] = {"level": {"$in": wanted.levels}}
        if wanted.trace_id:
            chosen["traceId"] = wanted.trace_id
        if wanted.service:
            chosen["service"] = wanted.service
        if between := {name: at for name, at in (("$gte", wanted.since), ("$lt", wanted.until)) if at is not None}:
            chosen["time"] = between
        order = [("time", DESCENDING), ("_id", DESCENDING)]
        with speaking_plainly():
            found = await self._records.find(chosen).sort(order).limit(min(wanted.limit, MOST_FOUND)).to_list()
        return [_record(document) for document in reversed(found)]

    async def forget(self, *, days: int) -> int:  # noqa: ARG002 - the seam's: the index was told
        """Leave it to the server, which looks once a minute."""
        return 0


def _document(one: LogRecord) -> dict[str, Any]:
    return {
        "_id": one.record_id, "time": one.time, "level": one.level, "service": one.service, "event": one.event,
        "traceId": one.trace_id, "fields": _named(one.fields),
    }  # fmt: skip


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Keep operators and paths out of names: a dollar at the beginning, or a dot, would be read as such in a query."""
    return {name.replace(".", "_").replace("$", "_"): _within(value) for name, value in fields.items()}


def _within(value: Any) -> Any:
    if isinstance(value, dict):
        return _named(value)
    return [_within(one) for one in value] if isinstance(value, list) else value


def _record(document: Mapping[str, Any]) -> LogRecord:
    return LogRecord(
        record_id=document["_id"], time=document["time"], level=document["level"], service=document["service"],
        trace_id=document["traceId"], event=document["event"], fields=document["fields"],
    )  # fmt: skip


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[MongoLogs]:
    """Keep an archive open."""
    async with open_mongodb(url, name="boxoffice log archive", timeout_ms=TIMEOUT_MS) as documents:
        yield MongoLogs(documents)
