"""Tags into sidecars: what is ours comes and goes, what is the user's stays; a file is whole, or as it was."""

import errno
import os
import stat
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.photos import sidecar as module
from searcher.photos.sidecar import Sidecar, SidecarError, entries, read_sidecar, sidecar_path, update_sidecar
from tests.photos.sidecars import DARKTABLE, LIGHTROOM, document, exiftool, read

DOG, BEACH = ("animal", "dog"), ("beach",)


def names(file: Path) -> Sidecar:
    found = read_sidecar(bytes(file))
    assert found is not None
    return found


def with_lists(subjects: str = "", hierarchical: str = "", tags_list: str = "") -> str:
    """A sidecar with the user's names, separated by commas; an empty list is absent."""

    def written(field: str, values: str, kind: str = "Bag") -> str:
        items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values.split(","))
        return f"\n   <{field}><rdf:{kind}>{items}</rdf:{kind}></{field}>" if values else ""

    return document(
        written("dc:subject", subjects)
        + written("lr:hierarchicalSubject", hierarchical)
        + written("digiKam:TagsList", tags_list, "Seq")
    )


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "photo.jpg.xmp"


# what is ours


def test_a_tag_is_written_where_each_program_looks_for_it(file) -> None:
    update = update_sidecar(bytes(file), [DOG, BEACH])
    assert update.changed
    assert names(file) == Sidecar(("dog", "beach"), ("animal|dog", "beach"), ("animal/dog", "beach"))
    assert set(update.added) == {*entries(DOG), *entries(BEACH)}


def test_nothing_new_writes_nothing(file) -> None:
    first = update_sidecar(bytes(file), [DOG])
    before = file.stat()
    again = update_sidecar(bytes(file), [DOG, DOG], first.added)
    assert (again.changed, again.added) == (False, first.added)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_without_a_tag_no_sidecar_is_made(file) -> None:
    assert update_sidecar(bytes(file), [], entries(DOG)) == module.Update(False, ())
    assert read_sidecar(bytes(file)) is None


def test_a_sidecar_of_ours_goes_with_the_last_tag(file) -> None:
    update = update_sidecar(bytes(file), [DOG, BEACH])
    update = update_sidecar(bytes(file), [BEACH], update.added)
    assert names(file).hierarchical == ("beach",)
    assert update_sidecar(bytes(file), [], update.added).changed
    assert not file.exists()


def test_a_sidecar_of_ours_that_somebody_wrote_into_stays(file) -> None:
    update = update_sidecar(bytes(file), [DOG])
    file.write_text(file.read_text().replace("</dc:subject>", "</dc:subject><!-- mine -->"))
    update_sidecar(bytes(file), [], update.added)
    assert "<!-- mine -->" in file.read_text()


def test_an_entry_that_was_there_is_not_ours_and_stays(file) -> None:
    file.write_text(with_lists(subjects="dog"))
    before = file.read_bytes()
    update = update_sidecar(bytes(file), [DOG])
    assert "dc:subject=dog" not in update.added
    assert update_sidecar(bytes(file), [DOG], update.added) == module.Update(False, update.added)
    update_sidecar(bytes(file), [], update.added)
    assert file.read_bytes() == before


def test_a_name_that_another_tag_still_needs_stays(file) -> None:
    update = update_sidecar(bytes(file), [DOG, ("toy", "dog")])
    update = update_sidecar(bytes(file), [("toy", "dog")], update.added)
    assert names(file) == Sidecar(("dog",), ("toy|dog",), ("toy/dog",))
    update_sidecar(bytes(file), [], update.added)
    assert not file.exists()


def test_a_tag_that_the_user_took_out_is_no_error(file) -> None:
    file.write_text(with_lists(subjects="sea"))
    before = file.read_bytes()
    assert update_sidecar(bytes(file), [], entries(DOG)) == module.Update(False, ())
    assert file.read_bytes() == before


def test_a_dry_run_says_the_same_and_writes_nothing(file) -> None:
    dry = update_sidecar(bytes(file), [DOG], write=False)
    assert dry.changed and not file.exists()
    assert update_sidecar(bytes(file), [DOG]) == dry
    cleared = update_sidecar(bytes(file), [], dry.added, write=False)
    assert cleared.changed and file.exists()


@pytest.mark.parametrize("wrong", ["dog", "dc:title=dog", ""])
def test_only_entries_can_be_removed(file, wrong) -> None:
    with pytest.raises(SidecarError, match="not an entry"):
        update_sidecar(bytes(file), [], [wrong])


