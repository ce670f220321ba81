"""Indexes folders of photos, changes them, and searches them."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import Program
from tests.pictures import draw

COUNTS = ("added", "changed", "moved", "removed", "unchanged", "failed")


def counts(report: dict[str, Any]) -> dict[str, int]:
    """Return the counts of a report that are not 0."""
    return {name: report[name] for name in COUNTS if report[name]}


def names(hits: list[dict[str, Any]]) -> list[str]:
    return [Path(hit["path"]).name for hit in hits]


def test_a_second_run_over_hundreds_of_photos_embeds_only_what_changed(
    program: Program, photos: Callable[..., Path]
) -> None:
    folder = photos(300)
    first = program.json("index", folder)
    assert set(first) == {*COUNTS, "seconds", "failures", "passed_over"}
    assert counts(first) == {"added": 300}
    assert counts(program.json("index", folder)) == {"unchanged": 300}

    for number in range(10):
        (folder / f"{number:03}.jpg").rename(folder / f"renamed-{number}.jpg")
        (folder / f"{number + 100:03}.jpg").unlink()
        draw(folder / f"{number + 200:03}.jpg", 5000 + number)
        draw(folder / f"added-{number}.jpg", 6000 + number)
    third = program.json("index", folder)
    assert counts(third) == {"moved": 10, "removed": 10, "changed": 10, "added": 10, "unchanged": 270}

    for path in ("renamed-3.jpg", "203.jpg", "added-7.jpg", "250.jpg"):
        [hit] = program.json("search", "--like", folder / path, "--top", "1")
        assert (hit["rank"], hit["path"], hit["copies"]) == (1, str(folder / path), [])
        assert hit["score"] == pytest.approx(1, abs=0.02)
    found = names(program.json("search", "blue and green", "--top", "2000"))
    assert len(found) == 300
    assert not {"103.jpg", "003.jpg"} & set(found)
    assert program.json("status")["images"] == 300
    assert program.json("check") == {"ok": True, "problems": []}


@pytest.fixture
def odd_formats(tmp_path: Path) -> Path:
    """Eight pictures in unusual formats."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    folder = tmp_path / "odd"
    folder.mkdir()
    ramp = np.linspace(0, 1, 64 * 48).reshape(48, 64)
    colours = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.new("RGB", (1, 1), "red").save(folder / "one pixel.png")
    Image.fromarray(colours).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray((ramp * 65535).astype(np.uint16)).save(folder / "16 bit.png")
    frames = [Image.new("P", (64, 48), colour) for colour in range(3)]
    frames[0].save(folder / "animated.GIF", save_all=True, append_images=frames[1:])
    Image.new("RGBA", (64, 48), (255, 0, 0, 100)).save(folder / "alpha.png")
    Image.fromarray(colours).save(folder / "phone.HEIC")
    Image.fromarray(colours[::-1]).save(folder / "new.avif")
    Image.fromarray(colours[:, ::-1]).save(folder / "scan.tiff")
    return folder


