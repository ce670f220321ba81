"""Writing labels to sidecars, and the records of what was written."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from searcher.catalog.rows import ZERO_SHOT, Photo, PhotoTag
from searcher.datasets.labels import Label
from searcher.sidecars import read_sidecar, update_sidecar
from searcher.tagger import sidecars as writing
from searcher.tagger.question import Question
from searcher.tagger.sidecars import SidecarReport
from tests.library.conftest import Album


@pytest.fixture
def tagged(album: Album) -> Album:
    """Four photos of one colour each. The red and the green photo have their colour as a label."""
    album.fill()
    give(album, "red", "green")
    return album


def give(album: Album, *names: str, parent: str | None = None) -> None:
    album.library.tag(Question(tuple(Label(name, (name,), parent) for name in names)))


def write(
    album: Album, *names: str, photos: Sequence[Photo] | None = None, dry_run: bool = False, adobe: bool = False
) -> SidecarReport:
    chosen = album.library.tagged(names) if photos is None else photos
    return album.library.write_sidecars(chosen, dict.fromkeys(names), dry_run=dry_run, adobe=adobe)


def without(album: Album, *names: str) -> Iterator[Photo]:
    return (photo._replace(tags=()) for photo in album.library.tagged(names))


def subjects(album: Album, name: str) -> tuple[str, ...] | None:
    found = read_sidecar(os.fsencode(album.folder / name))
    return None if found is None else found.subjects


def test_only_photos_with_a_label_get_a_sidecar(tagged: Album) -> None:
    report = write(tagged, "red", "green")
    assert sorted(path.name for path in tagged.folder.glob("*.xmp")) == ["green.png.xmp", "red.png.xmp"]
    assert subjects(tagged, "red.png.xmp") == ("red",)
    assert (report.changed, report.unchanged, report.failures) == (2, 2, [])


def test_photos_are_never_changed(tagged: Album) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tagged.folder.glob("*.png")}
    write(tagged, "red", "green")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tagged.folder.glob("*.png")} == before


def test_a_second_run_changes_nothing(tagged: Album) -> None:
    write(tagged, "red", "green")
    before = {path: path.stat().st_mtime_ns for path in tagged.folder.glob("*.xmp")}
    assert write(tagged, "red", "green").changed == 0
    assert {path: path.stat().st_mtime_ns for path in tagged.folder.glob("*.xmp")} == before


def test_a_label_that_the_photo_lost_is_removed_and_the_users_tags_stay(tagged: Album) -> None:
    path = os.fsencode(tagged.folder / "red.png.xmp")
    update_sidecar(path, [("holiday",)])
    write(tagged, "red", "green")
    assert set(subjects(tagged, "red.png.xmp") or ()) == {"holiday", "red"}
    write(tagged, "red", "green", photos=list(without(tagged, "red", "green")))
    assert subjects(tagged, "red.png.xmp") == ("holiday",)
    assert subjects(tagged, "green.png.xmp") is None  # only we had written to it, so it was deleted


def test_a_label_that_the_user_wrote_first_is_never_removed(tagged: Album) -> None:
    path = os.fsencode(tagged.folder / "red.png.xmp")
    update_sidecar(path, [("red",)])
    before = (tagged.folder / "red.png.xmp").read_bytes()
    write(tagged, "red", "green")
    write(tagged, "red", "green", photos=list(without(tagged, "red", "green")))
    assert (tagged.folder / "red.png.xmp").read_bytes() == before


def test_labels_from_earlier_runs_stay(tagged: Album) -> None:
    write(tagged, "red", "green")
    give(tagged, "white", "blue")
    give(tagged, "yellow")
    write(tagged, "white", "blue", "yellow")
    assert subjects(tagged, "red.png.xmp") == ("red",)
    assert subjects(tagged, "blue.png.xmp") == ("blue",)


def test_a_tag_that_the_user_removed_is_not_written_again_until_the_sidecar_is_deleted(tagged: Album) -> None:
    path = tagged.folder / "red.png.xmp"
    write(tagged, "red", "green")
    update_sidecar(os.fsencode(path), [("mine",)])
    entries = [f"{field}=red" for field in ("dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList")]
    update_sidecar(os.fsencode(path), [], entries)  # as another program would
    give(tagged, "red", "green", "black")
    photos = [
        photo._replace(tags=(*photo.tags, PhotoTag("black", ZERO_SHOT, 0.9)))
        for photo in tagged.library.tagged(["red", "green"])
    ]
    write(tagged, "red", "green", "black", photos=photos)
    assert set(subjects(tagged, "red.png.xmp") or ()) == {"mine", "black"}
    write(tagged, "red", "green", "black")
    assert subjects(tagged, "red.png.xmp") == ("mine",)
    path.unlink()
    write(tagged, "red", "green", "black")
    assert subjects(tagged, "red.png.xmp") == ("red",)


def test_a_tag_that_the_user_removed_is_written_again_if_the_user_asks_for_it(tagged: Album) -> None:
    path = tagged.folder / "red.png.xmp"
    write(tagged, "red")
    update_sidecar(os.fsencode(path), [("mine",)])
    entries = [f"{field}=red" for field in ("dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList")]
    for refused_before in (False, True):
        update_sidecar(os.fsencode(path), [], entries)  # as another program would
        if refused_before:
            give(tagged, "black")
            write(tagged, "red", "black")
        photos = [photo for photo in tagged.library.tagged(["red"]) if photo.tags]
        for dry_run in (True, False):
            report = tagged.library.write_sidecars(photos, {"red": None}, insist=True, dry_run=dry_run)
            assert report.changed == 1
            assert [change.added for change in report.changes] == ([(("red",),)] if dry_run else [])
        assert set(subjects(tagged, "red.png.xmp") or ()) == {"mine", "red"}


def test_a_sidecar_that_was_moved_with_its_photo_is_recognized(tagged: Album) -> None:
    write(tagged, "red", "green")
    (tagged.folder / "new").mkdir()
    for name in ("red.png", "red.png.xmp"):
        (tagged.folder / name).rename(tagged.folder / "new" / name)
    tagged.index()
    write(tagged, "red", "green")
    assert subjects(tagged, "new/red.png.xmp") == ("red",)
    write(tagged, "red", "green", photos=list(without(tagged, "red", "green")))
    assert not list(tagged.folder.rglob("*.xmp"))


def test_parents_become_a_hierarchy(album: Album) -> None:
    album.fill()
    give(album, "red", parent="colour")
    write(album, "red")
    found = read_sidecar(os.fsencode(album.folder / "red.png.xmp"))
    assert found is not None
    assert (found.hierarchical, found.tags_list) == (("colour|red",), ("colour/red",))


def test_malformed_and_read_only_sidecars_are_reported_and_not_changed(tagged: Album) -> None:
    broken, locked = tagged.folder / "red.png.xmp", tagged.folder / "green.png.xmp"
    broken.write_text("<x:xmpmeta><unclosed>")
    update_sidecar(os.fsencode(locked), [("mine",)])
    locked.chmod(0o444)
    before = broken.read_bytes(), locked.read_bytes()
    report = write(tagged, "red", "green")
    assert report.changed == 0
    assert len(report.failures) == 2 and all("\n" not in failure for failure in report.failures)
    assert (broken.read_bytes(), locked.read_bytes()) == before
    locked.chmod(0o644)
    broken.unlink()
    assert write(tagged, "red", "green").changed == 2


def test_a_dry_run_reports_the_changes_and_makes_none(tagged: Album) -> None:
    report = write(tagged, "red", "green", dry_run=True)
    assert not list(tagged.folder.glob("*.xmp"))
    assert report.changed == 2
    assert {Path(change.path).name: change.added for change in report.changes} == {
        "green.png.xmp": (("green",),),
        "red.png.xmp": (("red",),),
    }
    report = write(tagged, "red", "green")
    assert (report.changed, report.changes) == (2, [])


@pytest.mark.parametrize("after", ["before the file", "after the file"])
def test_after_an_interruption_sidecars_are_complete_and_our_entries_are_known(
    tagged: Album, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    def interrupted(*arguments: object, **options: object) -> object:
        if options.get("write") is False:
            return update_sidecar(*arguments, **options)  # type: ignore[arg-type]
        if after == "after the file":
            update_sidecar(*arguments, **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "update_sidecar", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tagged, "red", "green")
    monkeypatch.undo()
    found = [(path.name, subjects(tagged, path.name)) for path in tagged.folder.glob("*.xmp*")]
    one_of = [("red.png.xmp", ("red",)), ("green.png.xmp", ("green",))]
    assert found == [] if after == "before the file" else len(found) == 1 and found[0] in one_of
    write(tagged, "red", "green", photos=list(without(tagged, "red", "green")))
    assert not list(tagged.folder.glob("*.xmp*"))
    write(tagged, "red", "green")
    assert subjects(tagged, "red.png.xmp") == ("red",)


def test_missing_photos_are_skipped(tagged: Album) -> None:
    (tagged.folder / "red.png").unlink()
    report = write(tagged, "red", "green")
    assert (report.changed, report.missing) == (1, 1)
    assert not (tagged.folder / "red.png.xmp").exists()


def test_sidecars_are_written_in_batches(tagged: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "AT_ONCE", 1)
    assert write(tagged, "red", "green").changed == 2


def test_a_new_sidecar_can_have_the_name_that_adobe_expects(tagged: Album) -> None:
    write(tagged, "red", "green", adobe=True)
    assert sorted(path.name for path in tagged.folder.glob("*.xmp")) == ["green.xmp", "red.xmp"]
    write(tagged, "red", "green")
    assert len(list(tagged.folder.glob("*.xmp"))) == 2
