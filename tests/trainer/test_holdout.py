"""Photos that are held out to measure a model on, if the user gives none."""

from pathlib import Path

import pytest

from searcher.datasets import ClassFolder, Pair, Source
from searcher.trainer import holdout
from searcher.trainer.holdout import hold_out
from searcher.trainer.sources import Sources


def sources(captioned: int, labelled: int = 0) -> Sources:
    pairs = [Pair(f"/photos/{i}.jpg", (f"caption {i}",), row=i) for i in range(captioned)]
    classes = [Pair(f"/classes/{i}.jpg", ("a dog",), label="dog" if i % 2 else "cat") for i in range(labelled)]
    opened = [Source(Path(name), rows) for name, rows in (("pairs.csv", pairs), ("classes", classes)) if rows]
    return Sources([*opened], [1.0] * len(opened), [])


def kept_images(found: Sources) -> list[str]:
    assert isinstance(found.opened, list)
    return [pair.image for source in found.opened if isinstance(source, Source) for pair in source.pairs]


def test_the_photos_that_are_measured_are_not_trained_on() -> None:
    given = sources(2000)
    kept, measured = hold_out(given, 0.05)
    assert isinstance(measured, Source)
    images = {pair.image for pair in measured.pairs}
    assert 60 <= len(images) <= 140
    assert images.isdisjoint(kept_images(kept)) and images | set(kept_images(kept)) == set(kept_images(given))
    assert hold_out(given, 0.05)[1] == measured, "always the same ones"


def test_captioned_photos_are_measured_before_those_of_classes() -> None:
    kept, measured = hold_out(sources(1000, 1000), 0.1)
    assert isinstance(measured, Source)
    assert all(pair.image.startswith("/photos/") for pair in measured.pairs)
    assert sum(image.startswith("/classes/") for image in kept_images(kept)) == 1000


def test_photos_of_classes_become_class_folders() -> None:
    _, measured = hold_out(sources(0, 1000), 0.1)
    assert isinstance(measured, ClassFolder)
    assert measured.names == ["cat", "dog"] and all(measured.images)


@pytest.mark.parametrize(("count", "share"), [(holdout.FEWEST - 1, 0.05), (2000, 0.0)])
def test_nothing_is_held_out_of_few_photos_or_on_request(count: int, share: float) -> None:
    given = sources(count)
    assert hold_out(given, share) == (given, None)


def test_at_most_so_many_photos_are_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdout, "MOST", 50)
    _, measured = hold_out(sources(5000), 0.5)
    assert isinstance(measured, Source) and 25 <= len(measured.pairs) <= 90
