"""Two models are compared by the queries that each of them answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.evaluate import Comparison, Recall, compare
from searcher.evaluate.comparison import LEAST_DIFFERENT

ranks = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=60).map(np.array)


def of(both: np.ndarray) -> dict[str, Comparison]:
    return compare(Recall(both[:, 0]), Recall(both[:, 1]))


@given(ranks)
def test_the_interval_contains_the_difference(both: np.ndarray) -> None:
    for name, found in of(both).items():
        k = int(name[1:])
        assert found.values == ((both[:, 0] < k).mean(), (both[:, 1] < k).mean())
        assert found.difference == pytest.approx(found.values[1] - found.values[0])
        assert found.interval[0] <= found.difference <= found.interval[1]
        assert -1 <= found.interval[0] <= found.interval[1] <= 1


@given(ranks)
def test_identical_models_do_not_differ(both: np.ndarray) -> None:
    for found in compare(Recall(both[:, 0]), Recall(both[:, 0].copy())).values():
        assert (found.difference, found.interval, found.better) == (0.0, (0.0, 0.0), None)


@given(ranks)
def test_the_opposite_order_gives_the_opposite_result(both: np.ndarray) -> None:
    opposite = {None: None, "A": "B", "B": "A"}
    for found, other in zip(of(both).values(), of(both[:, ::-1]).values(), strict=True):
        assert other.values == found.values[::-1]
        assert other.difference == -found.difference
        assert other.interval == (-found.interval[1], -found.interval[0])
        assert other.better == opposite[found.better]


def test_the_interval_is_about_as_wide_as_theory_says() -> None:
    gains = np.repeat([-1, 0, 1], [100, 700, 200])
    found = of(np.stack([np.where(gains < 0, 0, 99), np.where(gains > 0, 0, 99)], axis=1))["r1"]
    half = 1.96 * gains.std() / np.sqrt(len(gains))
    assert found.difference == pytest.approx(0.1)
    assert found.interval == pytest.approx((0.1 - half, 0.1 + half), abs=0.005)
    assert found.better == "B"


@pytest.mark.parametrize("count", [1, 3, LEAST_DIFFERENT - 1, LEAST_DIFFERENT])
def test_a_few_queries_never_make_a_model_better(count: int) -> None:
    """All of these queries favour A, so the interval does not contain 0."""
    found = of(np.array([[0, 99]] * count))["r1"]
    assert found.interval == (-1.0, -1.0)
    assert found.better == ("A" if count >= LEAST_DIFFERENT else None)


def test_the_queries_of_one_photo_are_drawn_together() -> None:
    both = np.random.default_rng(0).integers(0, 2, (200, 2)) * 99
    alone = of(both)["r1"]
    ranks, photos = both.repeat(5, axis=0), np.arange(200).repeat(5)
    together = compare(Recall(ranks[:, 0], photos), Recall(ranks[:, 1], photos))["r1"]
    assert together == alone  # five equal queries say no more than one
    narrow = of(ranks)["r1"]
    assert narrow.interval[1] - narrow.interval[0] < 0.6 * (alone.interval[1] - alone.interval[0])


def test_results_of_different_queries_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="different queries"):
        compare(Recall(np.zeros(2)), Recall(np.zeros(3)))


def test_many_queries_are_drawn_in_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    both = np.random.default_rng(0).integers(0, 15, (50, 2))
    expected = of(both)
    monkeypatch.setattr("searcher.evaluate.comparison.DRAWN_AT_ONCE", 333)
    assert of(both) == expected
