"""What an index run did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from searcher.errors import Failure
from searcher.photos.choice import Kind, has_reader, how_to_install

_ONE = {Kind.VIDEO: "video", Kind.RAW: "camera raw file", Kind.JPEG_XL: "JPEG XL file"}
_MANY = {Kind.VIDEO: "videos", Kind.RAW: "camera raw files", Kind.JPEG_XL: "JPEG XL files"}


@dataclass(slots=True)
class Counts:
    """What a run did so far, in files."""

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index run did, in files.

    failed: files that could not be read, now or in an earlier run, in the folders that were looked at. failures: why.
    notices: lines for the user, for example that a folder is missing. passed_over: how many files of each kind were
    left out.
    """

    added: int
    changed: int
    moved: int
    removed: int
    unchanged: int
    failed: int
    seconds: float
    failures: tuple[Failure, ...]
    notices: tuple[str, ...]
    passed_over: Mapping[Kind, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The report as `index --json` prints it, without the notices."""
        return {
            "added": self.added,
            "changed": self.changed,
            "moved": self.moved,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "failures": [failure.as_dict() for failure in self.failures],
            "passed_over": {kind.value: self.passed_over.get(kind, 0) for kind in Kind},
        }


def lines_about(passed_over: Mapping[Kind, int], raw_unwanted: int) -> list[str]:
    """What was passed over and why, one line for each kind. raw_unwanted: how many because of --raw none."""
    lines = [f"{_what(Kind.RAW, raw_unwanted)} (--raw none)"] if raw_unwanted else []
    for kind, count in passed_over.items():
        count -= raw_unwanted if kind == Kind.RAW else 0
        what = _what(kind, count)
        if kind == Kind.VIDEO:
            lines.append(what)
        elif not count:
            continue
        elif not has_reader(kind):
            lines.append(f"{what}: to index {'it' if count == 1 else 'them'}, run {how_to_install(kind)}")
        else:
            each = "it" if count == 1 else "each"
            lines.append(f"{what}: a JPEG or HEIC of the same name lies beside {each} (see --raw)")
    return lines


def _what(kind: Kind, count: int) -> str:
    return f"{count:,} {_ONE[kind]} was passed over" if count == 1 else f"{count:,} {_MANY[kind]} were passed over"
