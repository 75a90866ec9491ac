"""All mutants, by what they break."""

from mutants.catalogue import (
    commits,
    conflicts,
    continuation,
    deliveries,
    five,
    floods,
    groups,
    holes,
    kit,
    lists,
    outside,
    sdk,
    sizes,
    statuses,
    streams,
    strict,
    sweeps,
)
from mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *commits.MUTANTS,
    *conflicts.MUTANTS,
    *continuation.MUTANTS,
    *deliveries.MUTANTS,
    *groups.MUTANTS,
    *statuses.MUTANTS,
    *sweeps.MUTANTS,
    *outside.MUTANTS,
    *holes.MUTANTS,
    *five.MUTANTS,
    *floods.MUTANTS,
    *strict.MUTANTS,
    *lists.MUTANTS,
    *sizes.MUTANTS,
    *streams.MUTANTS,
    *kit.MUTANTS,
    *sdk.MUTANTS,
)
