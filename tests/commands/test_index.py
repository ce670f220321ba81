"""What `searcher index` prints about a run."""

import pytest

from searcher.commands.index import show_report
from searcher.errors import Failure
from searcher.indexer import IndexReport


def printed(capsys: pytest.CaptureFixture[str], *, added: int = 0, failed: int = 0, seconds: float = 2.0) -> list[str]:
    """The lines for a run that added some photos and failed with others."""
    failures = tuple(Failure(f"/photos/{number}.jpg", "empty file") for number in range(failed))
    show_report(
        IndexReport(
            added=added,
            changed=0,
            moved=0,
            removed=0,
            unchanged=1,
            failed=failed,
            seconds=seconds,
            failures=failures,
            notices=(),
        )
    )
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("added", "seconds", "line"),
    [
        (30, 2.0, "30 added, 1 unchanged (2.0 s, 15 photos per second)"),
        (2, 2.0, "2 added, 1 unchanged (2.0 s, 1 photo per second)"),
        (1, 4.0, "1 added, 1 unchanged (4.0 s, 0.25 photos per second)"),
        (0, 2.0, "1 unchanged (2.0 s)"),
        (1, 0.0, "1 added, 1 unchanged (0.0 s)"),
    ],
)
def test_the_speed_is_never_zero(capsys: pytest.CaptureFixture[str], added: int, seconds: float, line: str) -> None:
    assert printed(capsys, added=added, seconds=seconds) == [line]


def test_the_list_of_all_failed_files_is_named_only_if_some_were_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, failed=5)
    assert len(lines) == 6 and "status --failed" not in " ".join(lines)
    lines = printed(capsys, failed=7)
    assert lines[-1] == "  2 more. List all failed files with: searcher status --failed"
    assert len(lines) == 7
