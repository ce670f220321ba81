"""Pages of the photos of a library in Milvus, and how many were taken in each month.

Milvus sorts nothing reliably, so rows are read and sorted here. For a page by time of very many photos, the dates at
which the page begins and ends are found by counting, and only what is between them is read.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from searcher.catalog.read.photos import Month, Order
from searcher.filters import EVERYTHING, Filter
from searcher.scale.milvus.connection import Row
from searcher.scale.milvus.core import MilvusCore
from searcher.scale.milvus.filtering import Compiled
from searcher.scale.milvus.marks import probability, read_marks

FEW = 5_000  # photos that are read and sorted rather than counted, which takes some 100 calls for a page
FEW_DATES = 50_000  # the same for all months
LAST_ID = 2**53
YEARS = range(1, 9999)


class Range(NamedTuple):
    """The numbers of a field from `low` to `high`. descending: whether the largest come first."""

    field: str
    low: int
    high: int
    descending: bool

    def up_to(self, value: int) -> str:
        """The rows that come before those with a larger number (or a smaller one), and those with this one."""
        return f"{self.field} {'>=' if self.descending else '<='} {value}"

    def between(self, first: int, last: int) -> str:
        """The rows from the number `first` to the number `last`, in this order."""
        low, high = (last, first) if self.descending else (first, last)
        return f"{self.field} >= {low} and {self.field} <= {high}"


def _moment(year: int, month: int = 1) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())


FIRST, AFTER = _moment(YEARS.start), _moment(YEARS.stop)


class BrowseMethods(MilvusCore):
    """Photos by time or by probability."""

    def browse(
        self, filter: Filter = EVERYTHING, order: Order = "newest", offset: int = 0, limit: int = 100
    ) -> list[tuple[int, float]]:
        """One page of the photos that meet `filter`: (id, least probability of the tags asked for)."""
        compiled = self._compile(filter)
        expression = compiled.expression
        all_are_read = limit < 0 or not compiled.exact or compiled.by_copy
        by_tags = order == "probability" and bool(filter.tags or filter.sources)
        if all_are_read or by_tags or self._connection.count(self._images, expression) <= FEW:
            found = self._sorted(compiled, order)
            return found[offset:] if limit < 0 else found[offset : offset + limit]
        if order == "probability":
            return self._page(compiled, order, Range("id", 0, LAST_ID, False), expression, offset, limit)
        newest = order == "newest"
        dated = f"{expression} and taken is not null"
        page = self._page(compiled, order, Range("taken", FIRST, AFTER, newest), dated, offset, limit)
        if len(page) < limit:  # those without a date come last
            before = self._connection.count(self._images, dated)
            undated = f"{expression} and taken is null"
            rest = Range("id", 0, LAST_ID, newest)
            page += self._page(compiled, order, rest, undated, max(0, offset - before), limit - len(page))
        return page

    def timeline(self, filter: Filter = EVERYTHING) -> list[Month]:
        """How many of the photos that meet `filter` were taken in each month, newest first; None for no date."""
        compiled = self._compile(filter)
        expression = compiled.expression
        if not compiled.exact or compiled.by_copy or self._connection.count(self._images, expression) <= FEW_DATES:
            counted = Counter(row["taken_at"][:7] for row in self._matching(compiled, ("taken_at",)))
            undated = counted.pop("", 0)
        else:
            counted = Counter()
            self._count_months(expression, YEARS.start * 12, YEARS.stop * 12, counted)
            undated = self._connection.count(self._images, f"{expression} and taken is null")
        months = [Month(month, counted[month]) for month in sorted(counted, reverse=True)]
        return [*months, *([Month(None, undated)] if undated else [])]

    def _count_months(self, expression: str, first: int, after: int, counted: Counter[str]) -> None:
        """Count the photos of the months (numbered from year 0) from `first` to before `after`, if there are any."""
        start, end = _moment(first // 12, first % 12 + 1), _moment(after // 12, after % 12 + 1)
        photos = self._connection.count(self._images, f"{expression} and taken >= {start} and taken < {end}")
        if photos and after - first == 1:
            counted[f"{first // 12:04}-{first % 12 + 1:02}"] = photos
        elif photos:
            middle = (first + after) // 2
            self._count_months(expression, first, middle, counted)
            self._count_months(expression, middle, after, counted)

    def _page(
        self, compiled: Compiled, order: Order, values: Range, base: str, offset: int, limit: int
    ) -> list[tuple[int, float]]:
        """One page of the rows that meet the expression `base`, in the order of a field, which all of them have."""

        def count(condition: str) -> int:
            return self._connection.count(self._images, f"{base} and {condition}")

        if limit <= 0 or count(values.up_to(values.low if values.descending else values.high)) <= offset:
            return []
        first = _number_at(values, offset + 1, count)
        last = _number_at(values, offset + limit, count)
        part = values.between(first, last)
        before = count(values.up_to(first)) - count(values.between(first, first))
        found = self._sorted(replace(compiled, expression=f"{base} and {part}"), order)
        return found[offset - before : offset - before + limit]

    def _sorted(self, compiled: Compiled, order: Order) -> list[tuple[int, float]]:
        """All photos that meet a filter, in their order."""
        filter = compiled.filter
        with_tags = bool(filter.tags or filter.sources)
        below = self._below() if filter.tags else {}

        def chance(row: Row) -> float:
            return probability(read_marks(row["marks"]), filter, below) if with_tags else 1.0

        fields = ("taken_at", "marks") if with_tags else ("taken_at",)
        found = [(row["content"], row["taken_at"], chance(row)) for row in self._matching(compiled, fields)]
        found.sort(reverse=order == "newest")  # by id, of which no two are equal
        if order == "probability":
            found.sort(key=lambda each: -each[2])
        else:
            found.sort(key=lambda each: each[1], reverse=order == "newest")
            found.sort(key=lambda each: not each[1])
        return [(id, sure) for id, _, sure in found]


def _number_at(values: Range, rank: int, count: Callable[[str], int]) -> int:
    """The number of the field in the row at a rank, from 1 on; that of the last row if there are not so many."""
    low, high = values.low, values.high
    if values.descending:  # the largest number up to which there are so many rows
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if count(values.up_to(middle)) >= rank else (low, middle - 1)
        return low
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count(values.up_to(middle)) >= rank else (middle + 1, high)
    return low
