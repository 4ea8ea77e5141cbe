"""Guards left out, alone or in pairs where one backs the other up: the simulation must find each within some seeds."""

from dataclasses import dataclass

from tests.simulation.run import run

SEEDS_FOR_A_MUTANT = 1_500
"""The rarest one needs some hundreds."""

MUTANTS: dict[str, str] = {
    "take_over": "a hold that has not run out is taken over",
    "application_clock": "a process's own clock, half an hour fast, decides what ran out",
    "steal_paying": "seats being paid for are taken once the deadline has passed",
    "steal_paying+confirm_unchecked": "the same, and confirming does not look at the seats",
    "pay_unchecked": "a payment starts without looking at the hold",
    "claim": "a capture is asked for though the payment was abandoned",
    "abandon_blind": "a claimed payment is abandoned",
    "fence": "a late no counts although somebody asked again",
    "repeat_confirms": "a capture that is told again issues tickets again",
    "limit": "the limit is counted, not kept",
    "places_stay": "places of released orders are not counted down",
    "release_anybodys": "whoever releases frees what others hold by now",
    "cancel_twice": "a void ticket is cancelled again",
    "cancel_keeps_seats": "a cancelled ticket's seat stays sold",
    "exchange_unchecked": "an exchange takes a seat without looking",
    "exchange_keeps_ticket": "an exchange leaves the old ticket valid",
    "look_before_refund": "a refund is asked for again, under the same key, without looking first",
    "refund_id+look_before_refund": "a refund is asked for again under a new key",
    "late_money": "money that bought nothing stays",
    "told_outside": "messages are written outside the transaction",
}

STUBBORN = "stubborn"
MOODS: dict[str, dict[str, float]] = {
    STUBBORN: {"late_answer": 0.8, "decline": 0.6, "new_hold": 0.04, "slow": 0.4, "twice": 0.2},
    "fence": {"late_answer": 0.8, "decline": 0.6, "new_hold": 0.04, "lost_reply": 0.3, "pending": 0.0, "jump": 0.0},
}
"""What must be likely for the rarest things to meet: an old no, a new yes whose reply is lost; money that comes late."""


@dataclass
class Caught:
    """Which seed found a mutant, and what it said; none when it lives."""

    mutant: str
    seed: int | None = None
    violation: str = ""


def hunt(mutant: str, *, seeds: int = SEEDS_FOR_A_MUTANT) -> Caught:
    """Run seeds until one finds the mutant."""
    off = frozenset(mutant.split("+"))
    for seed in range(seeds):
        result = run(seed, off, mood=MOODS.get(mutant, {}))
        if result.violation:
            return Caught(mutant, seed, result.violation)
    return Caught(mutant)
