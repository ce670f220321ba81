"""Photo files become embeddings in order and in batches, in threads, and no bad file stops the run."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searcher.catalog import Catalog
from searcher.catalog.rows import Content, Place
from searcher.photos.decode import content_digest
from searcher.vectors import pipeline
from searcher.vectors.pipeline import AHEAD, BATCH_SIZE, Embedded, PhotoFile, ahead, embed_photos, hash_files
from tests.histogram_model import COLOURS, HistogramModel


def photo(path: Path, number: int, colour: str = "red") -> Path:
    """Write a photo of one colour. Its size, and so its content, depends on `number`."""
    Image.new("RGB", (20 + number, 20), COLOURS[colour]).save(path, "PNG")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """80 photos of different contents."""
    return [photo(tmp_path / f"{number}.png", number, list(COLOURS)[number % 6]) for number in range(80)]


def files(paths: list[Path]) -> list[PhotoFile[str]]:
    """The photos, each known by its name."""
    return [PhotoFile(path.name, (bytes(path),)) for path in paths]


def decoding_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("photos")]


def test_photos_are_embedded_in_order_and_in_batches(photos: list[Path]) -> None:
    model = HistogramModel()
    batches = list(embed_photos(model, files(photos)))
    assert [len(batch) for batch in batches] == [32, 32, 16]
    found = [each for batch in batches for each in batch]
    assert [each.key for each in found] == [path.name for path in photos]
    expected = model.encode_images(photos)
    for each, path, vector in zip(found, photos, expected, strict=True):
        assert each.error is None and each.vector is not None and each.facts is not None
        assert each.digest == content_digest(path.read_bytes())
        assert (each.facts.width, each.facts.height, each.facts.format) == (Image.open(path).width, 20, "PNG")
        assert each.vector.dtype == np.float32 and (each.vector == vector).all()
    assert not decoding_threads()


def test_no_files_give_no_batches() -> None:
    assert list(embed_photos(HistogramModel(), files([]))) == []


def test_bad_files_give_an_error_and_the_others_are_embedded(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(photos[0].read_bytes()[:50])
    (tmp_path / "text.png").write_text("not a photo")
    (tmp_path / "folder.png").mkdir()
    bad = [tmp_path / f"{name}.png" for name in ("empty", "cut", "text", "folder", "nowhere")]
    mixed = [*bad[:2], *photos[:3], *bad[2:], *photos[3:40], *bad]
    found = [each for batch in embed_photos(HistogramModel(), files(mixed)) for each in batch]
    assert [each.key for each in found] == [path.name for path in mixed]
    for each, path in zip(found, mixed, strict=True):
        assert (each.error is not None) == (path in bad) == (each.vector is None)
        assert each.error is None or len(each.error.splitlines()) == 1
    # a file that was read has a digest, so that copies of it are known to be bad, too
    assert [each.digest is not None for each in found if each.key == "cut.png"] == [True, True]


def test_a_batch_of_bad_files_alone_is_not_given_to_the_model(tmp_path: Path) -> None:
    model = HistogramModel()
    (batch,) = embed_photos(model, files([tmp_path / "a.png", tmp_path / "b.png"]))
    assert all(each.error for each in batch) and model.encoded == 0


class Picky(HistogramModel):
    """Fails for one size of picture, as a bug in preprocessing would."""

    def preprocess(self, image: Image.Image) -> np.ndarray:
        if image.width == 25:
            raise ZeroDivisionError("nothing \udcff left")
        return super().preprocess(image)


def test_a_photo_that_cannot_be_prepared_gives_an_error_that_can_be_stored(photos: list[Path]) -> None:
    found = [each for batch in embed_photos(Picky(), files(photos[:10])) for each in batch]
    errors = [each.error for each in found if each.error is not None]
    assert errors == ["cannot be prepared: nothing ? left"]
    assert found[5].error and found[5].digest and found[5].vector is None


# one photo in several places


def test_the_first_path_that_can_be_read_is_taken(photos: list[Path], tmp_path: Path) -> None:
    nowhere = bytes(tmp_path / "nowhere.png")
    ((found,),) = embed_photos(HistogramModel(), [PhotoFile(7, (nowhere, bytes(photos[1]), bytes(photos[2])))])
    assert (found.key, found.digest) == (7, content_digest(photos[1].read_bytes()))
    assert found.vector is not None


def test_the_first_path_with_the_wanted_content_is_taken(photos: list[Path], tmp_path: Path) -> None:
    wanted = content_digest(photos[2].read_bytes())
    paths = (bytes(tmp_path / "nowhere.png"), bytes(photos[1]), bytes(photos[2]))
    ((found,),) = embed_photos(HistogramModel(), [PhotoFile(7, paths, wanted)])
    assert found.digest == wanted and found.vector is not None and found.facts is not None
    assert found.facts.width == 22
    ((found,),) = embed_photos(HistogramModel(), [PhotoFile(7, paths[:2], wanted)])
    assert found.vector is None and found.facts is None and found.error == "its content has changed"
    ((found,),) = embed_photos(HistogramModel(), [PhotoFile(8, ())])
    assert found.error == "cannot be read"


# contents that are known


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path / "library")) as catalog:
        yield catalog


def register(catalog: Catalog, model: HistogramModel) -> int:
    with catalog.write() as change:
        change.files.add_root(b"/photos", whole=True)
        model_id = change.models.add(model, Path("/models/histogram"))
        change.models.use(model_id)
    return model_id


def commit(catalog: Catalog, model_id: int, batch: list[Embedded[str]]) -> None:
    with catalog.write() as change:
        for each in batch:
            if each.vector is not None and each.digest is not None:
                content_id = change.files.add_content(Content(each.digest, 1, 1, "PNG"))
                change.embeddings.add(content_id, model_id, "float32", each.vector)
                change.files.put_image(Place(1, each.key.encode(), 1, 1), content_id)


def test_contents_that_are_embedded_are_only_hashed(photos: list[Path], catalog: Catalog) -> None:
    model = HistogramModel()
    model_id = register(catalog, model)
    for batch in embed_photos(model, files(photos[:20]), skip_known=(catalog, model_id)):
        commit(catalog, model_id, batch)
    assert model.encoded == 20
    found = [
        each for batch in embed_photos(model, files(photos[:30]), skip_known=(catalog, model_id)) for each in batch
    ]
    assert model.encoded == 30
    for each, path in zip(found, photos[:30], strict=True):
        assert (each.key, each.digest) == (path.name, content_digest(path.read_bytes()))
    for each in found[:20]:
        assert each.facts is None and each.vector is None and each.error is None
    assert all(each.vector is not None for each in found[20:])
    other = HistogramModel("another model")
    other_id = register(catalog, other)
    assert sum(len(batch) for batch in embed_photos(other, files(photos[:5]), skip_known=(catalog, other_id))) == 5
    assert other.encoded == 5


def test_copies_are_embedded_once(photos: list[Path], tmp_path: Path, catalog: Catalog) -> None:
    model = HistogramModel()
    model_id = register(catalog, model)
    copies = tmp_path / "copies"
    copies.mkdir()
    mixed = []
    for number, path in enumerate(photos):
        mixed += [path, copies / f"{number}a.png", copies / f"{number}b.png"]
        for copy in mixed[-2:]:
            copy.write_bytes(path.read_bytes())
    mixed = mixed[::2] + mixed[1::2]  # copies are next to each other and far away
    found: list[Embedded[str]] = []
    for batch in embed_photos(model, files(mixed), skip_known=(catalog, model_id)):
        commit(catalog, model_id, batch)
        found += batch
    assert [each.key for each in found] == [path.name for path in mixed]
    assert model.encoded == sum(each.vector is not None for each in found) == len(photos)
    assert all(each.error is None for each in found)


class Listening(HistogramModel):
    """Says when it has preprocessed a photo, once and for a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.once, self.twice = threading.Event(), threading.Event()

    def preprocess(self, image: Image.Image) -> np.ndarray:
        (self.twice if self.once.is_set() else self.once).set()
        return super().preprocess(image)


