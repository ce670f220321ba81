"""What the scripts of this folder found, as rows of one table."""

from collections.abc import Sequence
from typing import NamedTuple

from searcher.commands.common import print_table


class Result(NamedTuple):
    """what: what was done. figure: how often, or what was measured. lost: how often something was lost or broken."""

    what: str
    figure: str
    lost: int = 0


def show(results: Sequence[Result]) -> int:
    """Print a table. Returns the exit code: 1 if anything was lost."""
    lost = sum(result.lost for result in results)
    rows = [[result.what, result.figure, f"{result.lost:,}"] for result in results]
    print_table(["what", "figure", "lost or broken"], [*rows, ["all", "", f"{lost:,}"]])
    return int(lost > 0)