def test_unusual_pictures_are_indexed_and_bad_files_are_listed_with_their_reason(
    program: Program, odd_formats: Path
) -> None:
    good = {path.name for path in odd_formats.iterdir()}
    (odd_formats / "text.jpg").write_text("this is not a picture\n")
    (odd_formats / "empty.jpg").touch()
    draw(odd_formats / "whole.jpg", 1, (640, 480))
    whole = (odd_formats / "whole.jpg").read_bytes()
    (odd_formats / "whole.jpg").unlink()
    (odd_formats / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (odd_formats / "unreadable.jpg").symlink_to("nowhere")  # permissions do not stop root
    bad = {"text.jpg", "empty.jpg", "truncated.jpg", "unreadable.jpg"}

    report = program.json("index", odd_formats)
    assert counts(report) == {"added": len(good), "failed": len(bad)}
    assert {Path(failure["path"]).name for failure in report["failures"]} == bad
    failures = program.json("status", "--failed")
    assert sorted(failures, key=str) == sorted(report["failures"], key=str)
    assert all(failure["error"] for failure in failures)
    assert len({failure["error"] for failure in failures}) == len(bad)
    assert set(names(program.json("search", "red"))) == good

    # A failed file is counted but not tried again until it changes.
    assert counts(program.json("index", odd_formats)) == {"unchanged": len(good), "failed": len(bad)}
    (odd_formats / "truncated.jpg").write_bytes(whole)
    report = program.json("index", odd_formats)
    assert report["failed"] == len(bad) - 1
    assert "truncated.jpg" in names(program.json("search", "red"))

    done = program("index", odd_formats)
    assert done.returncode == 0
    assert all(name in done.stdout for name in bad - {"truncated.jpg"})
    listed = program("status", "--failed").stdout
    assert all(name in listed for name in bad - {"truncated.jpg"})


@pytest.mark.parametrize("how", ["renamed", "empty"])
def test_a_disconnected_disk_removes_nothing_and_is_reported(
    program: Program, photos: Callable[..., Path], how: str
) -> None:
    folder = photos(5)
    program.json("index", folder)
    away = folder.with_name("away")
    folder.rename(away)
    if how == "empty":
        folder.mkdir()

    done = program("index")
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stderr
    assert program.json("index")["removed"] == 0
    assert program.json("status")["images"] == 5

    if how == "empty":
        folder.rmdir()
    away.rename(folder)
    assert counts(program.json("index")) == {"unchanged": 5}


def test_a_touched_file_is_unchanged_and_a_copy_is_one_hit(program: Program, photos: Callable[..., Path]) -> None:
    folder = photos(4)
    program.json("index", folder)
    os.utime(folder / "001.jpg", (1, 1))
    assert counts(program.json("index")) == {"unchanged": 4}

    (folder / "sub").mkdir()
    shutil.copy(folder / "002.jpg", folder / "sub" / "copy.jpg")
    program.json("index")
    hits = program.json("search", "--like", folder / "002.jpg")
    assert len(hits) == 4
    assert {hits[0]["path"], *hits[0]["copies"]} == {
        str(folder / "002.jpg"),
        str(folder / "sub" / "copy.jpg"),
    }


def test_index_without_paths_updates_all_folders_and_files_indexed_before(
    program: Program, photos: Callable[..., Path]
) -> None:
    one, two, loose = photos(2, "one"), photos(3, "two"), photos(4, "loose")
    for number in range(3):  # different pictures from those in `one`
        draw(two / f"{number:03}.jpg", 100 + number)
    draw(loose / "003.jpg", 200)
    assert counts(program.json("index", one, two, loose / "003.jpg")) == {"added": 6}
    draw(two / "new.jpg", 300)
    assert counts(program.json("index")) == {"added": 1, "unchanged": 6}
    assert program.json("status")["images"] == 7


def test_forget_removes_a_folder_from_the_library_but_not_its_photos(
    program: Program, photos: Callable[..., Path]
) -> None:
    one, two = photos(2, "one"), photos(3, "two")
    draw(two / "000.jpg", 100)
    program.json("index", one, two)
    done = program("forget", one)
    assert done.returncode == 0, done.stderr
    assert len(list(one.iterdir())) == 2
    hits = program.json("search", "blue")
    assert {Path(hit["path"]).parent for hit in hits} == {two}
    assert program.json("check")["ok"]


def test_unusual_and_non_utf8_names_are_found_and_printed(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    strange = [b"caf\xe9.jpg", "東京 🗼.jpg".encode(), b"new\nline.jpg", b"[red] -v.jpg"]
    for seed, name in enumerate(strange):
        draw(os.fsencode(folder) + b"/" + name, seed)
    assert counts(program.json("index", folder)) == {"added": 4}
    hits = program.json("search", "blue")
    assert {os.fsencode(hit["path"]) for hit in hits} == {os.fsencode(folder) + b"/" + name for name in strange}
    plain = program("search", "blue")
    assert plain.returncode == 0
    assert len(plain.stdout.splitlines()) == 4
    assert b"caf\xe9.jpg" in os.fsencode(plain.stdout)
    latin = os.fsencode(folder) + b"/caf\xe9.jpg"
    assert os.fsencode(program.json("search", "--like", latin, "--top", "1")[0]["path"]) == latin


def test_hits_and_status_have_the_documented_json_fields(
    program: Program, photos: Callable[..., Path], tmp_path: Path
) -> None:
    folder = photos(3)
    program.json("index", folder)
    hits = program.json("search", "a red wall", "--top", "2")
    assert [hit["rank"] for hit in hits] == [1, 2]
    for hit in hits:
        assert set(hit) == {"rank", "id", "path", "copies", "score", "relevance", "taken_at", "tags"}
        assert Path(hit["path"]).is_absolute()
    assert hits[0]["score"] >= hits[1]["score"]
    status = program.json("status")
    assert set(status) == {"library", "model", "roots", "images", "failed", "index", "bytes"}
    assert set(status["index"]) == {"kind", "vectors", "pending"}
    assert (status["images"], status["failed"]) == (3, 0)


def test_sheet_draws_the_hits_at_the_given_path(program: Program, photos: Callable[..., Path], tmp_path: Path) -> None:
    program.json("index", photos(3))
    done = program("search", "a", "red", "wall", "--sheet", tmp_path / "found.jpg")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "found.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert min(sheet.size) > 100


def test_a_meaningless_query_and_an_unknown_language_print_a_warning(
    program: Program, photos: Callable[..., Path]
) -> None:
    program.json("index", photos(10))
    for query in ("asdf qwer zxcv", "of the and to in", "an elephant in a swimming pool"):
        assert "Nothing seems to match" in program("search", query).stderr
        assert program.json("search", query, "--min-relevance", "0.5") == []
    for query in ("на пляже собака", "ein Hund am Strand"):
        done = program("search", query, "--json")
        assert done.returncode == 0
        assert len(json.loads(done.stdout)) == 10
        assert done.stderr.startswith(f"“{query}” ")
        assert "knows only English. For other languages: `searcher models pull immich-app/" in done.stderr
        assert [line for line in done.stderr.splitlines() if "seems to match" not in line] == [
            done.stderr.splitlines()[0]
        ]
    assert "knows only" not in program("search", "café au lait in a cup").stderr


def test_no_command_modifies_the_photos(program: Program, photos: Callable[..., Path]) -> None:
    folder = photos(3)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    program.json("index", folder)
    program.json("search", "blue")
    program.json("forget", folder)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
