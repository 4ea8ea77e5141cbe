"""Write the page from the JSON file: every figure on it comes from there, and a test writes it again and compares."""

from collections.abc import Mapping, Sequence
from typing import Any

HOW = {
    "kill -9 notification between effect and acknowledgement": "effect committed, the way of the acknowledgement cut, then killed",
    "kill -9 one of the others": "catalog, identity, search, storefront or the mailbox",
    "kill -9 postmaster": "PostgreSQL crashes with what is open, and recovers",
    "kill -9 valkey": "what it had not written yet is gone",
    "freeze bookings longer than a hold": "SIGSTOP for 7 to 10 s with holds of 6 s, then SIGCONT",
    "freeze payments, provider or valkey": "SIGSTOP for 3 to 8 s, then SIGCONT",
    "kill backends in their transactions": "`pg_terminate_backend` on those that have written something",
    "a stranger's locks": "every open order and customer locked until somebody's wait ended (250 ms)",
    "disk full under postgres": "not one block left on a disk of its own for 3 to 6 s",
    "slow, cut or reset wires": "0.4 s latency, a cut in one direction, or every connection reset",
    "provider faults": "lost replies, errors after success, slowness, refusals, forgotten keys",
    "webhook storm": "each ten times, out of order, late, or never",
    "FLUSHALL": "Valkey forgets everything",
}
NOT_RUN = "Not run in this run."


