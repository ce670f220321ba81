"""Sidecar files: which file belongs to a photo, writes are atomic, and nothing that is not ours is written over."""

import errno
import os
import stat
from pathlib import Path

import pytest

from searcher.sidecars import Sidecar, SidecarError, read_sidecar, sidecar_path, update_sidecar
from tests.sidecars.sidecars import DARKTABLE, LIGHTROOM, names

DOG = ("animal", "dog")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "photo.jpg.xmp"


def test_file_permissions_and_links_are_kept(tmp_path: Path, file: Path) -> None:
    real = tmp_path / "elsewhere" / "real.xmp"
    real.parent.mkdir()
    real.write_text(LIGHTROOM)
    real.chmod(0o640)
    file.symlink_to(real)
    update_sidecar(bytes(file), [DOG])
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert names(real).subjects == ("dog",)


def test_the_target_of_a_link_is_never_deleted(tmp_path: Path, file: Path) -> None:
    added = update_sidecar(bytes(file), [DOG]).added
    real = file.rename(tmp_path / "real.xmp")
    file.symlink_to(real)
    assert update_sidecar(bytes(file), [], added).changed
    assert file.is_symlink() and names(real) == Sidecar((), (), ())
    assert not update_sidecar(bytes(file), []).changed
    assert update_sidecar(bytes(file), [DOG]).changed
    assert names(real).subjects == ("dog",)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("elsewhere/absent.xmp", "does not exist"),
        ("absent/absent.xmp", "does not exist"),
        ("elsewhere/notes.txt", "not an .xmp file"),
        ("elsewhere/other.jpg.xmp", "not XMP"),
        ("elsewhere/text.xmp", "not well-formed XML"),
        ("elsewhere/folder.xmp", ""),
        ("album/photo.jpg.xmp", ""),  # itself
        ("elsewhere/link.xmp", "not an .xmp file"),
    ],
)
def test_a_link_to_something_else_than_a_sidecar_is_an_error_and_the_target_is_unchanged(
    tmp_path: Path, target: str, reason: str
) -> None:
    album, elsewhere = tmp_path / "album", tmp_path / "elsewhere"
    album.mkdir()
    elsewhere.mkdir()
    (elsewhere / "notes.txt").write_text(DARKTABLE)
    (elsewhere / "other.jpg.xmp").write_text('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
    (elsewhere / "text.xmp").write_text("text")
    (elsewhere / "folder.xmp").mkdir()
    (elsewhere / "link.xmp").symlink_to("notes.txt")
    sidecar = album / "photo.jpg.xmp"
    sidecar.symlink_to(tmp_path / target)

    def everything() -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}

    before = everything()
    for attempt in (lambda: read_sidecar(bytes(sidecar)), lambda: update_sidecar(bytes(sidecar), [DOG])):
        with pytest.raises(SidecarError, match=rf"^cannot \w+ {sidecar}: .*{reason}") as error:
            attempt()
        assert "\n" not in str(error.value)
    assert everything() == before
    assert sidecar.is_symlink()


def test_a_sidecar_in_a_linked_folder_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "album").symlink_to("real")
    update_sidecar(bytes(tmp_path / "album" / "photo.jpg.xmp"), [DOG])
    assert names(tmp_path / "real" / "photo.jpg.xmp").subjects == ("dog",)


def test_a_temporary_file_has_a_name_that_later_runs_recognise(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(path.name for path in file.parent.iterdir()))
    update_sidecar(bytes(file), [DOG])
    (name,) = seen
    assert name.startswith(".searcher-") and name.endswith(".tmp")


def test_a_new_sidecar_has_default_permissions(tmp_path: Path, file: Path) -> None:
    (tmp_path / "any").touch()
    update_sidecar(bytes(file), [DOG])
    assert file.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_read_only_sidecar_is_an_error_and_is_unchanged(file: Path) -> None:
    file.write_text(DARKTABLE)
    file.chmod(0o444)
    with pytest.raises(SidecarError, match=r"photo\.jpg\.xmp: the file is read-only"):
        update_sidecar(bytes(file), [DOG])
    assert file.read_text() == DARKTABLE
    assert not update_sidecar(bytes(file), []).changed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("new", [False, True])
def test_an_interruption_leaves_the_file_unchanged(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, step: str, new: bool
) -> None:
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
def test_a_concurrent_change_by_another_program_is_not_overwritten(
    file: Path, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    if not new:
        file.write_text(LIGHTROOM)

    sync = os.fsync

    def meanwhile(descriptor: int) -> None:
        sync(descriptor)
        file.write_text(DARKTABLE)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(SidecarError, match="another program changed the file"):
        update_sidecar(bytes(file), [DOG])
    assert file.read_text() == DARKTABLE


@pytest.mark.parametrize("kind", ["folder", "FIFO", "link that leads nowhere"])
def test_a_path_that_is_not_a_regular_file_is_an_error(tmp_path: Path, file: Path, kind: str) -> None:
    if kind == "folder":
        file.mkdir()
    elif kind == "FIFO":
        os.mkfifo(file)
    else:
        file.symlink_to(tmp_path / "absent" / "folder.xmp")
    with pytest.raises(SidecarError, match=r"photo\.jpg\.xmp: "):
        update_sidecar(bytes(file), [DOG])


@pytest.mark.parametrize("path", [b"absent/photo.jpg.xmp", b"%b.xmp" % (b"x" * 252), b"a\x00b"])
def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path, path: bytes) -> None:
    with pytest.raises(SidecarError, match=r"^cannot write .*: .+$"):
        update_sidecar(bytes(tmp_path) + b"/" + path, [DOG])


def test_a_photo_name_that_is_not_utf8_can_have_a_sidecar(tmp_path: Path) -> None:
    photo = bytes(tmp_path) + b"/caf\xe9.jpg"
    path = sidecar_path(photo)
    update_sidecar(path, [DOG])
    assert path == photo + b".xmp" and os.listdir(bytes(tmp_path)) == [b"caf\xe9.jpg.xmp"]  # noqa: PTH208
    assert sidecar_path(photo) == path


# which photo a sidecar belongs to


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
def test_an_existing_sidecar_keeps_its_name_and_belongs_to_one_photo(
    tmp_path: Path, there: str, usual: str, adobe: str
) -> None:
    for name in ["photo.jpg", *there.split()]:
        (tmp_path / name).touch()
    photo = bytes(tmp_path / "photo.jpg")
    assert sidecar_path(photo) == bytes(tmp_path / usual)
    assert sidecar_path(photo, adobe=True) == bytes(tmp_path / adobe)


def test_a_raw_file_uses_the_sidecar_that_its_jpeg_does_not_use(tmp_path: Path) -> None:
    for name in ("photo.jpg", "photo.nef", "photo.xmp"):
        (tmp_path / name).touch()
    assert sidecar_path(bytes(tmp_path / "photo.nef")) == bytes(tmp_path / "photo.xmp")


@pytest.mark.parametrize("name", ["photo", ".jpg", "a.b.c.jpg", "photo.", "photo.jpg.jpg"])
def test_photos_with_unusual_names_can_have_sidecars(tmp_path: Path, name: str) -> None:
    photo = bytes(tmp_path / name)
    assert sidecar_path(photo) == photo + b".xmp"
