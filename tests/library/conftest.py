import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from searcher import Library
from searcher.indexer import IndexReport
from tests.histogram_model import COLOURS, HistogramModel


@dataclass
class Album:
    """A folder of photos, their library, and a clock that gives each change a new modification time."""

    folder: Path
    library: Library
    model: HistogramModel
    notices: list[str] = field(default_factory=list)
    clock: int = 1_600_000_000

    def add(self, name: str, colour: str = "red", number: int = 0) -> Path:
        """Write a photo of one colour. Its size, and so its content, depends on `number`."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + number, 20), COLOURS[colour]).save(path, "PNG")
        return self.touch(path)

    def fill(self) -> None:
        """Write and index four photos, each with its own colour."""
        for number, colour in enumerate(("red", "green", "blue", "white")):
            self.add(f"{colour}.png", colour, number)
        self.index()

    def touch(self, path: Path) -> Path:
        self.clock += 10
        os.utime(path, (self.clock, self.clock))
        return path

    def copy(self, source: str, target: str) -> Path:
        (self.folder / target).parent.mkdir(parents=True, exist_ok=True)
        return self.touch(Path(shutil.copy(self.folder / source, self.folder / target)))

    def index(self, *paths: Path | str) -> IndexReport:
        return self.library.index(*(paths or (self.folder,)))

    def counts(self, *paths: Path | str) -> dict[str, int]:
        """Run an index and return its report without zeros, failures and seconds."""
        report = self.index(*paths).as_dict()
        assert len(report["failures"]) == report["failed"]
        return {name: n for name, n in report.items() if name not in ("seconds", "failures", "passed_over") and n}

    def found(self, text: str) -> list[str]:
        """Return the names of the photos that fit a colour. Copies are joined by "="."""
        hits = [hit for hit in self.library.search(text, top=100) if hit.score > 0.5]
        return sorted("=".join(sorted(self.name(path) for path in (hit.path, *hit.copies))) for hit in hits)

    def ids(self) -> dict[str, int]:
        """Return name → id of every image that can be found. Of copies, only the first one is listed."""
        words = " ".join(COLOURS)
        return {self.name(hit.path): hit.id for hit in self.library.search(words, top=1000)}

    def name(self, path: str) -> str:
        return os.path.relpath(path, self.folder)


@pytest.fixture
def model() -> HistogramModel:
    return HistogramModel()


@pytest.fixture
def album(tmp_path: Path, model: HistogramModel) -> Iterator[Album]:
    folder = tmp_path / "photos"
    folder.mkdir()
    with Library.open(tmp_path / "library", model=model, create=True) as library:
        yield Album(folder, library, model)


@dataclass
class Disk:
    """A disk that is mounted below a folder, as far as the list of mounts says. Mounting needs rights."""

    folder: Path
    mounts: Path
    contents: Path

    def plug(self) -> None:
        self.contents.rename(self.folder)
        self.mounts.write_text(f"40 22 8:1 / {self.folder} rw - ext4 /dev/sdb1 rw\n")

    def unplug(self, leave_folder: bool = True) -> None:
        self.folder.rename(self.contents)
        if leave_folder:
            self.folder.mkdir()
        self.mounts.write_text("")


@pytest.fixture
def disk(album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk with two photos below an indexed folder with four."""
    monkeypatch.setattr("searcher.photos.scan._MOUNTS", str(tmp_path / "mountinfo"))
    disk = Disk(album.folder / "disk", tmp_path / "mountinfo", tmp_path / "unplugged")
    album.add("disk/sub/yellow.png", "yellow", 4)
    album.add("disk/black.png", "black", 5)
    disk.folder.rename(disk.contents)
    disk.plug()
    album.fill()
    return disk