# the first list that a program knows hides the others: ours must not hide the user's


@pytest.mark.parametrize(
    ("theirs", "hierarchical", "tags_list"),
    [
        (("Sea,Harbour", "", ""), {"Sea", "Harbour"}, {"Sea", "Harbour"}),
        (("Harbour,Places,Sea", "Places|Harbour", ""), {"Places|Harbour"}, {"Places/Harbour", "Sea"}),
        (("Harbour", "", "Places/Harbour"), {"Places|Harbour"}, {"Places/Harbour"}),
        (("", "Either/Or|X", ""), {"Either/Or|X"}, {"Either\\Or/X"}),
        (("", "", "A|B/X"), {"A/B|X"}, {"A|B/X"}),
        (("Sea", "Places|Harbour", "Boats"), {"Places|Harbour"}, {"Boats"}),
    ],
)
def test_a_new_list_begins_with_what_the_user_has_in_the_others(file, theirs, hierarchical, tags_list) -> None:
    file.write_text(with_lists(*theirs))
    before = file.read_bytes()
    update = update_sidecar(bytes(file), [BEACH])
    found = names(file)
    assert {*found.hierarchical} == hierarchical | {"beach"}
    assert {*found.tags_list} == tags_list | {"beach"}
    assert {*found.subjects} == {*theirs[0].split(","), "beach"} - {""}
    assert not update_sidecar(bytes(file), [BEACH], update.added).changed
    update_sidecar(bytes(file), [], update.added)
    assert file.read_bytes() == before


def test_what_was_carried_over_follows_its_origin(file) -> None:
    file.write_text(with_lists("Sea,Harbour"))
    update = update_sidecar(bytes(file), [BEACH])
    file.write_text(file.read_text().replace("<rdf:li>Sea</rdf:li>", "<rdf:li>Lake</rdf:li>", 1))  # dc:subject
    update_sidecar(bytes(file), [BEACH], update.added)
    assert {*names(file).tags_list} == {"Lake", "Harbour", "beach"}


def test_what_was_carried_over_stays_in_a_list_that_the_user_goes_on_with(file) -> None:
    file.write_text(with_lists("Sea,Harbour"))
    update = update_sidecar(bytes(file), [BEACH])
    file.write_text(file.read_text().replace("</rdf:Seq>", "<rdf:li>Places/Pier</rdf:li></rdf:Seq>"))  # TagsList
    update = update_sidecar(bytes(file), [], update.added)
    assert {*names(file).tags_list} == {"Sea", "Harbour", "Places/Pier"}
    assert names(file).subjects == ("Sea", "Harbour")


# names


@pytest.mark.parametrize(
    ("tag", "subject", "hierarchical", "tags_list"),
    [
        (("a/b",), "a/b", "a/b", "a\\b"),
        (("a|b", "c"), "c", "a/b|c", "a|b/c"),
        (("x, y; z",), "x, y; z", "x, y; z", "x, y; z"),
        (("\"quoted\" 'too'",), "\"quoted\" 'too'", "\"quoted\" 'too'", "\"quoted\" 'too'"),
        (("<b>&amp;]]>",), "<b>&amp;]]>", "<b>&amp;]]>", "<b>&amp;]]>"),
        (("👩‍👩‍👧 🏳️‍🌈",), "👩‍👩‍👧 🏳️‍🌈", "👩‍👩‍👧 🏳️‍🌈", "👩‍👩‍👧 🏳️‍🌈"),
        ((" two \t lines\r\nand\x00a\x07bell\x85",), *3 * ("two lines and a bell",)),
        (("\udcff\ufffe",), "\ufffd\ufffd", "\ufffd\ufffd", "\ufffd\ufffd"),
        (("", "animal", " ", "dog"), "dog", "animal|dog", "animal/dog"),
        (("0",), "0", "0", "0"),
        (("a sentence that goes on and on. " * 40,), *3 * (("a sentence that goes on and on. " * 40).strip(),)),
    ],
)  # fmt: skip
def test_any_name_is_written_as_programs_can_read_it(file, tag, subject, hierarchical, tags_list) -> None:
    update = update_sidecar(bytes(file), [tag])
    assert names(file) == Sidecar((subject,), (hierarchical,), (tags_list,))
    assert read(file)[0] == {
        "dc:subject": [subject],
        "lr:hierarchicalSubject": [hierarchical],
        "digiKam:TagsList": [tags_list],
    }
    found = exiftool(file)
    assert found["XMP-dc:Subject"] == [subject]
    assert found["XMP-lr:HierarchicalSubject"] == [hierarchical]
    assert found["XMP-digiKam:TagsList"] == [tags_list]
    assert not update_sidecar(bytes(file), [tag], update.added).changed
    assert update_sidecar(bytes(file), [tag]).added == ()


