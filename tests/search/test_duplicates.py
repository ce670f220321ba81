import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from searcher import Library
from searcher.errors import NotFound
from searcher.progress import Progress
from tests.histogram_model import HistogramModel


class Notices(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, message: str) -> None:
        self.lines.append(message)


def scene(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A picture with shapes of all sizes, as a photo has."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(60, 200, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for width in (160, 160, 90, 90, 90, 50, 50, 50, 50, 25, 25, 25, 25, 25):
        x, y = int(rng.integers(-20, size[0])), int(rng.integers(-20, size[1]))
        draw.ellipse((x, y, x + width, y + width * 0.8), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(2))


@dataclass
class Shoebox:
    """A folder of photos and their library."""

    folder: Path
    library: Library

    def save(self, image: Image.Image, name: str, **options: object) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)  # type: ignore[arg-type]
        return path

    def groups(self, folder: Path | None = None) -> list[tuple[str, str, list[str]]]:
        """Kind, name of the photo to keep, names of the others."""
        self.library.index(self.folder)
        found = self.library.duplicates(folder)
        return [
            (group.kind, self.name(group.keep), sorted(self.name(other.path) for other in group.others))
            for group in found
        ]

    def name(self, path: str) -> str:
        return os.path.relpath(path, self.folder)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Shoebox]:
    with Library.open(tmp_path / "library", model=HistogramModel(), create=True) as library:
        yield Shoebox(tmp_path / "photos", library)


def test_copies_in_other_sizes_qualities_cuts_and_formats_are_one_group(box: Shoebox) -> None:
    image = scene(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    box.save(image.resize((600, 450), Image.Resampling.BICUBIC), "larger.jpg", quality=95)
    box.save(image, "photo.png")
    box.save(image.resize((200, 150)), "half.jpg", quality=90)
    box.save(image, "quality.jpg", quality=40)
    box.save(image.crop((12, 3, 392, 288)), "cropped.jpg", quality=90)
    box.save(image.transpose(Image.Transpose.ROTATE_90), "turned.jpg", quality=90, exif=exif)
    for seed in (2, 3, 4):
        box.save(scene(seed), f"other{seed}.jpg")
    others = ["cropped.jpg", "half.jpg", "photo.png", "quality.jpg", "turned.jpg"]
    assert box.groups() == [("near", "larger.jpg", others)]


def test_shots_of_a_burst_are_told_apart(box: Shoebox) -> None:
    image = scene(1, (440, 330))
    first = image.crop((20, 15, 420, 315))
    box.save(first, "first.jpg", quality=90)
    box.save(image.crop((30, 10, 430, 310)), "shifted.jpg", quality=90)
    box.save(first.point(lambda value: min(255, round(value * 1.15))), "brighter.jpg", quality=90)
    moved = first.copy()
    ImageDraw.Draw(moved).ellipse((180, 120, 250, 200), fill="white")
    box.save(moved, "moved.jpg", quality=90)
    assert box.groups() == []


def test_shots_taken_at_different_times_are_not_copies_however_alike(box: Shoebox) -> None:
    for second in (1, 2):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:01 12:00:0{second}"
        box.save(scene(1), f"{second}.jpg", exif=exif)
    assert box.groups() == []


def test_files_with_the_same_bytes_are_exact_copies(box: Shoebox) -> None:
    path = box.save(scene(1), "a.jpg")
    assert box.groups() == []
    shutil.copy(path, box.folder / "b.jpg")
    assert box.groups() == [("exact", "a.jpg", ["b.jpg"])]
    (group,) = box.library.duplicates()
    assert [other.similarity for other in group.others] == [1.0]
    box.save(scene(1).resize((200, 150)), "c.jpg")
    assert box.groups() == [("near", "a.jpg", ["b.jpg", "c.jpg"])]


def test_only_the_named_folder_is_looked_at(box: Shoebox, tmp_path: Path) -> None:
    box.save(scene(1), "one/a.jpg")
    path = box.save(scene(1).resize((200, 150)), "two/b.jpg")
    box.library.index(box.folder)
    shutil.copy(path, box.folder / "two" / "c.jpg")
    assert box.groups(box.folder / "one") == []
    assert box.groups(box.folder / "two") == [("exact", "two/b.jpg", ["two/c.jpg"])]
    assert [keep for _, keep, _ in box.groups()] == ["one/a.jpg"]
    with pytest.raises(NotFound, match="is not in the library"):
        box.library.duplicates(tmp_path / "elsewhere")


def test_plain_pictures_of_different_colours_are_not_copies(box: Shoebox) -> None:
    for colour in ("red", "green", "blue", "white"):
        box.save(Image.new("RGB", (60, 40), colour), f"{colour}.png")
    assert box.groups() == []


def test_photos_that_are_gone_are_compared_without_their_pixels(box: Shoebox) -> None:
    box.save(scene(1), "a.png")
    box.save(scene(1), "b.jpg", quality=95)
    assert len(box.groups()) == 1
    shutil.rmtree(box.folder)
    notices = Notices()
    assert len(box.library.duplicates(progress=notices)) == 1
    assert [line for line in notices.lines if line.startswith("2 of the photos that look alike cannot be opened")]


def test_photos_without_a_hash_get_one_notice_and_exact_groups(box: Shoebox) -> None:
    path = box.save(scene(1), "a.jpg")
    shutil.copy(path, box.folder / "b.jpg")
    box.save(scene(1).resize((200, 150)), "c.jpg")
    box.library.index(box.folder)
    with closing(sqlite3.connect(box.library.folder / "catalog.sqlite")) as connection, connection:
        connection.execute("UPDATE contents SET phash = NULL")
    notices = Notices()
    (group,) = box.library.duplicates(progress=notices)
    assert (group.kind, len(group.others)) == ("exact", 1)
    assert [line for line in notices.lines if "searcher index" in line] == notices.lines
    assert len(notices.lines) == 1


def test_an_empty_library_has_no_duplicates(box: Shoebox) -> None:
    box.folder.mkdir()
    assert box.groups() == []
