"""The random cases of the differential test, made from a seed.

An expression is made together with the sets of numbers that it stands for, so
that nobody has to read its text to know what it means.
"""

import csv
import random
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Iterator, Optional

from zones import EPOCH, Zone, zone_names

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()

# Half hours, whole days, midnights, Ramadan, seconds, two hours, and the rest.
FAMOUS = """Africa/Cairo Africa/Casablanca Africa/Monrovia America/Caracas America/Havana America/New_York
America/Santiago America/Sao_Paulo America/Scoresbysund America/St_Johns Antarctica/Troll Asia/Amman Asia/Gaza
Asia/Kathmandu Asia/Kolkata Asia/Manila Asia/Pyongyang Asia/Tehran Atlantic/Azores Australia/Lord_Howe
Europe/Amsterdam Europe/Berlin Europe/Dublin Europe/Istanbul Europe/London Pacific/Apia Pacific/Chatham
Pacific/Kwajalein UTC""".split()


@dataclass
class Field:
    """The text of a field, and what it stands for."""

    text: str
    values: set[int]

    @property
    def has_star(self) -> bool:
        return self.text.startswith("*")


@dataclass
class Cron:
    seconds: Optional[Field]
    minutes: Field
    hours: Field
    days: Field
    months: Field
    weekdays: Field
    last_day: bool
    nth_weekdays: set[tuple[int, int]]  # (weekday, n), -1 for the last one
    weekday_numbers: set[int]  # as they are written, with Sunday as 0, 7 or both

    def __str__(self) -> str:
        fields = [self.minutes, self.hours, self.days, self.months, self.weekdays]
        if self.seconds:
            fields.insert(0, self.seconds)
        return " ".join(field.text for field in fields)

    @property
    def all_day(self) -> bool:
        return self.hours.has_star or len(self.hours.values) == 24

    @property
    def both_days(self) -> bool:
        """Whether day of month and day of week both have to match."""
        return self.days.has_star or self.weekdays.has_star


@dataclass
class Every:
    """An interval."""

    months: int
    days: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.months} mons {self.days} days {self.seconds} seconds"


