"""Time zones as rows of changes, by dateutil, and by zoneinfo from 2037 on.

dateutil reads that part only of the files of tzdata that ends in 2037.
"""

import bisect
import os
import zoneinfo
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Iterator

from dateutil import tz

EPOCH = datetime(1970, 1, 1)
FOLDER = "/usr/share/zoneinfo"
BEGIN = datetime(1902, 1, 1)
END_OF_DATEUTIL = datetime(2037, 1, 1)


@dataclass(frozen=True)
class Change:
    """From one offset of UTC to another; moments are of UTC, and naive."""

    at: datetime
    before: timedelta
    after: timedelta


def zone_names() -> list[str]:
    # Not of Python's, which may have a list of its own.
    with open(os.path.join(FOLDER, "tzdata.zi"), encoding="utf-8") as file:
        names = {line.split()[1] for line in file if line.startswith("Z ")}
        file.seek(0)
        names |= {line.split()[2] for line in file if line.startswith("L ")}
    return sorted(name for name in names if os.path.exists(os.path.join(FOLDER, name)) and name != "Factory")


class Zone:
    def __init__(self, name: str) -> None:
        self.name = name
        path = os.path.join(FOLDER, name)
        self.by_dateutil = tz.tzfile(path)
        with open(path, "rb") as file:
            self.by_zoneinfo = zoneinfo.ZoneInfo.from_file(file, key=name)
        moments = (EPOCH + timedelta(seconds=at) for at in self.by_dateutil._trans_list_utc)
        self.changes = list(self.real_changes(at for at in moments if BEGIN < at < END_OF_DATEUTIL))
        self.moments = [change.at for change in self.changes]

    def offset(self, at: datetime) -> timedelta:
        """What the clocks show more than UTC, at a moment of UTC."""
        zone = self.by_dateutil if at < END_OF_DATEUTIL else self.by_zoneinfo
        return zone.fromutc(at.replace(tzinfo=zone)).replace(tzinfo=None) - at

    def real_changes(self, moments: Iterator[datetime]) -> Iterator[Change]:
        for at in moments:
            change = Change(at, self.offset(at - timedelta(seconds=1)), self.offset(at))
            if change.before != change.after:
                yield change

    def changes_between(self, begin: datetime, end: datetime) -> list[Change]:
        changes = self.changes[bisect.bisect_left(self.moments, begin) : bisect.bisect_left(self.moments, end)]
        if end > END_OF_DATEUTIL:
            day = max(begin, END_OF_DATEUTIL).replace(hour=0, minute=0, second=0, microsecond=0)
            while day < end:
                changes = changes + [change for change in self.changes_of_day(day) if begin <= change.at < end]
                day += timedelta(days=1)
        return changes

    @lru_cache(maxsize=10000)
    def changes_of_day(self, day: datetime) -> list[Change]:
        """Where only single moments can be asked: by halving."""
        low, high = day - timedelta(seconds=1), day + timedelta(days=1, seconds=-1)
        before, after = self.offset(low), self.offset(high)
        if before == after:
            return []
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            middle = middle.replace(microsecond=0)
            low, high = (middle, high) if self.offset(middle) == before else (low, middle)
        return [Change(high, before, after)]
