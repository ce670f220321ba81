"""Candidates for copies: all pairs of similar hashes that can be the same shot."""

import numpy as np
import pytest

from searcher.catalog.read.likeness import Look
from searcher.search import alike as module
from searcher.search.alike import BURST, MOST_BITS, alike, distance


def looks(count: int = 400) -> list[Look]:
    """Hashes near a few others. A third has no date, some dates are those of a few photos, and one that of many."""
    random = np.random.default_rng(0)
    bases = random.integers(-(2**63), 2**63, 20)
    flips = np.bitwise_or.reduce(np.left_shift(1, random.integers(0, 63, (count, 12))), axis=1)
    hashes = (bases[random.integers(0, 20, count)] ^ flips).tolist()
    dates = [None, *(f"2024-05-01T12:00:{second:02}" for second in range(60)), "1970-01-01T00:00:00"]
    shares = np.array([0.33, *([0.4 / 60] * 60), 0.27])
    chosen = random.choice(len(dates), count, p=shares / shares.sum())
    return [Look(row + 1, hash, dates[date], 1) for row, (hash, date) in enumerate(zip(hashes, chosen, strict=True))]


def test_each_pair_that_can_be_the_same_shot_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUERIES", 16)
    monkeypatch.setattr(module, "_ROWS", 64)
    monkeypatch.setattr(module, "AT_ONCE", 50)
    rows = looks()
    assert sum(look.taken_at == "1970-01-01T00:00:00" for look in rows) > BURST
    found = [
        pair
        for first, second in alike(rows, np.zeros(len(rows), bool))
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    ]
    near = {
        (one, other)
        for one in range(len(rows))
        for other in range(one + 1, len(rows))
        if distance(rows[one], rows[other]) <= MOST_BITS
    }
    same_shot = {pair for pair in near if len({rows[row].taken_at for row in pair} - {None}) < 2}
    assert len(found) == len(set(found))
    assert same_shot <= set(found) <= near
    assert any(rows[one].taken_at == rows[other].taken_at is not None for one, other in same_shot)


def test_the_distance_counts_the_bits_of_signed_hashes() -> None:
    assert distance(Look(1, -1, None, 1), Look(2, 0, None, 1)) == 64
    assert distance(Look(1, -(2**63), None, 1), Look(2, 1, None, 1)) == 2


def test_rows_that_were_taken_meanwhile_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 10)
    rows = [Look(row + 1, 5, None, 1) for row in range(100)]
    taken = np.zeros(len(rows), bool)
    pairs = 0
    for first, second in alike(rows, taken):
        assert (first == 0).all()
        taken[second] = True
        pairs += len(second)
    assert pairs == 99
