"""The list (reliability section 2.4), in its order."""

from tests.mutants import clients, confirming, holding, messages, money
from tests.mutants.case import Case, Mutant

MUTANTS: list[Mutant] = sorted(
    [*holding.MUTANTS, *confirming.MUTANTS, *money.MUTANTS, *messages.MUTANTS, *clients.MUTANTS],
    key=lambda mutant: mutant.number,
)
CASES: dict[str, tuple[Mutant, Case]] = {
    f"{mutant.number:02}-{mutant.name}-{case.name.replace(' ', '-').replace(',', '')}": (mutant, case)
    for mutant in MUTANTS
    for case in mutant.cases
}
