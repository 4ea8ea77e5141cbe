"""Effects: every message that was committed took effect at each consumer, once, and no other message did (I8, I9).

The inbox's primary key makes a second effect in a database impossible; a mail can go out twice when its sender is
killed between the mail server's yes and its own commit, which is counted and bounded by the number of such kills.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence


def missing_and_phantom(outbox: set[str], inboxes: Mapping[str, Iterable[str]]) -> list[str]:
    """Compare message ids: the outbox's with what each consumer's inbox took (of the same topics)."""
    found = []
    for consumer, taken in inboxes.items():
        counted = Counter(taken)
        twice = [message for message, times in counted.items() if times > 1]
        lost = outbox - counted.keys()
        invented = counted.keys() - outbox
        if twice:
            found.append(f"{consumer} took {len(twice)} messages more than once, such as {twice[0]}")
        if lost:
            found.append(f"{consumer} never took {len(lost)} messages, such as {min(lost)}")
        if invented:
            found.append(f"{consumer} took {len(invented)} messages that nobody wrote, such as {min(invented)}")
    return found


def mails(expected: Iterable[str], sent: Sequence[str], *, sender_kills: int) -> list[str]:
    """Compare mails that are due (one a name, such as ``tickets:ORDER``) with those in the mailbox."""
    due, counted = set(expected), Counter(sent)
    found = []
    if lost := due - counted.keys():
        found.append(f"{len(lost)} mails were never sent, such as {min(lost)}")
    if invented := counted.keys() - due:
        found.append(f"{len(invented)} mails were sent for nothing, such as {min(invented)}")
    if (again := sum(counted.values()) - len(counted)) > sender_kills:
        found.append(f"{again} mails went out again, with only {sender_kills} kills of their sender")
    return found


def out_of_order(messages: Iterable[tuple[str, int]]) -> list[str]:
    """Find keys whose versions (key, version, in the order of the bus without repeats) went down."""
    last: dict[str, int] = {}
    found = []
    for key, version in messages:
        if version < last.get(key, -1):
            found.append(f"{key}: version {version} came after {last[key]}")
        last[key] = max(version, last.get(key, -1))
    return found
