"""Runs `searcher demo`, which new users see first."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from searcher.commands import main
from tests.e2e.conftest import Program

RIGHT = {
    "a cat": {"chelsea.png"},
    "a cup of coffee": {"coffee.png"},
    "a motorcycle": {"motorcycle_left.png", "motorcycle_right.png"},
    "a flower": {"flower.jpg"},
    "an old temple": {"china.jpg"},
}


def test_the_demo_ranks_a_right_photo_in_the_top_three_of_each_query(program: Program) -> None:
    done = program("demo")
    assert done.returncode == 0, done.stderr
    library = program.home / "library" / "demo"
    paragraphs = dict(part.split("\n", 1) for part in done.stdout.split("\n\n")[1:6])
    assert list(paragraphs) == list(RIGHT)
    for query, right in RIGHT.items():
        hits = program.json("search", query, "--top", "3", "--library", library)
        names = [Path(hit["path"]).name for hit in hits]
        assert right & set(names), (query, names)
        assert all(name in paragraphs[query] for name in names)
    with Image.open(program.home / "library" / "demo.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.width > 800 and sheet.height > 800
    assert not (program.home / "library" / "catalog.sqlite").exists()  # the user's own library does not exist


def test_a_second_demo_embeds_nothing(program: Program) -> None:
    quiet = program("demo", "--quiet")
    done = program("demo")
    assert done.returncode == 0
    assert "nothing new" in done.stdout
    hits = done.stdout.split("\n", 1)[1].rpartition("\nContact sheet")[0]
    assert (quiet.stdout, quiet.stderr) == (hits, "")


def test_the_demo_with_photos_uses_only_the_photos_of_that_folder(
    program: Program, photos: Callable[..., Path]
) -> None:
    program("demo")
    folder = photos(7)
    done = program("demo", "--photos", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 photos, 7 of them new")
    assert str(folder) in done.stdout
    assert "chelsea" not in done.stdout
    assert (program.home / "library" / "demo.jpg").exists()


def test_the_demo_reports_an_empty_and_a_missing_folder(program: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = program("demo", "--photos", tmp_path / "empty")
    assert (done.returncode, done.stdout) == (0, f"No photos found in {tmp_path / 'empty'}.\n")
    assert "/nowhere" in program.fails("demo", "--photos", "/nowhere", code=1)


def test_the_demo_says_what_to_install_if_the_sample_photos_are_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("searcher.datasets.samples.find_spec", lambda package: None)
    with pytest.raises(SystemExit) as ended:
        main.main(args=["demo"])
    assert ended.value.code == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert 'pip install "searcher[demo]"' in err and err.count("\n") == 1