def test_a_content_is_under_way_until_the_batch_of_the_file_that_is_decoded(
    photos: list[Path], tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, owner_is_out = Listening(), threading.Event()
    model_id = register(catalog, model)
    names = [b"slow copy", b"owner", b"late copy"]

    def read(path: bytes) -> bytes:
        if path == b"slow copy":  # the second file overtakes the first one
            assert model.once.wait(10)
        if path == b"late copy":
            assert owner_is_out.wait(10)
        return photos[0].read_bytes()

    monkeypatch.setattr(pipeline, "BATCH_SIZE", 1)
    monkeypatch.setattr(pipeline, "usable_cores", lambda: 3)
    monkeypatch.setattr(pipeline, "read_bytes", read)
    found = []
    for (each,) in embed_photos(model, [PhotoFile(n.decode(), (n,)) for n in names], skip_known=(catalog, model_id)):
        found.append(each)
        if each.key == "owner":
            owner_is_out.set()
            assert not model.twice.wait(0.2)  # not committed yet, but still under way
            commit(catalog, model_id, [each])
    assert [each.vector is not None for each in found] == [False, True, False]
    assert model.encoded == 1


# the end of a run


def test_a_run_that_is_closed_early_stops_its_threads(photos: list[Path]) -> None:
    pulled: list[str] = []

    def pull() -> Iterator[PhotoFile[str]]:
        for file in files(photos * 20):
            pulled.append(file.key)
            yield file

    batches = embed_photos(HistogramModel(), pull())
    assert len(next(batches)) == BATCH_SIZE
    assert decoding_threads()
    batches.close()
    assert not decoding_threads()
    assert len(pulled) <= AHEAD + BATCH_SIZE


class Broken(HistogramModel):
    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        raise MemoryError("no memory for a batch")


def test_an_error_of_the_encoder_ends_the_run_and_its_threads(photos: list[Path]) -> None:
    with pytest.raises(MemoryError):
        list(embed_photos(Broken(), files(photos)))
    assert not decoding_threads()


def test_an_error_while_files_are_listed_ends_the_run_and_its_threads(photos: list[Path]) -> None:
    def listing() -> Iterator[PhotoFile[str]]:
        yield from files(photos[:3])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(embed_photos(HistogramModel(), listing()))
    assert not decoding_threads()


# memory


def test_only_so_many_files_are_under_way(photos: list[Path]) -> None:
    pulled = received = most = 0

    def pull() -> Iterator[PhotoFile[str]]:
        nonlocal pulled, most
        for file in files(photos * 5):
            pulled += 1
            most = max(most, pulled - received)
            yield file

    for batch in embed_photos(HistogramModel(), pull()):
        received += len(batch)
        time.sleep(0.01)  # a slow encoder
    assert received == pulled == 400
    assert BATCH_SIZE < most <= AHEAD + BATCH_SIZE


def test_results_come_in_order_however_long_each_takes() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number

    assert list(ahead(work, range(300))) == list(range(300))


def test_files_are_hashed_in_order(photos: list[Path], tmp_path: Path) -> None:
    paths = [bytes(photos[0]), bytes(tmp_path / "nowhere.png"), bytes(photos[1])]
    first, second = (content_digest(path.read_bytes()) for path in photos[:2])
    assert list(hash_files(paths)) == [first, None, second]
