"""Confusion matrix images: layout, colours and errors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searcher.drawing.confusion import RIGHT, WRONG, confusion_picture, draw_confusion
from searcher.errors import SearcherError


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in picture.getcolors(1 << 24) or []}  # type: ignore[misc]


def test_correct_and_wrong_predictions_have_different_colours() -> None:
    assert RIGHT in colours(draw_confusion(["a", "b"], np.diag([3, 4])))
    assert WRONG not in colours(draw_confusion(["a", "b"], np.diag([3, 4])))
    swapped = draw_confusion(["a", "b"], np.array([[0, 3], [4, 0]]))
    assert WRONG in colours(swapped)
    assert RIGHT not in colours(swapped)


def test_a_cell_is_in_the_row_of_the_true_and_the_column_of_the_predicted_label() -> None:
    confusion = np.zeros((150, 150), int)
    confusion[20, 130] = 1
    pixels = np.asarray(draw_confusion([str(n) for n in range(150)], confusion))
    rows, columns = np.nonzero((pixels == WRONG).all(axis=2))
    cell = len(set(rows.tolist()))
    left, top = columns.min() - 130 * cell, rows.min() - 20 * cell
    assert len(rows) == cell * cell
    assert left > 0 < top
    assert left < 100 > top  # only a margin and a title are before the first cell


@pytest.mark.parametrize("count", [1, 2, 30, 90, 300, 1000])
def test_the_image_has_a_reasonable_size_for_any_number_of_labels(count: int) -> None:
    picture = draw_confusion([f"label {n}" for n in range(count)], np.eye(count, dtype=int))
    assert 300 < picture.width < 2200
    assert 100 < picture.height < 2200


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_any_label_can_be_drawn(tmp_path: Path, suffix: str) -> None:
    labels = ["猫", "🐱", "x" * 300, "a\nb", "", "\udcff", "naïve"]
    confusion_picture(labels, np.arange(49).reshape(7, 7), tmp_path / f"c{suffix}")
    with Image.open(tmp_path / f"c{suffix}") as picture:
        picture.load()
    assert [path.name for path in tmp_path.iterdir()] == [f"c{suffix}"]


def test_a_matrix_with_empty_rows_or_no_photos_is_drawn() -> None:
    draw_confusion(["a", "b"], np.array([[2, 1], [0, 0]]))
    assert WRONG not in colours(draw_confusion(["a", "b"], np.zeros((2, 2), int)))


def test_a_bad_suffix_or_unwritable_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match=r"cannot write c\.gif: the suffix must be one of \.jpg, "):
        confusion_picture(["a"], np.eye(1, dtype=int), tmp_path / "c.gif")
    with pytest.raises(SearcherError, match="cannot write"):
        confusion_picture(["a"], np.eye(1, dtype=int), tmp_path / "nowhere" / "c.png")
    assert not list(tmp_path.iterdir())
