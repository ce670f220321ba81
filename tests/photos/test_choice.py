"""Which files of a folder are indexed, and which are passed over."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.photos.choice import Kind, PassedOver, choose
from searcher.photos.rules import Raw
from searcher.photos.scan import FoundFile, scan
from searcher.photos.suffixes import FOUND_SUFFIXES, RAW_SUFFIXES, VIDEO_SUFFIXES


def chosen(root: Path, raw: Raw = Raw.ALONE) -> tuple[list[str], dict[Kind, list[str]]]:
    """The names that are indexed, and those that are passed over by kind."""
    indexed, passed = [], dict[Kind, list[str]]()
    for entry in choose(scan(os.fsencode(root)), raw):
        if isinstance(entry, PassedOver):
            passed.setdefault(entry.kind, []).append(os.fsdecode(entry.file.relpath))
        elif isinstance(entry, FoundFile):
            indexed.append(os.fsdecode(entry.relpath))
    return sorted(indexed), {kind: sorted(names) for kind, names in passed.items()}


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_raw_file_beside_a_jpeg_or_heic_of_the_same_name_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.NEF", "a/1.jpg", "a/2.cr2", "a/2.HEIC", "A.DNG", "a.JPG")
    touch(
        tmp_path, "a/3.arw", "b/3.jpg", "b/4.raf", "b/4.tif", "b/4.png", "b/5.orf", "b/5.jpg.jpg", "b/6.dng", "b/6.nef"
    )
    indexed, passed = chosen(tmp_path)
    assert passed == {Kind.RAW: ["A.DNG", "a/1.NEF", "a/2.cr2"]}
    assert {"a/3.arw", "b/4.raf", "b/5.orf", "b/6.dng", "b/6.nef"} < set(indexed)
    assert len(indexed) == 12
    assert chosen(tmp_path, Raw.ALL) == (sorted([*indexed, *passed[Kind.RAW]]), {})
    assert len(chosen(tmp_path, Raw.NONE)[1][Kind.RAW]) == 8


def test_without_their_reader_raw_and_jpeg_xl_files_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "1.nef", "1.jpg", "2.dng", "3.jxl")
    assert chosen(tmp_path) == (["1.jpg", "2.dng", "3.jxl"], {Kind.RAW: ["1.nef"]})
    for module in ("rawpy", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)
    for raw in Raw:
        assert chosen(tmp_path, raw) == (["1.jpg"], {Kind.RAW: ["1.nef", "2.dng"], Kind.JPEG_XL: ["3.jxl"]})


def test_videos_are_passed_over_also_as_broken_links(tmp_path: Path) -> None:
    touch(tmp_path, "1.MOV", "1.heic", "2.mp4")
    (tmp_path / "3.avi").symlink_to("nowhere")
    assert chosen(tmp_path) == (["1.heic"], {Kind.VIDEO: ["1.MOV", "2.mp4"]})
    assert not any(suffix in FOUND_SUFFIXES for suffix in (b".ts", b".raw", b".txt", b".mp3"))


FILES = st.lists(
    st.tuples(
        st.sampled_from([b"", b"a/", b"b/"]),
        st.sampled_from([b"x", b"X", b"y"]),
        st.sampled_from([b".jpg", b".HEIC", b".nef", b".DNG", b".png", b".mp4"]),
    ),
    unique=True,
)


@given(FILES, st.sampled_from(Raw))
def test_each_file_is_either_chosen_or_passed_over(parts: list[tuple[bytes, bytes, bytes]], raw: Raw) -> None:
    files = [FoundFile(b"".join(part), 1, 1) for part in sorted(parts)]
    entries: Iterator[FoundFile] = iter(files)
    seen = [entry.file if isinstance(entry, PassedOver) else entry for entry in choose(entries, raw)]
    assert sorted(seen, key=str) == sorted(files, key=str)
    for entry in choose(files, raw):
        if isinstance(entry, PassedOver):
            stem, dot, suffix = entry.file.relpath.lower().rpartition(b".")
            beside = {file.relpath.lower() for file in files} & {stem + b".jpg", stem + b".heic"}
            is_raw = dot + suffix in RAW_SUFFIXES and raw != Raw.ALL and (beside or raw == Raw.NONE)
            assert is_raw or dot + suffix in VIDEO_SUFFIXES
