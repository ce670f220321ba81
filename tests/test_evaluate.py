"""Zero-shot accuracy and recall@k are computed correctly."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from searcher.datasets import BARE, ENSEMBLE, Label, Source, read_class_folder, read_labels, read_source
from searcher.datasets.samples import sample_photos
from searcher.errors import SearcherError
from searcher.evaluate import Recall, Retrieval, ZeroShot, measure, read_data, retrieval, zero_shot, zero_shots
from searcher.evaluate.measure import best_ranks
from searcher.models import Model
from searcher.photos.errors import PhotoError
from searcher.vectors.pipeline import embed_files
from tests.histogram_model import COLOURS, HistogramModel
from tests.watcher import Watcher

MODEL = HistogramModel()


def paint(path: Path, colour: str, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20 + number, 20), COLOURS[colour]).save(path)
    return path


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Three class folders with two photos each. One of the photos in the red folder is green."""
    for colour in ("red", "green", "blue"):
        paint(tmp_path / "classes" / colour / "1.png", colour)
        paint(tmp_path / "classes" / colour / "2.png", "green" if colour == "red" else colour, 1)
    return tmp_path / "classes"


def of(folder: Path, **options: Any) -> ZeroShot:
    return zero_shot(MODEL, read_class_folder(folder), **options)


def test_top_1_is_the_share_of_photos_that_get_the_label_of_their_folder(classes: Path) -> None:
    result = of(classes, templates=["a {} thing", "{}"])
    assert (result.n, result.top1, result.top5) == (6, 5 / 6, 1.0)
    assert result.bare == (5 / 6, 1.0)
    assert result.labels == ["blue", "green", "red"]
    assert result.confusion.tolist() == [[2, 0, 0], [0, 2, 0], [0, 1, 1]]


def test_a_link_to_a_folder_around_the_class_folders_is_not_a_class(classes: Path) -> None:
    (classes / "all").symlink_to(".")
    (classes / "white").symlink_to("red")
    found = read_class_folder(classes)
    assert found.names == ["blue", "green", "red", "white"]
    assert found.remarks == [f"{classes / 'all'} is left out: it is a link to a folder around it"]


def test_the_result_with_templates_is_compared_with_bare_names(classes: Path) -> None:
    spoilt = of(classes, templates=["{}ish"])  # unknown words: all photos get the first label
    assert spoilt.bare == (5 / 6, 1.0)
    assert spoilt.top1 == 2 / 6
    assert of(classes, templates=BARE).bare is None


