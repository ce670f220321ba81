"""What views show of what transactions wrote."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from searcher.catalog import Catalog
from searcher.catalog.read import embeddings as reading
from searcher.catalog.rows import USER, ZERO_SHOT, PhotoTag, Place, VectorFile
from searcher.catalog.write import models as writing
from tests.catalog.filling import fill, image_count, other_program, vector


def test_a_view_returns_what_was_written(catalog: Catalog) -> None:
    with catalog.read() as view:
        model = view.models.current()
        assert model is not None
        assert (model.name, model.dim) == ("histogram", 64)
        assert view.files.image_count() == view.embeddings.count(model.id) == 10
        assert view.files.known(1) == {b"%d.png" % number: (100, 200, False) for number in range(10)}
        chunks = list(view.embeddings.chunks(model))
        assert np.concatenate([ids for ids, _ in chunks]).tolist() == list(range(1, 11))
        assert (np.concatenate([rows for _, rows in chunks]) == np.stack([vector(n) for n in range(10)])).all()
        photo = view.photos.of_embeddings([3])[3][0]
        assert (photo.root, photo.relpath, photo.taken_at) == (b"/photos", b"2.png", "2023-06-01T12:00:00")


def test_embeddings_are_read_in_chunks_after_a_given_id(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK", 3)
    with catalog.read() as view:
        model = view.models.current()
        assert model is not None
        chunks = view.embeddings.chunks(model, after=2)
        assert [ids.tolist() for ids, _ in chunks] == [[3, 4, 5], [6, 7, 8], [9, 10]]
        assert view.embeddings.count(model.id, after=2) == 8


def test_a_prefix_matches_a_folder_but_not_similar_names(catalog: Catalog) -> None:
    with catalog.write() as change:
        for name in (b"a/1.png", b"a/b/2.png", b"a.png", b"ab/3.png", b"a\xff/4.png"):
            change.files.put_image(Place(1, name, 1, 1), None, "broken")
    with catalog.read() as view:
        assert set(view.files.known(1, b"a/")) == {b"a/1.png", b"a/b/2.png"}
        assert set(view.files.known(1, b"a\xff/")) == {b"a\xff/4.png"}


def test_a_view_sees_committed_changes_only(catalog: Catalog) -> None:
    with catalog.write() as change:
        change.files.put_image(Place(1, b"new.png", 1, 1), 1)
        assert image_count(catalog) == 10
        assert change.view.files.image_count() == 11
    assert image_count(catalog) == 11


def test_a_view_does_not_change_while_others_commit(catalog: Catalog) -> None:
    with catalog.read() as view:
        assert view.files.image_count() == 10
        fill(catalog, 5, start=10)
        assert view.files.image_count() == 10
    assert image_count(catalog) == 15


def test_views_can_be_nested_and_are_independent(catalog: Catalog) -> None:
    with catalog.read() as outer:
        assert outer.files.image_count() == 10
        fill(catalog, 5, start=10)
        with catalog.read() as inner:
            assert inner.files.image_count() == 15
        assert outer.files.image_count() == 10


def test_a_view_that_was_left_in_the_middle_of_a_result_leaves_no_old_state(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 3)
    with catalog.read() as view:
        model = view.models.current()
        assert model is not None
        chunks = view.embeddings.chunks(model)
        assert len(next(chunks)[0]) == 3
    fill(catalog, 5, start=10)
    assert image_count(catalog) == 15


def test_an_error_or_interrupt_rolls_back_the_transaction(catalog: Catalog) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), catalog.write() as change:
            change.files.put_image(Place(1, b"new.png", 1, 1), 1)
            raise error
        assert image_count(catalog) == 10
    fill(catalog, 1, start=10)
    assert image_count(catalog) == 11


class Interrupting:
    """A parameter that interrupts the statement that it is bound to, as Ctrl-C would."""

    def __conform__(self, protocol: object) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_inside_a_statement_rolls_back_and_the_catalog_can_write_again(catalog: Catalog) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), catalog.write() as change:
            change.files.put_image(Place(1, b"new.png", 1, 1), 1)
            change.tags.add_user_tag([1], cast(int, Interrupting()))
        assert image_count(catalog) == 10
    with catalog.write() as change:
        change.files.put_image(Place(1, b"new.png", 1, 1), 1)
    assert image_count(catalog) == 11


def test_ids_are_never_reused(catalog: Catalog) -> None:
    with catalog.write() as change:
        for number in range(10):
            assert change.files.remove_image(1, b"%d.png" % number)
        assert change.files.remove_orphans() == 10
    model_id = fill(catalog, 1, start=50)
    with catalog.read() as view:
        assert view.embeddings.count(model_id) == 1
        photos = view.photos.of_embeddings(range(20))
        assert list(photos) == [11]
        assert photos[11][0].id == 11


def test_an_image_is_either_indexed_or_failed(catalog: Catalog) -> None:
    for content_id, error in ((None, None), (1, "broken")):
        with pytest.raises(IntegrityError), catalog.write() as change:
            change.files.put_image(Place(1, b"new.png", 1, 1), content_id, error)


def test_swapped_images_keep_their_ids_and_tags(catalog: Catalog, folder: Path) -> None:
    with other_program(folder) as other:
        other.execute("INSERT INTO labels (id, name) VALUES (1, 'Rex'), (2, 'dog')")
        other.execute("INSERT INTO tags VALUES (1, 1, 'user', NULL, NULL, '2026-01-01')")
        other.execute("INSERT INTO content_tags VALUES (1, 2, 'zero-shot', 0.7, 1, '2026-01-01')")
    with catalog.write() as change:
        first, second = change.view.files.image_at(1, b"0.png"), change.view.files.image_at(1, b"1.png")
        assert first and second
        change.files.move_image(first, Place(1, b"1.png", 5, 6))
    with catalog.read() as view:
        assert view.files.image_at(1, b"1.png") == first._replace(relpath=b"1.png")
        assert view.files.image_at(1, b"0.png") == second._replace(relpath=b"0.png")
        assert view.photos.tags([1, 2]) == {1: [PhotoTag("Rex", USER, 1.0), PhotoTag("dog", ZERO_SHOT, 0.7)]}
    with catalog.write() as change:
        change.files.remove_image(1, b"1.png")
    with catalog.read() as view:
        assert view.photos.tags([1, 2]) == {}


def test_absorbing_a_root_works_with_any_file_names(catalog: Catalog) -> None:
    with catalog.write() as change:
        outer, inner = change.files.add_root(b"/a", whole=True), change.files.add_root(b"/a/b", whole=True)
        change.files.put_image(Place(inner.id, b"\xff\xfe.png", 1, 1), 1)
        change.files.put_image(Place(inner.id, b"both.png", 1, 1), 2)
        change.files.put_image(Place(outer.id, b"b/both.png", 1, 1), 3)
        change.files.absorb_root(inner, outer, b"b/")
    with catalog.read() as view:
        assert [root.path for root in view.files.roots()] == [b"/a", b"/photos"]
        assert set(view.files.known(outer.id)) == {b"b/\xff\xfe.png", b"b/both.png"}


def test_only_the_latest_vector_files_are_remembered(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "KEPT_VECTOR_FILES", 3)
    with catalog.read() as view:
        assert not view.models.vector_files(1)
    for number in range(1, 6):
        with catalog.write() as change:
            change.models.add_vector_files(1, [VectorFile(bytes([number]), 0, number, number, 10)])
    with catalog.read() as view:
        assert sorted(file.last_id for file in view.models.vector_files(1)) == [3, 4, 5]


def test_a_vector_file_replaces_those_inside_of_it(catalog: Catalog) -> None:
    with catalog.write() as change:
        for after in (0, 10, 20, 30):
            change.models.add_vector_files(1, [VectorFile(bytes([after]), after, after + 10, 10, 10)])
        pieces = [VectorFile(b"a", 10, 15, 5, 10), VectorFile(b"b", 15, 30, 15, 10)]
        change.models.add_vector_files(1, pieces)
        assert len(change.view.models.vector_files(1)) == 6  # the old ones are still on the disk
        change.models.forget_vector_files(1, pieces)
        known = sorted((file.after_id, file.last_id) for file in change.view.models.vector_files(1))
    assert known == [(0, 10), (10, 15), (10, 20), (15, 30), (30, 40)]
