"""A folder with one file of each kind that people have: each is indexed, or counted and named with a reason."""

from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.conftest import Program
from tests.photos.files import picture, saved
from tests.photos.kinds import one_of_each_kind
from tests.photos.raws import dng

VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".3gp", ".mts")
UNREADABLE = {"layers.tif": b"8BPS\0\1" + bytes(100), "notes.jpg": b"dear diary", "empty.cr3": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Each kind of photo, and what lies beside photos: videos, pairs of raw and JPEG or HEIC, and a document."""
    root = tmp_path / "photos"
    for name, data in (one_of_each_kind() | UNREADABLE).items():
        (root / name.partition(".")[2]).mkdir(parents=True, exist_ok=True)
        (root / name.partition(".")[2] / name).write_bytes(data)
    for number, suffix in enumerate((".cr2", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".nef")):
        raw = dng(picture(seed=20 + number, width=96, height=64))  # the content counts, not the name
        (root / f"alone{suffix}").write_bytes(raw)
        (root / f"PAIR_{number}{suffix.upper()}").write_bytes(raw)
        saved_as, kind = ((".JPG", "JPEG"), (".heic", "HEIF"))[number % 2]
        (root / f"pair_{number}{saved_as}").write_bytes(saved(picture(seed=40 + number), kind))
    (root / "live.heic").write_bytes(saved(picture(seed=60), "HEIF"))
    for name in ("live.mov", *(f"film{suffix.upper()}" for suffix in VIDEOS)):
        (root / name).write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    (root / "panorama.jpg").write_bytes(saved(Image.effect_noise((2000, 200), 50), "JPEG"))
    (root / "notes.txt").write_text("not a photo")
    return root


@pytest.mark.slow
def test_each_kind_of_file_is_indexed_or_counted_and_named_with_a_reason(program: Program, folder: Path) -> None:
    report = program.json("index", folder)
    failures = {Path(failure["path"]).name: failure["error"] for failure in report["failures"]}
    assert set(failures) == set(UNREADABLE), failures
    assert all(failures.values())
    assert report["passed_over"] == {"videos": len(VIDEOS) + 1, "raw": 8, "jpeg_xl": 0}
    files = sum(path.is_file() for path in folder.rglob("*"))
    accounted = report["added"] + report["failed"] + sum(report["passed_over"].values()) + 1  # notes.txt
    assert accounted == files

    again = program("index", folder)
    assert again.returncode == 0
    assert f"{report['added']} unchanged, 3 failed" in again.stdout
    assert "9 videos were passed over\n" in again.stderr
    assert "8 camera raw files were passed over: a JPEG or HEIC of the same name lies beside each" in again.stderr
    hits = program.json("search", "--like", folder / "dng" / "photo.dng", "--top", "1")
    assert hits[0]["score"] > 0.98
    answer = program.json("classify", folder / "nef" / "photo.nef", "--labels", "cat,dog", "--one")
    assert answer["tags"]


def test_without_the_extras_the_rest_is_indexed_and_two_lines_say_what_to_install(
    program: Program, folder: Path
) -> None:
    blocked = program.home / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text("import sys\nsys.modules['rawpy'] = sys.modules['pillow_jxl'] = None\n")
    path = f"{blocked}:{program.environment['PYTHONPATH']}"
    done = program("index", folder, PYTHONPATH=path)
    assert done.returncode == 0
    assert "20 camera raw files were passed over: to index them, run pip install 'searcher[raw]'\n" in done.stderr
    assert "2 JPEG XL files were passed over: to index them, run pip install 'searcher[jxl]'\n" in done.stderr
