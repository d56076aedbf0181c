"""All points of a trial, or some of them; one at a time and in pairs."""

import collections
import os
import random
from errno import EAGAIN, EINTR

import table
from cases import Wrong
from errors import DONE_NONETHELESS, errors_of
from table import Fault

EVER = 1 << 62

# FAULTS=N: so many points of each trial; all; or 2/5: the second fifth of all.
WISH = os.environ.get("FAULTS", "8")
SEED = int(os.environ.get("FAULTS_SEED", random.randrange(1 << 31)))
CALLS_OF_PLACE = 16  # that are tried if all points are

covered = collections.Counter()  # by the call's name


def some_calls(count, chance):
    """Numbers of calls: all of few, of many the first, the last and some between."""
    if count <= CALLS_OF_PLACE:
        return range(1, count + 1)
    first = range(1, CALLS_OF_PLACE // 2 + 1)
    return sorted({*first, count, *chance.sample(range(1, count), CALLS_OF_PLACE // 2)})


def faults_of(place, count, errors, chance):
    first = True
    mode = "late" if place.call in DONE_NONETHELESS else "once"
    for nth in some_calls(count, chance):
        for error in errors if first else [chance.choice(errors)]:
            yield Fault(place, nth, nth, error, mode)
        if first and mode == "once" and errors[0] not in (EAGAIN, EINTR):
            yield Fault(place, nth, EVER, errors[0], "on")
        first = False


def all_faults(counts, symbols, trusted, chance):
    faults = []
    for place, count in sorted(counts.items()):
        errors = errors_of(place, symbols.function(place))
        if errors and place.module not in trusted:
            faults += faults_of(place, count.calls, errors, chance)
    return faults


def plans_of(faults, chance):
    """Each alone and half as many pairs; or a few of either, of places rather than of points."""
    if not WISH.isdigit():
        part, parts = map(int, WISH.split("/")) if "/" in WISH else (1, 1)
        plans = [[fault] for fault in faults] + [chance.sample(faults, 2) for _ in range(len(faults) // 2)]
        return plans[part - 1 :: parts]
    by_place = collections.defaultdict(list)
    for fault in faults:
        by_place[fault.place].append(fault)
    n = min(int(WISH), len(by_place))
    alone = [[chance.choice(by_place[place])] for place in chance.sample(sorted(by_place), n)]
    return alone + [chance.sample(faults, 2) for _ in range(n // 4)]


def run_points(trial, tried=None):
    """Tries them, but for those of the trial `tried`. Returns a line that says how many."""
    chance = random.Random(f"{SEED} {trial.arguments}")
    counts = trial.clean().table.counts
    known = tried.clean().table.counts if tried else {}
    counts = {place: count for place, count in counts.items() if place not in known or known[place].calls < count.calls}
    symbols = table.Symbols(trial.context.binary, counts)
    faults = all_faults(counts, symbols, trial.trusted, chance)
    wrong, ends, missed = 0, collections.Counter(), 0
    for plan in plans_of(faults, chance):
        program, text = trial.run(plan)
        reached = [fault for fault in plan if program.table.counts.get(fault.place, table.Count(0, 0, 0)).failed]
        missed += not reached
        ends[program.status] += bool(reached)
        covered.update(table.call_name(fault.place) for fault in reached)
        if text:
            wrong += 1
            print(f"  {trial.arguments[0]}: {text}, when fails {' and '.join(map(symbols.describe, plan))}{program.output()}", flush=True)
    note = f"{sum(ends.values())} of {len(faults)} points and their pairs: " + ", ".join(f"{n} ended with {status}" for status, n in sorted(ends.items()))
    note += f", {missed} not reached" if missed else ""
    if wrong:
        raise Wrong(f"{note}; {wrong} went wrong, see above")
    return note


def print_covered():
    print("points covered, by call:")
    for name, n in sorted(covered.items()):
        print(f"  {n:6} {name}")
    print(f"  {sum(covered.values()):6} in all (FAULTS={WISH} FAULTS_SEED={SEED})")
