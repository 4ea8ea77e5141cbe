"""Compare the schemas of messages with those that were released: whoever reads the old ones must read the new ones.

``python scripts/check_schemas.py`` says what does not fit; with ``--release`` it keeps what is new as the next release
of its topic (``schemas/released/TOPIC/N.json``), unless something does not fit. A change that cannot fit needs a topic
of its own (``catalog.event.v2``), told beside the old one until nobody reads that any more.

Both ways count, since messages are kept and processes of two versions run beside each other: a new reader meets old
messages, and an old reader new ones. So fields may be added where they may be missing; none may go, be renamed, be of
another type or other values, come to be missing, or come to be needed.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CURRENT = ROOT / "schemas" / "messages"
RELEASED = ROOT / "schemas" / "released"
SAYING = {"description", "title", "default", "examples", "$defs", "$ref"}
"""Of a schema: what no reader depends on, or what is followed instead of compared."""
APART = {"properties", "required", "items", "anyOf", "enum", "prefixItems", "additionalProperties"}
"""What is compared in its own way."""

Schema = Mapping[str, Any]


def misfits(old: Schema, new: Schema) -> list[str]:
    """Say, field by field, why readers of one schema could not read messages of the other; none: they can."""
    return list(_Comparison(old.get("$defs", {}), new.get("$defs", {})).compared(old, new, "message"))


class _Comparison:
    """Compares two documents; references are followed in each document's own definitions."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._under_way: set[tuple[str, str]] = set()

    def compared(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """Compare what stands at one place."""
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if "$ref" in old and "$ref" in new:
            if pair in self._under_way:  # a shape within itself
                return
            self._under_way.add(pair)
        yield from self._resolved(_followed(old, self._old), _followed(new, self._new), at)
        self._under_way.discard(pair)

    def _resolved(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        if _plain(old) != _plain(new):
            yield f"{at} was {_said(old)} and is {_said(new)}"
            return
        if set(map(str, old.get("enum", ()))) != set(map(str, new.get("enum", ()))):
            yield f"{at} had the values {old.get('enum')} and has {new.get('enum')}"
        yield from self._choices(old, new, at)
        yield from self._parts(old, new, at)
        yield from self._fields(old, new, at)

    def _choices(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """Compare alternatives in any order, each by what it is: null, a string, an object of a name."""
        before = {_name(one, self._old): one for one in old.get("anyOf", ())}
        after = {_name(one, self._new): one for one in new.get("anyOf", ())}
        if set(before) != set(after):
            yield f"{at} was one of {sorted(before)} and is one of {sorted(after)}"
            return
        for name, one in before.items():
            yield from self.compared(one, after[name], at)

    def _parts(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        for word in ("items", "additionalProperties"):
            before, after = old.get(word), new.get(word)
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from self.compared(before, after, f"{at}[]")
            elif before != after:
                yield f"{at}: {word} was {before} and is {after}"
        if old.get("prefixItems") != new.get("prefixItems"):
            yield f"{at} holds other things in another order"

    def _fields(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for field, shape in before.items():
            if field not in after:
                yield f"{at}.{field} is gone (or has another name)"
            else:
                yield from self.compared(shape, after[field], f"{at}.{field}")
        for field in sorted(needed_after - needed_before):
            yield f"{at}.{field} is required now; messages that are kept may lack it"
        for field in sorted((needed_before - needed_after) & set(after)):
            yield f"{at}.{field} was always there and may be missing now"


def _followed(schema: Schema, definitions: Schema) -> Schema:
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _plain(schema: Schema) -> dict[str, Any]:
    return {word: value for word, value in schema.items() if word not in SAYING | APART}


def _said(schema: Schema) -> str:
    if "anyOf" in schema:
        return "one of several"
    return " ".join(str(schema[word]) for word in ("type", "format") if word in schema) or "anything"


def _name(choice: Schema, definitions: Schema) -> str:
    if "$ref" in choice:
        return str(choice["$ref"].rpartition("/")[2])
    found = _followed(choice, definitions)
    return _said(found) if "enum" not in found else "some values"


def releases(topic: str) -> list[Path]:
    """List what was released of a topic, oldest first."""
    return sorted((RELEASED / topic).glob("*.json"), key=lambda path: int(path.stem))


def topics() -> list[str]:
    """Name the topics that have a schema, or had one."""
    now = {path.name.removesuffix(".json") for path in CURRENT.glob("*.json")}
    before = {path.name for path in RELEASED.iterdir() if path.is_dir()} if RELEASED.exists() else set()
    return sorted(now | before)


def read(path: Path) -> Schema:
    """Read a schema."""
    found: Schema = json.loads(path.read_text())
    return found


def check() -> list[str]:
    """Say what does not fit, by topic and release."""
    found = []
    for topic in topics():
        current = CURRENT / f"{topic}.json"
        if not current.exists():
            found.append(f"{topic}: it was released and has no schema any more")
            continue
        found += [
            f"{topic}, release {path.stem}: {text}"
            for path in releases(topic)
            for text in misfits(read(path), read(current))
        ]
    return found


def release() -> list[Path]:
    """Keep every schema that differs from its topic's last release as the next one."""
    kept = []
    for topic in topics():
        current, known = CURRENT / f"{topic}.json", releases(topic)
        if known and read(known[-1]) == read(current):
            continue
        path = RELEASED / topic / f"{int(known[-1].stem) + 1 if known else 1}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(current.read_text())
        kept.append(path)
    return kept


def main() -> int:
    """Read the command line, compare, and keep if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="store_true", help="keep what is new as the next release of its topic")
    asked = parser.parse_args()
    if found := check():
        sys.stderr.write("\n".join(found) + "\n")
        return 1
    for path in release() if asked.release else ():
        sys.stdout.write(f"kept {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
