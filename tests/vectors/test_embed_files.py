"""Files outside a library are embedded in the same way as `index` embeds them."""

import os
from pathlib import Path

import numpy as np
import pytest

from searcher import Library
from searcher.catalog import Catalog
from searcher.datasets.samples import sample_photos
from searcher.models import Model
from searcher.vectors import pipeline
from searcher.vectors.pipeline import embed_files
from tests.histogram_model import HistogramModel
from tests.pictures import draw


@pytest.mark.slow  # exports a model with torch
def test_a_file_gets_exactly_the_embedding_that_index_stores(small_folder: Path, tmp_path: Path) -> None:
    photos = sample_photos()
    assert any(path.suffix == ".jpg" for path in photos)  # JPEG files are decoded at a reduced scale
    with Library.open(tmp_path / "library", model=small_folder, create=True) as library:
        library.index(*photos)
    with Catalog(tmp_path / "library").read() as view:
        row = view.models.current()
        assert row is not None
        stored = {vector.tobytes() for _, part in view.embeddings.chunks(row) for vector in part}
    found = list(embed_files(Model.open(small_folder), photos))
    assert [Path(each.key) for each in found] == list(photos)
    same = [each.vector is not None and each.vector.astype(np.float16).tobytes() in stored for each in found]
    assert all(same), f"{same.count(False)} of {len(same)} differ"


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_bad_files_get_an_error_at_their_position(batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_SIZE", batch)
    for seed in range(3):
        draw(tmp_path / f"{seed}.jpg", seed)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "0.jpg").read_bytes()[:300])
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ["empty", "0", "broken", "1", "pipe", "nowhere", "2"]
    found = list(embed_files(HistogramModel(), [tmp_path / f"{name}.jpg" for name in names]))
    assert [Path(each.key).stem for each in found] == names
    assert [each.error is None for each in found] == [each.vector is not None for each in found]
    assert [each.error is None for each in found] == [False, True, False, True, False, False, True]
    assert (found[0].error, found[4].error) == ("empty file", "not a regular file")
    assert all(each.vector is None or each.vector.dtype == np.float32 for each in found)


def test_no_files_give_no_embeddings() -> None:
    assert list(embed_files(HistogramModel(), [])) == []