def page(found: Mapping[str, Any]) -> str:
    """Write docs/evidence/sale.md."""
    parts = [
        _head(found), _hammer(found["hammer"]), _chaos(found["chaos"]), _valkey(found["without_valkey"]),
        _hoarding(found["hoarding"]), _pairs(found["pairs"], found["simulation"]), _mutants(found["mutants"]),
        _checkers(), _again(found), _not(found),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    marks = ["---"] + ["---:" if _are_numbers(rows, column) else "---" for column in range(1, len(head))]
    return "\n".join(f"| {' | '.join(map(_shown, row))} |" for row in (head, marks, *rows))


def _are_numbers(rows: Sequence[Sequence[Any]], column: int) -> bool:
    return all(isinstance(row[column], int | float) for row in rows)


def _shown(value: Any) -> str:
    if value is None:
        return "not run"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _head(found: Mapping[str, Any]) -> str:
    on = found["machine"]
    caught = "not run" if found["mutants_total"] is None else f"{found['mutants_caught']} of {found['mutants_total']}"
    table = _table(
        ["what", "figure"],
        [
            ["attempts to reserve in one run, every answer checked", found["reserve_attempts"]],
            ["violations of any invariant, found by any checker of any part", found["violations"]],
            ["minutes of chaos on the real processes", found["chaos_minutes"]],
            ["things that must happen in a chaos run and did not", found["sometimes_missing"]],
            ["seeded bugs of the sale (mutants) that the checks caught", caught],
            ["pairs of transactions run against each other, at every step of each", found["transaction_pairs"]],
            ["seed of hammer and chaos", str(found["seed"])],
        ],
    )
    partial = "".join(f"\n* {text}" for text in found["partial"])
    broken = "".join(f"\n* {text}" for text in found["violations_found"])
    changed = " with changes that were not committed" if on["changed_since_commit"] else ""
    return (
        "# The sale under fire: what was tried, and what came of it\n\n"
        f"Written by `make evidence` on {found['made_at']} at commit `{on['commit']}`{changed}; nobody edits it. "
        f"Machine: {on['cpu']}, {on['cores']} cores, {on['memory_gb']:g} GB, {on['system']}, "
        f"Python {on['python']}; clients, servers and checkers shared it. All figures are in [sale.json](sale.json)."
        + (f"\n\n**This run is partial, and no evidence for a release:**{partial}" if partial else "")
        + (f"\n\n**Violations:**{broken}" if broken else "")
        + f"\n\n{table}"
    )


def _hammer(hammer: Mapping[str, Any]) -> str:
    if not hammer:
        return f"## The hammer\n\n{NOT_RUN}"
    return (
        "## The hammer\n\n"
        f"{hammer['clients']} clients in {hammer['processes']} processes fight for {hammer['seats']} seats, 1 to 3 at a time, "
        "through the code that the bookings process runs: gathered holds, payments with a stub for a provider, confirmations, "
        "cancellations, holds given back, and holds of one second that run out and are taken over by the next. PostgreSQL is real; "
        "fsync is off, which changes its speed and not its answers (the chaos below has it on). "
        f"{hammer['attempts']:,} attempts to reserve in {hammer['seconds']:g} s. The {hammer['operations_checked']:,} operations that "
        f"had an effect, or may have had one, went through the checkers, and every one of {hammer['seat_changes']:,} changes of a "
        "seat's owner, noted by a trigger, through the fence check.\n\n"
        + _table(["answer", "times"], list(hammer["outcomes"].items()))
    )


def _chaos(chaos: Mapping[str, Any]) -> str:
    title = "## Chaos on the real processes\n\n"
    if not chaos:
        return title + NOT_RUN
    acts = [[name, times, HOW.get(name, "")] for name, times in chaos["acts"].items()]
    seen = [[name, one["seen"], one["least"]] for name, one in chaos["sometimes"].items()]
    left_out = "".join(f"\n* Left out here: {name}: {why}." for name, why in chaos["left_out"].items())
    failed = "".join(
        f"\n* {times} times could not be done: {name}" for name, times in chaos["acts_that_failed"].items()
    )
    overtime = (
        f" (it went on for {chaos['overtime_s']:g} s beyond its time until they had)" if chaos["overtime_s"] > 1 else ""
    )
    return (
        f"{title}Fourteen processes as an operator starts them: gateway, identity, catalog, tickets, bookings twice, payments, "
        "notification, search, storefront, PostgreSQL with fsync, Valkey, the payment provider's simulator with a ledger of its own, "
        "and a mailbox. Buyers come at a steady rate whatever is answered: 70 % look, 30 % hold one or two of 200 seats for 6 s and "
        "then let them lapse, give them back, or pay in one of five ways, and most cancel what they bought. One thing after another "
        "breaks, 2.5 to 5.5 s after the last, by a schedule that the seed alone decides. The second bookings process has a wrong "
        f"clock all the time (by {chaos['clock_skew_by']}: four minutes ahead or 25 s behind, drawn at each of its starts). "
        f"{chaos['quiet_after_s']:g} s after the last fault was healed nothing was open any more.\n\n"
        "![What buyers were told, second by second, over what was broken](sale.svg)\n\n"
        + _table(["broken", "times", "how"], acts) + _list(left_out + failed)
        + "\n\nA run in which nothing interesting happened proves nothing. These must have happened, or the run is invalid"
        + overtime + ":\n\n" + _table(["happened", "times", "at least"], seen)
        + "\n\nWhat buyers were told (a step is tried up to five times under one key; *unknown*: never answered, or answered with "
        "an error; its effect may be there or not, and the checkers allow both):\n\n"
        + _table(["answer", "times"], list(chaos["outcomes"].items())) + "\n\n" + _looked_at(chaos["figures"])
    )  # fmt: skip


def _list(lines: str) -> str:
    return f"\n{lines}" if lines else ""


def _looked_at(figures: Mapping[str, Any]) -> str:
    return (
        f"Checked at the end: {figures['operations']:,} operations, {figures['bookings']:,} bookings, {figures['tickets']:,} tickets, "
        f"{figures['captures']:,} captures and {figures['refunds']:,} refunds in the provider's own ledger, {figures['snapshots']:,} "
        f"looks at the sums while it ran, {figures['fence_looks']:,} looks at fences, {figures['probe_transactions']:,} probe "
        "transactions. Redelivery: here the relay carries the outbox to Valkey's streams, and publishes again what Valkey forgot."
    )


def _valkey(valkey: Mapping[str, Any] | None) -> str:
    title = "## Without Valkey\n\n"
    if not valkey:
        return title + NOT_RUN
    rows = [
        [name.replace("_", " "), one["checkouts"], one["with_tickets"], f"{one['with_tickets'] / max(1, one['checkouts']):.1%}"]
        for name, one in valkey.items()
        if isinstance(one, dict) and "checkouts" in one
    ]  # fmt: skip
    return (
        f"{title}Valkey (or Redis) may say an early no, and never decides. Whole checkouts (hold, pay, come back, confirm, cancel) "
        "on the real processes while it is emptied every second, and while it is dead:\n\n"
        + _table(["Valkey is", "checkouts", "with tickets", "share"], rows)
    )


def _hoarding(hoarding: Mapping[str, Any] | None) -> str:
    title = "## Squatters\n\n"
    if not hoarding:
        return title + NOT_RUN
    rows = [[name.replace("_", " "), value] for name, value in hoarding.items() if name not in {"tests", "failed"}]
    return (
        f"{title}A customer may hold so many places of an event at once, and spends a budget for what they hold in vain: three full "
        "holds. One customer asks a thousand times at once, gathered and one by one; a squatter holds again and again for twenty "
        "times a hold's length, and seeded ones try every way of holding, giving back, extending, paying and being declined. "
        f"{hoarding['tests']} tests, {hoarding['failed']} failed.\n\n" + _table(["figure", "value"], rows)
    )


def _pairs(pairs: Mapping[str, Any], simulation: Mapping[str, Any]) -> str:
    told = (
        (
            f"Reserve, pay, claim, confirm, deadline, free, cancel and the sweeper: {pairs['pairs']} ordered pairs on a real "
            f"PostgreSQL, one stopped at each of its statements while the other runs: {pairs['interleavings']:,} orders of steps, "
            f"{pairs['violations']} violations."
        )
        if pairs
        else NOT_RUN
    )
    besides = (
        f" Besides, {simulation['seeds']:,} seeded simulations of the protocol on a virtual clock with a faulty provider "
        f"({simulation['steps']:,} steps): {simulation['violations']} violations."
        if simulation
        else ""
    )
    return f"## Every transaction against every other\n\n{told}{besides}"


def _mutants(mutants: Sequence[Mapping[str, Any]]) -> str:
    title = "## Are the checks any good?\n\n"
    if not mutants:
        return title + NOT_RUN
    rows = [[one["name"], "caught" if one["caught"] else "**survived**"] for one in mutants]
    return (
        f"{title}Each of these bugs was put into the sale on purpose; a check that lets one live is no check. Guards that back "
        "each other up were removed together, and each was attacked alone once.\n\n"
        + _table(["bug", "the checks"], rows)
    )


def _checkers() -> str:
    return (
        "## What checks\n\n"
        "* **Register**: for each seat, is there an order of the operations that agrees with every answer and with the clock (Wing and "
        "Gong's search)? Unanswered operations may have happened late, or never.\n"
        "* **Set**: every ticket that was given out is there; no ticket is there that nobody paid.\n"
        "* **Bank**: captured money is what live tickets cost plus what was refunded, at every look while it ran; at the end booking by "
        "booking against the provider's own ledger, which is another program with other files.\n"
        "* **Fence**: a seat's number rises with every change of owner.\n"
        "* **Effects**: of every committed message that asks for a mail the mail was written once, and of no other; the bus carries "
        "nothing that was never committed, each order's messages in their order, and on the seed's topics the same as on our own.\n"
        "* **Cycles**: list-append probe transactions through the same driver have an order (Elle's idea).\n"
        "* **Auditor**: the sale's own invariants as queries, the same that run in production and stop the sale of a broken event.\n\n"
        "They are in `tests/support/checkers`, know nothing of the program's code (the auditor apart), and each is shown catching bad "
        "histories in `tests/unit/checkers`."
    )


def _again(found: Mapping[str, Any]) -> str:
    rows = [[name, f"`{one['command']}`", one["seconds"], one["exit_code"]] for name, one in found["steps"].items()]
    return (
        "## Do it again\n\n"
        f"`make evidence` does all of it in about a quarter of an hour; `make evidence SEED={found['seed']}` with this run's schedule of "
        "faults and dice; `make evidence CHAOS_MINUTES=60` with an hour of chaos. A violation is printed with the folder of its logs "
        f"and history; `make soak CHAOS_MINUTES={found['chaos_minutes'] or 10:g} SEED={found['seed']}` runs the chaos alone. "
        "Each part as it was run:\n\n" + _table(["part", "command", "seconds", "exit code"], rows)
    )


def _not(found: Mapping[str, Any]) -> str:
    return (
        "## What this does not show\n\n"
        "* One machine: no failover to a standby, no split network between machines, no disk that lies about fsync. A killed "
        "PostgreSQL is not a machine without power: what it had written to the kernel is still there.\n"
        "* The same seed runs the same schedule of faults and the same dice; the interleaving is not the same, for the processes are real.\n"
        "* Faults of the provider are those that its simulator knows; the real one may know others.\n"
        "* The wrong clock stays within a token's life ahead and the leeway behind: beyond that a node refuses every login, which is "
        "safe and of no use. The database's own clock is not moved.\n"
        "* The hammer's refusals are counted and not searched for an order, for they have no effect; that a free seat is not refused "
        "for long is other tests' (`tests/races`, `tests/integration/sales`).\n"
        f"* Figures of speed on this page are of a machine that did everything at once ({found['machine']['cores']} cores); `bench/` "
        "measures speed.\n"
        "* Kafka, Debezium and search servers are not part of this run."
    )
