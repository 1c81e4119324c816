"""When a case comes due, by the rules as README.md of cmdsched has them.

Local times come from croniter, or from dateutil's rrule with times of day that
are counted out; what a zone does to them is decided here, and has nothing in
common with how recurrence.c goes about it.
"""

from datetime import date, datetime, timedelta
from typing import Callable, Iterator, Optional

from croniter import CroniterBadDateError, croniter
from dateutil import rrule
from dateutil.relativedelta import relativedelta

from cases import Case, Cron, Every
from zones import Zone

Source = Callable[[Cron, datetime], Iterator[datetime]]

# All dates and weekdays come round within 40 years.
YEARS = 41
LENGTHS = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
# No clock was ever changed by more.
DAY = timedelta(days=1)


# ----------------------------------------------------------------------------
# Local times
# ----------------------------------------------------------------------------


def croniter_text(cron: Cron) -> Optional[str]:
    """The same in croniter's words; None where it has none (see README.md)."""
    if cron.nth_weekdays and cron.weekdays.values:
        return None
    weekdays = cron.weekdays.text
    for weekday, n in cron.nth_weekdays:
        weekdays = f"{weekday}#{n}" if n > 0 else f"L{weekday}"
    fields = [cron.minutes.text, cron.hours.text, cron.days.text.replace("$", "L"), cron.months.text, weekdays]
    if cron.seconds:
        fields.append(cron.seconds.text)
    return " ".join(fields)


def croniter_is_wrong(cron: Cron) -> Optional[str]:
    """Why it may say something else: its mistakes, one by one in README.md."""
    days, lengths = cron.days.values, [LENGTHS[month] for month in cron.months.values]
    lists_all = len(days) == 31 or len(cron.weekdays.values) == 7
    if not cron.both_days and cron.nth_weekdays:
        return "forgets the day of month beside n#k"
    if not cron.both_days and not cron.last_day and min(days) > max(lengths):
        return "gives up where one of two is never"
    if not cron.both_days and lists_all:
        return "takes a list of all for a star"
    if cron.last_day and days:
        return "last day beside other days"
    if cron.seconds and 7 in cron.weekday_numbers:
        return "no Sunday where it is 7 and there are seconds"
    if len(days) < 31 and days and min(days) <= 3 and max(days) > 28:
        return "goes too far beyond a short month"
    return None


def by_croniter(cron: Cron, after: datetime) -> Iterator[datetime]:
    """Strictly after."""
    text = croniter_text(cron)
    assert text
    # Its restricted fields are those that are no bare star.
    times = croniter(text, after, datetime, day_or=not cron.both_days, max_years_between_matches=YEARS)
    try:
        while True:
            yield times.get_next(datetime)
    except CroniterBadDateError:
        pass


def dates_by_rrule(cron: Cron, begin: date) -> Iterator[date]:
    """Of an impossible date rrule hears at the end of time only: so that is near."""
    shift = (9998 - YEARS - begin.year) // 400 * 400
    start = datetime(begin.year + shift, begin.month, begin.day)
    plain = [rrule.weekday((day - 1) % 7) for day in cron.weekdays.values]
    nth = [rrule.weekday((day - 1) % 7, n) for day, n in cron.nth_weekdays]
    days = sorted(cron.days.values) + ([-1] if cron.last_day else [])
    dates = rrule.rruleset()

    def include(**restrictions: list[object]) -> None:
        dates.rrule(rrule.rrule(rrule.MONTHLY, dtstart=start, bymonth=sorted(cron.months.values), **restrictions))

    if not cron.both_days:
        include(bymonthday=days)
    # One rule with both would want both to match.
    for weekdays in filter(None, (plain, nth)):
        include(byweekday=weekdays, **({"bymonthday": days} if cron.both_days else {}))
    for at in dates:
        yield date(at.year - shift, at.month, at.day)


def by_rrule(cron: Cron, after: datetime) -> Iterator[datetime]:
    """Strictly after."""
    seconds = sorted(cron.seconds.values) if cron.seconds else [0]
    minutes = sorted(cron.minutes.values)
    for day in dates_by_rrule(cron, after.date()):
        same_day = day == after.date()
        for hour in sorted(cron.hours.values):
            if same_day and hour < after.hour:
                continue
            for minute in minutes:
                for second in seconds:
                    at = datetime(day.year, day.month, day.day, hour, minute, second)
                    if at > after:
                        yield at


