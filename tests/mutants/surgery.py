"""How a defect gets into the real product: a passage of its own text is replaced while the scenario runs, then put back.

Never a copy of the product: the rest of the function or statement is what the repository has, and a passage that is not
there (any more) is an error, so a mutant cannot go stale unnoticed.
"""

import ast
import inspect
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FunctionType, ModuleType
from typing import Any

from boxoffice.runtime.database import Database


class NotThereError(AssertionError):
    """The passage that a mutant replaces is not in the product, or more than once."""


_texts: dict[FunctionType, str] = {}
"""The text of functions that are under the knife, as it is now."""


def replaced(text: str, before: str, after: str, *, every: bool = False) -> str:
    """Replace a passage that is there exactly once (``every``: at least once)."""
    count = text.count(before)
    if count == 0 or (count > 1 and not every):
        raise NotThereError(f"{before!r} is there {count} times in:\n{text}")
    return text.replace(before, after)


@contextmanager
def edited(function: Callable[..., Any], before: str, after: str, **names: Any) -> Iterator[None]:
    """Give a function the code of its own text with one passage replaced; whoever imported it by name has it too.

    ``names`` are known to the new passage.
    """
    target = inspect.unwrap(function)
    assert isinstance(target, FunctionType)
    earlier = _texts.get(target)
    text = textwrap.dedent(inspect.getsource(target)) if earlier is None else earlier
    mutated = replaced(text, before, after)
    code, globals_ = target.__code__, target.__globals__
    namespace: dict[str, Any] = dict(globals_)
    tree = ast.parse(mutated)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == target.__name__:
            node.decorator_list = []
            break
    exec(compile(tree, "<mutant>", "exec"), namespace)  # noqa: S102 - the product's own text, with the defect in it
    globals_.update(names)
    target.__code__ = namespace[target.__name__].__code__
    _texts[target] = mutated
    try:
        yield
    finally:
        target.__code__ = code
        for name in names:
            del globals_[name]
        if earlier is None:
            del _texts[target]
        else:
            _texts[target] = earlier


@contextmanager
def reworded(module: ModuleType, name: str, before: str, after: str) -> Iterator[None]:
    """Replace a passage of a statement that a module keeps under a name."""
    original = getattr(module, name)
    setattr(module, name, replaced(original, before, after))
    try:
        yield
    finally:
        setattr(module, name, original)


@contextmanager
def swapped(owner: Any, name: str, new: Any) -> Iterator[None]:
    """Put something else in the place of an attribute."""
    original = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, original)


@asynccontextmanager
async def rewritten(
    database: Database, function: str, before: str, after: str, *, every: bool = False
) -> AsyncIterator[None]:
    """Replace a passage of a function of the database; the database is a test's own copy and is not put back."""
    text = await database.fetchval("SELECT pg_get_functiondef($1::regproc)", function)
    await database.fetch(replaced(text, before, after, every=every))
    yield