@pytest.mark.parametrize("tag", [(), ("",), (" \t", "\x00")])
def test_a_tag_without_a_name_is_refused(file, tag) -> None:
    with pytest.raises(SidecarError, match="without a name"):
        update_sidecar(bytes(file), [tag])
    assert not file.exists()


def test_composed_and_decomposed_letters_are_one_name(file) -> None:
    file.write_text(with_lists(unicodedata.normalize("NFD", "Café"), "Café", "Café"))
    assert not update_sidecar(bytes(file), [("Café",)]).changed


def test_upper_and_lower_case_are_two_names(file) -> None:
    file.write_text(with_lists("Dog", "Dog", "Dog"))
    update_sidecar(bytes(file), [("dog",)])
    assert names(file).subjects == ("Dog", "dog")


TAG = st.lists(st.text("abc/|é") | st.text(), min_size=1, max_size=3).map(tuple)
TAGS = st.lists(TAG.filter(lambda tag: bool("".join(tag).split())), max_size=4)
NAMES = st.lists(st.text("abc/|é ", min_size=1, max_size=4).filter(str.strip), max_size=3).map(",".join)


@given(st.tuples(NAMES, NAMES, NAMES), st.lists(TAGS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_whatever_is_tagged_the_users_names_stay_and_ours_go(tmp_path_factory, theirs, runs) -> None:
    file = tmp_path_factory.mktemp("any") / "photo.jpg.xmp"
    file.write_text(with_lists(*theirs), encoding="utf-8")
    before, start = file.read_bytes(), names(file)
    _, rest = read(file)
    added: tuple[str, ...] = ()
    for tags in runs:
        try:
            wanted = {entry for tag in tags for entry in entries(tag)}
        except SidecarError:  # nothing but control characters
            continue
        added = update_sidecar(bytes(file), tags, added).added
        found = names(file)
        for field, user, now in zip(
            ("dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList"),
            (start.subjects, start.hierarchical, start.tags_list),
            (found.subjects, found.hierarchical, found.tags_list),
            strict=True,
        ):
            assert now[: len(user)] == user
            nfc = {unicodedata.normalize("NFC", name) for name in now}
            assert {unicodedata.normalize("NFC", f"{field}={name}") for name in nfc} >= {
                unicodedata.normalize("NFC", entry) for entry in wanted if entry.startswith(f"{field}=")
            }
        assert read(file)[1] == rest
        assert not update_sidecar(bytes(file), tags, added).changed
    update_sidecar(bytes(file), [], added)
    assert file.read_bytes() == before


# files


def test_permissions_and_links_are_kept(tmp_path, file) -> None:
    real = tmp_path / "elsewhere" / "real.xmp"
    real.parent.mkdir()
    real.write_text(LIGHTROOM)
    real.chmod(0o640)
    file.symlink_to(real)
    update_sidecar(bytes(file), [DOG])
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert names(real).subjects == ("dog",)


def test_a_new_sidecar_has_the_permissions_of_any_new_file(tmp_path, file) -> None:
    (tmp_path / "any").touch()
    update_sidecar(bytes(file), [DOG])
    assert file.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_read_only_sidecar_is_left_alone(file) -> None:
    file.write_text(DARKTABLE)
    file.chmod(0o444)
    with pytest.raises(SidecarError, match=r"photo\.jpg\.xmp: it is read-only"):
        update_sidecar(bytes(file), [DOG])
    assert file.read_text() == DARKTABLE
    assert not update_sidecar(bytes(file), []).changed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("new", [False, True])
def test_an_interruption_leaves_it_as_it_was(tmp_path, file, monkeypatch, error, step, new) -> None:
    if not new:
        file.write_text(DARKTABLE)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(*(os, "fsync", fail) if step == "fsync" else (Path, "replace", fail))
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else SidecarError) as caught:
        update_sidecar(bytes(file), [DOG])
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {file}: No space left on device"
    assert [*tmp_path.iterdir()] == ([] if new else [file])
    assert new or file.read_text() == DARKTABLE


@pytest.mark.parametrize("new", [False, True])
def test_what_another_program_writes_meanwhile_is_not_overwritten(file, monkeypatch, new) -> None:
    if not new:
        file.write_text(LIGHTROOM)

    sync = os.fsync

    def meanwhile(descriptor: int) -> None:
        sync(descriptor)
        file.write_text(DARKTABLE)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(SidecarError, match="another program"):
        update_sidecar(bytes(file), [DOG])
    assert file.read_text() == DARKTABLE


@pytest.mark.parametrize("kind", ["folder", "FIFO", "link that leads nowhere"])
def test_what_is_no_file_is_refused(tmp_path, file, kind) -> None:
    if kind == "folder":
        file.mkdir()
    elif kind == "FIFO":
        os.mkfifo(file)
    else:
        file.symlink_to(tmp_path / "absent" / "folder.xmp")
    with pytest.raises(SidecarError, match=r"photo\.jpg\.xmp: "):
        update_sidecar(bytes(file), [DOG])


@pytest.mark.parametrize("path", [b"absent/photo.jpg.xmp", b"%b.xmp" % (b"x" * 252), b"a\x00b"])
def test_a_path_that_cannot_be_written_is_one_line(tmp_path, path) -> None:
    with pytest.raises(SidecarError, match=r"^cannot write .*: .+$"):
        update_sidecar(bytes(tmp_path) + b"/" + path, [DOG])


def test_a_name_that_is_not_utf8_has_a_sidecar(tmp_path) -> None:
    photo = bytes(tmp_path) + b"/caf\xe9.jpg"
    path = sidecar_path(photo)
    update_sidecar(path, [DOG])
    assert path == photo + b".xmp" and os.listdir(bytes(tmp_path)) == [b"caf\xe9.jpg.xmp"]  # noqa: PTH208
    assert sidecar_path(photo) == path


# whose sidecar is it


@pytest.mark.parametrize(
    ("there", "usual", "adobe"),
    [
        ("", "photo.jpg.xmp", "photo.xmp"),
        ("photo.jpg.xmp", "photo.jpg.xmp", "photo.jpg.xmp"),
        ("photo.jpg.XMP", "photo.jpg.XMP", "photo.jpg.XMP"),
        ("photo.xmp", "photo.xmp", "photo.xmp"),
        ("photo.XmP", "photo.XmP", "photo.XmP"),
        ("photo.xmp photo.jpg.xmp", "photo.jpg.xmp", "photo.xmp"),
        ("photo.xmp photo.NEF", "photo.jpg.xmp", "photo.xmp"),
        ("photo.cr3", "photo.jpg.xmp", "photo.xmp"),
        ("photo.xmp photo.cr2 photo.jpg.xmp", "photo.jpg.xmp", "photo.xmp"),
        ("photo.xmp photo.heic", "photo.jpg.xmp", "photo.jpg.xmp"),
        ("photo.PNG", "photo.jpg.xmp", "photo.jpg.xmp"),
        ("photo.xmp photo.mov", "photo.xmp", "photo.xmp"),
        ("other.jpg.xmp other.xmp photo2.xmp", "photo.jpg.xmp", "photo.xmp"),
    ],
)
def test_a_sidecar_keeps_its_name_and_belongs_to_one_photo(tmp_path, there, usual, adobe) -> None:
    for name in ["photo.jpg", *there.split()]:
        (tmp_path / name).touch()
    photo = bytes(tmp_path / "photo.jpg")
    assert sidecar_path(photo) == bytes(tmp_path / usual)
    assert sidecar_path(photo, adobe=True) == bytes(tmp_path / adobe)


def test_a_raw_file_keeps_the_sidecar_that_its_jpeg_leaves_to_it(tmp_path) -> None:
    for name in ("photo.jpg", "photo.nef", "photo.xmp"):
        (tmp_path / name).touch()
    assert sidecar_path(bytes(tmp_path / "photo.nef")) == bytes(tmp_path / "photo.xmp")


@pytest.mark.parametrize("name", ["photo", ".jpg", "a.b.c.jpg", "photo.", "photo.jpg.jpg"])
def test_odd_names_have_sidecars(tmp_path, name) -> None:
    photo = bytes(tmp_path / name)
    assert sidecar_path(photo) == photo + b".xmp"