class OnlyVectors(HistogramModel):
    """A model in training: it has no folder, no manifest and no digest."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("folder", "info", "digest", "precision", "languages", "scale_and_bias", "version", "slug"):
            raise AssertionError(f"{name} is not needed to measure vectors")
        return super().__getattribute__(name)

    def __init__(self) -> None:
        self.encoded = 0


def test_a_model_in_training_can_be_measured(classes: Path) -> None:
    folder = read_class_folder(classes)
    measured = zero_shot(OnlyVectors(), folder, templates=["a {} thing"], compare_bare=False)
    assert (measured.top1, measured.bare) == (5 / 6, None)
    pairs = read_source(classes)
    assert retrieval(OnlyVectors(), pairs).as_dict() == retrieval(MODEL, pairs).as_dict()


def test_labels_without_a_folder_count_as_wrong_predictions(classes: Path) -> None:
    result = of(classes, labels=read_labels("yellow,red,white,green,black,blue"))
    assert result.labels == ["yellow", "red", "white", "green", "black", "blue"]
    assert result.top1 == 5 / 6
    assert result.confusion.sum(axis=1).tolist() == [0, 2, 0, 2, 0, 2]


def test_the_label_of_a_folder_may_have_other_wordings(tmp_path: Path) -> None:
    paint(tmp_path / "n_01" / "a.png", "red")
    paint(tmp_path / "n_02" / "a.png", "blue")
    labels = [Label("n_01", ("blue",)), Label("n 02", ("white", "red"), templates=("my {}",))]
    result = of(tmp_path, labels=labels, templates=BARE)
    assert result.top1 == 0.0
    assert result.bare == (0.0, 1.0)  # the label has its own template, so the prompts were not bare


def test_a_folder_without_a_label_is_an_error(classes: Path) -> None:
    with pytest.raises(SearcherError, match="no label for the folder 'blue'"):
        of(classes, labels=read_labels("red,green"))


def test_folders_with_the_same_name_are_one_class(tmp_path: Path) -> None:
    paint(tmp_path / "red_wall" / "a.png", "red")
    paint(tmp_path / "red wall" / "a.png", "red")
    paint(tmp_path / "blue" / "a.png", "blue")
    result = of(tmp_path)
    assert (result.labels, result.top1) == (["blue", "red wall"], 1.0)


def test_top_5_is_the_share_of_photos_with_the_right_label_in_the_nearest_five(tmp_path: Path) -> None:
    for colour in COLOURS:
        paint(tmp_path / colour / "a.png", "red")
    # All labels except red are equally far. Earlier labels count as nearer, and yellow is the last one.
    assert (of(tmp_path).top1, of(tmp_path).top5) == (1 / 6, 5 / 6)


def test_unreadable_photos_are_counted_and_skipped(classes: Path) -> None:
    (classes / "red" / "broken.jpg").write_bytes(b"no picture")
    (classes / "blue" / "empty.png").touch()
    result = of(classes)
    assert (result.n, result.top1) == (6, 5 / 6)
    assert [(Path(f.path).name, bool(f.error)) for f in result.failures] == [("empty.png", True), ("broken.jpg", True)]
    assert result.as_dict()["failed"] == 2


class Hasty(HistogramModel):
    """Fails on green photos, as a model that gives a file less time to be decoded would."""

    def preprocess(self, image: Image.Image) -> np.ndarray:
        if image.getpixel((0, 0)) == COLOURS["green"]:
            raise PhotoError("too slow")
        return super().preprocess(image)


def test_two_models_are_measured_on_the_photos_that_both_can_read(classes: Path) -> None:
    both = zero_shots([MODEL, Hasty()], read_class_folder(classes))
    assert [both[0].labels[row] for row in both[0].truth] == ["blue", "blue", "red"]
    for result in both:
        assert (result.n, result.top1) == (3, 1.0)
        assert [Path(failure.path).name for failure in result.failures] == ["1.png", "2.png", "2.png"]
    alone = zero_shots([MODEL, MODEL], read_class_folder(classes))
    assert [result.as_dict() for result in alone] == [of(classes).as_dict()] * 2


def test_no_readable_photo_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "empty.jpg").touch()
    with pytest.raises(SearcherError, match=r"no photo can be read; the first error is .*empty\.jpg: empty file"):
        of(tmp_path)


def test_progress_reaches_the_total(classes: Path) -> None:
    progress = Watcher()
    of(classes, progress=progress)
    assert progress.said == [(3 * len(ENSEMBLE), 3 * len(ENSEMBLE)), *((n, 6) for n in range(1, 7))]


def test_the_accuracy_of_a_real_model_equals_that_computed_with_numpy(small_folder: Path, tmp_path: Path) -> None:
    """Compares ONNX Runtime and the real preprocessing with the plain formula in float64."""
    photos = sample_photos()
    for number, photo in enumerate(photos):
        (tmp_path / ("cup", "cat", "moon")[number % 3]).mkdir(exist_ok=True)
        (tmp_path / ("cup", "cat", "moon")[number % 3] / photo.name).symlink_to(photo)
    model = Model.open(small_folder)
    result = zero_shot(model, read_class_folder(tmp_path), templates=["a photo of a {}.", "{}"])

    names = ["cat", "cup", "moon"]
    paths = [path for name in names for path in sorted((tmp_path / name).iterdir())]
    vectors = [found.vector for found in embed_files(model, paths) if found.vector is not None]
    stored = np.stack(vectors).astype(np.float16).astype(np.float64)
    prompts = np.stack([model.encode_texts([f"a photo of a {name}.", name]).mean(axis=0) for name in names])
    taken_for = (stored @ (prompts / np.linalg.norm(prompts, axis=1, keepdims=True)).T).argmax(axis=1)
    truth = [names.index(path.parent.name) for path in paths]
    assert result.predicted.tolist() == taken_for.tolist()
    assert result.top1 == np.mean(taken_for == truth)


@given(st.data())
def test_ranks_are_the_same_as_with_a_stable_sort(data: st.DataObject) -> None:
    numbers = st.integers(-2, 2)  # many equal scores
    queries = np.array(data.draw(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6)))
    items = np.array(data.draw(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8)))
    right = [data.draw(st.lists(st.integers(0, len(items) - 1), min_size=1, max_size=3, unique=True)) for _ in queries]
    pairs = [(q, i) for q, some in enumerate(right) for i in some]
    pairs = data.draw(st.permutations(pairs))
    at_once = data.draw(st.sampled_from([1, 16, 1 << 20]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "SCORES_AT_ONCE", at_once)
        found = best_ranks(queries, items, *(np.array(column) for column in zip(*pairs, strict=True)))
    orders = [sorted(range(len(items)), key=lambda i: -int(query @ items[i])) for query in queries]
    assert found.tolist() == [min(order.index(i) for i in some) for order, some in zip(orders, right, strict=True)]


def test_recall_counts_ranks_below_k() -> None:
    recall = Recall(np.array([0, 1, 4, 5, 9, 10]))
    assert recall.as_dict() == {"r1": 1 / 6, "r5": 3 / 6, "r10": 5 / 6}


def pairs(folder: Path, rows: list[tuple[str, list[str]]]) -> Source:
    lines = [json.dumps({"image": image, "captions": captions}) for image, captions in rows]
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    return read_source(folder / "pairs.jsonl")


def found(source: Source) -> Retrieval:
    return retrieval(MODEL, source)


def test_any_caption_of_a_photo_is_a_correct_result(tmp_path: Path) -> None:
    for colour in ("red", "green", "blue"):
        paint(tmp_path / f"{colour}.png", colour)
    rows = [("red.png", ["a blue one", "a red one"]), ("green.png", ["green"]), ("blue.png", ["dark blue"])]
    result = found(pairs(tmp_path, rows))
    assert (result.n, result.captions) == (3, 4)
    assert result.image_to_text.r1 == 2 / 3  # blue finds "a blue one", which is red's
    assert result.text_to_image.r1 == 3 / 4  # "a blue one" finds blue
    assert result.text_to_image.r5 == result.image_to_text.r10 == 1.0


def test_a_caption_of_several_photos_is_one_query_with_several_correct_results(tmp_path: Path) -> None:
    for number in range(8):
        paint(tmp_path / f"{number}.png", "red", number)
    paint(tmp_path / "b.png", "blue")
    result = found(pairs(tmp_path, [*((f"{n}.png", ["red"]) for n in range(8)), ("b.png", ["blue"])]))
    assert (result.n, result.captions) == (9, 2)
    assert result.text_to_image.as_dict() == result.image_to_text.as_dict() == {"r1": 1.0, "r5": 1.0, "r10": 1.0}


def test_a_model_that_embeds_all_photos_alike_has_chance_recall(tmp_path: Path) -> None:
    for number in range(20):
        paint(tmp_path / f"{number}.png", "red", number)
    result = found(pairs(tmp_path, [(f"{n}.png", [f"red {n}"]) for n in range(20)]))
    expected = {"r1": 1 / 20, "r5": 5 / 20, "r10": 10 / 20}
    assert result.text_to_image.as_dict() == result.image_to_text.as_dict() == expected


def test_bad_records_and_unreadable_photos_are_counted(tmp_path: Path) -> None:
    paint(tmp_path / "red.png", "red")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    result = found(pairs(tmp_path, [("red.png", ["red"]), ("away.png", ["blue"]), ("broken.jpg", ["green"])]))
    assert (result.n, result.captions, result.text_to_image.r1) == (1, 1, 1.0)
    assert [Path(failure.path).name for failure in result.failures] == ["pairs.jsonl", "broken.jpg"]
    assert result.failures[0].error == "record 2: no such image: away.png"


def test_class_folders_and_pairs_are_told_apart(classes: Path, tmp_path: Path) -> None:
    assert read_data(classes).path == classes
    assert not isinstance(read_data(classes), Source)
    (tmp_path / "captioned").mkdir()
    paint(tmp_path / "captioned" / "a.png", "red")
    (tmp_path / "captioned" / "a.txt").write_text("red\n")
    assert isinstance(read_data(tmp_path / "captioned"), Source)
    with pytest.raises(SearcherError, match="no such file or folder"):
        read_data(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SearcherError, match="no class folders"):
        read_data(tmp_path / "empty")