# ----------------------------------------------------------------------------
# Zones
# ----------------------------------------------------------------------------


def instants(zone: Zone, local: datetime) -> tuple[list[datetime], Optional[datetime]]:
    """When the clocks show a local time; where they never do, when they show it shifted."""
    changes = zone.changes_between(local - 2 * DAY, local + 2 * DAY)
    if not changes:
        return [local - zone.offset(local)], None
    offsets = {offset for change in changes for offset in (change.before, change.after)}
    shown = sorted(local - offset for offset in offsets if zone.offset(local - offset) == offset)
    for change in changes:
        if not shown and change.at + change.before <= local < change.at + change.after:
            return [], local - change.before
    return shown, None


def runs_of_local(case: Case, local: datetime, all_day: bool) -> list[datetime]:
    shown, shifted = instants(case.zone, local)
    if not shown:
        return [shifted] if shifted and case.dst_gap == "shift" and not all_day else []
    if all_day or case.dst_overlap == "both":
        return shown
    return [shown[0] if case.dst_overlap == "first" else shown[-1]]


def next_of_cron(case: Case, after: datetime, source: Source) -> Optional[datetime]:
    cron, zone = case.expression, case.zone
    assert isinstance(cron, Cron)
    changes = zone.changes_between(after - 2 * DAY, after + 2 * DAY)
    back = max([abs(change.after - change.before) for change in changes], default=timedelta())
    begin = (after + zone.offset(after)).replace(microsecond=0) - back - timedelta(seconds=1)
    best: Optional[datetime] = None
    for local in source(cron, begin):
        if local.year > after.year + YEARS:
            break
        for run in runs_of_local(case, local, cron.all_day):
            if run > after and (best is None or run < best):
                best = run
        if best and local >= best + zone.offset(best):
            # Later local times come later, unless a change is near.
            changes = zone.changes_between(local - 2 * DAY, local + 2 * DAY)
            most = max([change.after for change in changes] + [change.before for change in changes], default=None)
            if most is None or local - most >= best:
                break
    return best


def runs_of_interval(case: Case, count: int) -> list[datetime]:
    every = case.expression
    assert isinstance(every, Every)
    anchor = case.after + case.zone.offset(case.after)
    runs: list[datetime] = []
    k = 0
    while len(runs) < count:
        k += 1
        elapsed = timedelta(seconds=every.seconds * k)
        if every.months == 0 and every.days == 0:
            runs.append(case.after + elapsed)
            continue
        local = anchor + relativedelta(months=every.months * k, days=every.days * k)
        at = runs_of_local(case, local, False)
        if at and at[0] + elapsed > (runs or [case.after])[-1]:
            runs.append(at[0] + elapsed)
    return runs


# ----------------------------------------------------------------------------
# Properties
# ----------------------------------------------------------------------------


def names_local(cron: Cron, local: datetime) -> bool:
    by_day = local.day in cron.days.values or (cron.last_day and (local + DAY).month != local.month)
    weekday = local.isoweekday() % 7
    nth = (weekday, (local.day + 6) // 7) in cron.nth_weekdays
    last = (weekday, -1) in cron.nth_weekdays and (local + 7 * DAY).month != local.month
    by_weekday = weekday in cron.weekdays.values or nth or last
    return (
        local.second in (cron.seconds.values if cron.seconds else {0})
        and local.minute in cron.minutes.values
        and local.hour in cron.hours.values
        and local.month in cron.months.values
        and ((by_day and by_weekday) if cron.both_days else (by_day or by_weekday))
    )


def is_due_at(case: Case, at: datetime) -> bool:
    """Whether it comes due at this moment, without looking for others."""
    cron = case.expression
    assert isinstance(cron, Cron)
    offset = case.zone.offset(at)
    changes = case.zone.changes_between(at - 2 * DAY, at + 2 * DAY)
    if names_local(cron, at + offset) and at in runs_of_local(case, at + offset, cron.all_day):
        return True
    return any(
        names_local(cron, at + change.before) and at in runs_of_local(case, at + change.before, cron.all_day)
        for change in changes
        if change.at <= at < change.at + (change.after - change.before)
    )