@dataclass
class Case:
    expression: Cron | Every
    zone: Zone
    after: datetime  # of UTC, naive
    dst_gap: str
    dst_overlap: str

    def row(self) -> list[str]:
        return [str(self.expression), self.zone.name, f"{self.after.isoformat()}+00", self.dst_gap, self.dst_overlap]


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.zones = {name: Zone(name) for name in zone_names()}
        self.famous = [name for name in FAMOUS if name in self.zones]

    def cases(self, count: int) -> Iterator[Case]:
        for _ in range(count):
            yield self.case()

    def case(self) -> Case:
        chance = self.random
        zone = self.zones[chance.choice(self.famous if chance.random() < 0.5 else list(self.zones))]
        near = chance.random() < 0.5 and bool(zone.changes)
        change = chance.choice(zone.changes) if near else None
        after = self.moment(change.at if change else None)
        expression: Cron | Every
        if chance.random() < 0.1:
            expression = self.every()
        else:
            expression = self.cron((change.at + change.before).hour if change else None)
        return Case(expression, zone, after, chance.choice(["shift", "skip"]), chance.choice(["first", "last", "both"]))

    def moment(self, near: Optional[datetime]) -> datetime:
        chance = self.random
        if near:
            hours = chance.choice([2, 30, 24 * 300])
            at = near + timedelta(seconds=chance.randint(-3600 * hours, 3600 * min(hours, 30)))
        else:
            years = 130 if chance.random() < 0.9 else 590
            at = datetime(1903, 1, 1) + timedelta(seconds=chance.randint(0, years * 365 * 86400))
        at = max(at, datetime(1903, 1, 1))
        if chance.random() < 0.3:
            at = at.replace(second=0)
        if chance.random() < 0.1:
            at = at.replace(microsecond=chance.randint(1, 999999))
        return at

    def every(self) -> Every:
        chance = self.random
        while True:
            every = Every(
                chance.choice([0, 0, 1, 1, 2, 3, 12, 24]),
                chance.choice([0, 0, 1, 1, 7, 10]),
                chance.choice([0, 0, 0, 30, 3600, 5400, 129600]),
            )
            if every != Every(0, 0, 0):
                return every

    def cron(self, hour: Optional[int]) -> Cron:
        chance = self.random
        has_seconds = chance.random() < 0.2
        cron = Cron(
            self.field(0, 59, stars=0.1) if has_seconds else None,
            self.field(0, 59, stars=0.1),
            self.hours(hour),
            self.field(1, 31, stars=0.5),
            self.field(1, 12, stars=0.7, names=MONTHS),
            self.field(0, 7, stars=0.5, names=WEEKDAYS + ["sun"]),
            False,
            set(),
            set(),
        )
        cron.weekday_numbers = cron.weekdays.values
        cron.weekdays.values = {value % 7 for value in cron.weekdays.values}
        if not cron.days.has_star and chance.random() < 0.2:
            cron.last_day = True
            self.add(cron.days, chance.choice(["L", "l", "$"]))
        if not cron.weekdays.has_star and chance.random() < 0.3:
            self.add_nth_weekday(cron)
        return cron

    def hours(self, hour: Optional[int]) -> Field:
        """Often the hour at which the clock is changed, or one beside it."""
        if hour is None or self.random.random() < 0.3:
            return self.field(0, 23, stars=0.25)
        hour = (hour + self.random.randint(-1, 1)) % 24
        return Field(str(hour), {hour})

    def add(self, field: Field, text: str) -> None:
        """As one more of a list, or as the only one."""
        if self.random.random() < 0.5:
            field.text, field.values = text, set()
        else:
            field.text += "," + text

    def add_nth_weekday(self, cron: Cron) -> None:
        day, n = self.random.randint(0, 7), self.random.choice([1, 2, 3, 4, 5, -1])
        name = self.random.choice([str(day), (WEEKDAYS + ["Sun"])[day]])
        cron.nth_weekdays = {(day % 7, n)}
        self.add(cron.weekdays, name + (f"#{n}" if n > 0 else "L"))

    def field(self, low: int, high: int, stars: float, names: Optional[list[str]] = None) -> Field:
        chance = self.random
        if chance.random() < stars:
            if chance.random() < 0.6:
                return Field("*", set(range(low, high + 1)))
            step = chance.randint(1, high)
            return Field(f"*/{step}", set(range(low, high + 1, step)))
        items = [self.item(low, high, names) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        return Field(",".join(item.text for item in items), set().union(*(item.values for item in items)))

    def item(self, low: int, high: int, names: Optional[list[str]]) -> Field:
        chance = self.random
        first = chance.randint(low, high)
        last = chance.randint(first, high)
        step = chance.randint(1, 12)

        def text(value: int) -> str:
            return chance.choice([str.lower, str.capitalize, str.upper])(names[value - low]) if named and names else str(value)

        named = bool(names) and chance.random() < 0.5
        kind = chance.random()
        if kind < 0.6 or (named and first == 7):
            return Field(text(first), {first})
        if kind < 0.8 or named:
            if named and last == 7:
                last = 6  # "sun-sun" is a day, and no week
            return Field(f"{text(first)}-{text(last)}", set(range(first, last + 1)))
        if kind < 0.9:
            return Field(f"{first}-{last}/{step}", set(range(first, last + 1, step)))
        return Field(f"{first}/{step}", set(range(first, high + 1, step)))


def main() -> None:
    seed, count = map(int, sys.argv[1:])
    writer = csv.writer(sys.stdout)
    for number, case in enumerate(Generator(seed).cases(count)):
        writer.writerow([number, *case.row()])


if __name__ == "__main__":
    main()
