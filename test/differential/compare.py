"""Compares what cmdsched answered with what the others say."""

import csv
import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import Callable, Optional

from croniter import croniter

import oracle
from cases import Case, Cron, Every, Generator
from zones import END_OF_DATEUTIL, EPOCH

# Both runs of each case are compared.
RUNS = 2
# Every moment in between is looked at where there are few, in so many cases.
WALKED = 10
SHOWN = 20

counts: Counter[str] = Counter()
failures: list[str] = []


def parse_moment(text: str) -> Optional[datetime]:
    return EPOCH + timedelta(microseconds=int(text)) if text else None


def check(case: Case, what: str, runs: object, expected: object) -> None:
    counts[what] += 1
    if runs != expected:
        counts[what + ": differences"] += 1
        failures.append(f"{case.row()}: {what}: {runs}, expected {expected}")


def runs_by(case: Case, source: oracle.Source) -> list[Optional[datetime]]:
    runs: list[Optional[datetime]] = []
    at: Optional[datetime] = case.after
    while len(runs) < RUNS:
        at = oracle.next_of_cron(case, at, source) if at else None
        runs.append(at)
    return runs


def within_reach(case: Case, runs: list[Optional[datetime]]) -> list[Optional[datetime]]:
    """Without those that are farther away than the others look."""
    result: list[Optional[datetime]] = []
    after = case.after
    for run in runs:
        reached = run is not None and run.year <= after.year + oracle.YEARS and run.year < 9000
        result.append(run if reached else None)
        if run is None or not reached:
            break
        after = run
    return result + [None] * (RUNS - len(result))


def walk(case: Case, end: datetime) -> list[datetime]:
    """The moments at which it comes due, up to the end, one by one."""
    cron = case.expression
    assert isinstance(cron, Cron)
    step = timedelta(seconds=1)
    at = case.after.replace(microsecond=0)
    found = []
    while at < end:
        at += step
        if oracle.is_due_at(case, at):
            found.append(at)
    return found


def compare_cron(case: Case, number: int, runs: list[Optional[datetime]]) -> None:
    cron = case.expression
    assert isinstance(cron, Cron)
    reached = within_reach(case, runs)
    check(case, "dateutil: rrule", reached, runs_by(case, oracle.by_rrule))
    if oracle.croniter_text(cron):
        compare_with_croniter(case, reached)
    for run in runs:
        if run is not None and run.year < 9000:
            check(case, "matches the expression", oracle.is_due_at(case, run), True)
    if number % WALKED == 0 and runs[0] and runs[0] - case.after < timedelta(hours=2):
        check(case, "nothing skipped between", walk(case, runs[0]), [runs[0]])


def compare_with_croniter(case: Case, runs: list[Optional[datetime]]) -> None:
    cron = case.expression
    assert isinstance(cron, Cron)
    why = oracle.croniter_is_wrong(cron)
    theirs = runs_by(case, oracle.by_croniter)
    if why is None:
        check(case, "croniter", runs, theirs)
        compare_with_zones_of_croniter(case, runs[0])
    else:
        counts[f"croniter {why}"] += 1
        counts[f"croniter {why}: differences"] += runs != theirs


def compare_with_zones_of_croniter(case: Case, run: Optional[datetime]) -> None:
    cron, zone = case.expression, case.zone
    assert isinstance(cron, Cron)
    if run is None or run >= END_OF_DATEUTIL:
        return
    local = (case.after + zone.offset(case.after)).replace(tzinfo=zone.by_dateutil)
    theirs = croniter(oracle.croniter_text(cron), local, datetime, day_or=not cron.both_days).get_next(datetime)
    at = (theirs - theirs.utcoffset()).replace(tzinfo=None)
    if not zone.changes_between(case.after - 2 * oracle.DAY, run + 2 * oracle.DAY):
        check(case, "croniter with a zone, no change of the clock near", run, at)
        return
    what = "croniter over a change of the clock"
    counts[what] += 1
    if at == run:
        return
    if at <= case.after:
        counts[f"{what}: not after"] += 1
    elif not oracle.is_due_at(case, at):
        counts[f"{what}: not by the expression, or not by the rules"] += 1
    elif at > run:
        counts[f"{what}: one is left out"] += 1
    else:
        check(case, what, run, at)


def main() -> None:
    seed, count = map(int, sys.argv[1:])
    answers = csv.reader(sys.stdin)
    cases = enumerate(Generator(seed).cases(count))
    for (number, case), (answered, same, *moments) in zip(cases, answers, strict=True):
        assert int(answered) == number
        runs = [parse_moment(text) for text in moments]
        if isinstance(case.expression, Cron):
            check(case, "same answer from any moment between", same, "t")
        check(case, "strictly after", all(run is None or run > before for before, run in zip([case.after, *runs], runs) if before), True)
        if isinstance(case.expression, Every):
            check(case, "dateutil: relativedelta", runs, oracle.runs_of_interval(case, RUNS))
        else:
            compare_cron(case, number, runs)
    for what, many in sorted(counts.items()):
        print(f"{many:9,}  {what}")
    for failure in failures[:SHOWN]:
        print(failure)
    print(f"{len(failures)} differences in {count} cases")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
