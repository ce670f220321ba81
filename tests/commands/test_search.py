"""How `searcher search` prints its hits."""

import pytest

from searcher import Hit
from searcher.commands.search import show_hits


def hit(rank: int, path: str, score: float, copies: tuple[str, ...] = ()) -> Hit:
    return Hit(rank, rank, path, copies, score, None, None, ())


def test_each_hit_is_one_aligned_line_with_the_number_of_other_paths(capsys: pytest.CaptureFixture[str]) -> None:
    hits = [hit(rank, f"/photos/{rank}.jpg", 0.4 - rank / 100) for rank in range(1, 11)]
    hits[1] = hit(2, "/photos/a\nb.jpg", 0.38, ("/x.jpg",))
    hits[2] = hit(3, "/photos/3.jpg", 0.37, ("/x.jpg", "/y.jpg"))
    show_hits(hits)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == " 1  0.390  /photos/1.jpg"
    assert lines[1] == " 2  0.380  /photos/a\\x0ab.jpg  (+ 1 other path)"
    assert lines[2] == " 3  0.370  /photos/3.jpg  (+ 2 other paths)"
    assert lines[9] == "10  0.300  /photos/10.jpg"
    assert len(lines) == 10
