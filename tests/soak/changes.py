"""Random changes of folders of photos, and what the library must hold afterwards."""

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.pictures import draw
from tests.soak.jobs import SIDECAR

SIZE = (24, 18)
MOST = 1500  # photos, after which more are deleted than added
BURST = 60  # photos of a new folder


@dataclass
class Kept:
    """A photo on the disk. content: which picture it is. labels: those that a person gave to it."""

    content: int
    labels: set[str] = field(default_factory=set)


class Changes:
    """Changes what is below some folders, one random step at a time, and keeps account of every photo.

    What a program that sees only the disk cannot follow is left out: a photo that gets another picture is not moved
    before `settled`, and one that is new at its place gets no other picture, as then neither its place nor its content
    would say which photo it was.
    """

    def __init__(self, folders: list[Path], chance: random.Random) -> None:
        self.folders, self.chance = folders, chance
        self.photos: dict[Path, Kept] = {}
        self.away: dict[Path, Path] = {}  # a folder that is not there now → where it can be changed meanwhile
        self.counts: dict[str, int] = {}
        self._number = 0
        self._changed: set[Path] = set()  # photos with another picture, since `settled`
        self._new: set[Path] = set()  # the places of photos that came there since `settled`

    def settled(self) -> None:
        """The library has caught up with all that it can see."""
        self._changed = {path for path in self._changed if self.is_away(path)}
        self._new = {path for path in self._new if self.is_away(path)}

    def is_away(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.away)

    def label(self, chosen: list[Path], label: str) -> None:
        """A person gave a label to photos, and so to their copies."""
        contents = {self.photos[path].content for path in chosen}
        for kept in self.photos.values():
            if kept.content in contents:
                kept.labels.add(label)

    def real(self, path: Path) -> Path:
        """Where a path can be changed now."""
        for folder, store in self.away.items():
            if path.is_relative_to(folder):
                return store / path.relative_to(folder)
        return path

    def step(self) -> None:
        """Change something."""
        steps: list[tuple[Callable[[], bool], float]] = [
            (self.add, 6),
            (self.add_slowly, 1),
            (self.add_folder, 0.7),
            (self.move, 5),
            (self.move_folder, 1),
            (self.swap, 1),
            (self.copy, 2),
            (self.delete, 9 if len(self.photos) > MOST else 2),
            (self.delete_folder, 2 if len(self.photos) > MOST else 0.3),
            (self.change, 2),
            (self.write_sidecar, 1),
            (self.write_other_file, 1),
        ]
        (chosen,) = self.chance.choices([step for step, _ in steps], [weight for _, weight in steps])
        if chosen():
            name = chosen.__name__
            self.counts[name] = self.counts.get(name, 0) + 1

    # places

    def _new_folder(self) -> Path:
        folder = self.chance.choice(self.folders)
        for _ in range(self.chance.randint(0, 2)):
            folder /= self.chance.choice("abc")
        return folder

    def _new_path(self, folder: Path | None = None) -> Path:
        """A name that was never used before: a program may take a new photo at a known path for a changed one."""
        self._number += 1
        return (folder or self._new_folder()) / f"{self._number:06}.jpg"

    def _any(self, fits: Callable[[Path], bool] = lambda path: True) -> Path | None:
        paths = [path for path in self.photos if fits(path)]
        return self.chance.choice(paths) if paths else None

    def _has_sidecar(self, path: Path) -> bool:
        return self._sidecar(path).exists()

    def _sidecar(self, path: Path) -> Path:
        return self.real(path.with_name(f"{path.name}.xmp"))

    def _is_single(self, path: Path) -> bool:
        """Whether no copy of the photo exists."""
        content = self.photos[path].content
        return sum(kept.content == content for kept in self.photos.values()) == 1

    def _put(self, path: Path, kept: Kept) -> None:
        self.photos[path] = kept
        self._new.add(path)

    def _make(self, path: Path) -> Path:
        real = self.real(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        return real

    # steps

    def add(self) -> bool:
        self.add_photos(self._new_folder(), self.chance.randint(1, 4))
        return True

    def add_photos(self, folder: Path, count: int) -> list[Path]:
        """Add some photos, half of them as programs do it that write to another name first."""
        paths = []
        for _ in range(count):
            path = self._new_path(folder)
            real = self._make(path)
            if self.chance.random() < 0.5:
                partial = real.with_name(f".{real.name}.part")
                draw(partial, self._number, SIZE)
                partial.rename(real)
            else:
                draw(real, self._number, SIZE)
            self._put(path, Kept(self._number))
            paths.append(path)
        return paths

    def add_slowly(self) -> bool:
        """Write a photo in pieces."""
        path = self._new_path()
        real = self._make(path)
        hidden = real.with_name(".whole.jpg")
        draw(hidden, self._number, SIZE)
        data = hidden.read_bytes()
        hidden.unlink()
        with real.open("wb", buffering=0) as file:
            for start in range(0, len(data), 400):
                file.write(data[start : start + 400])
                time.sleep(0.1)
        self._put(path, Kept(self._number))
        return True

    def add_folder(self) -> bool:
        """Copy a whole folder."""
        self._number += 1
        folder = self._new_folder() / f"f{self._number}"
        for _ in range(self.chance.randint(2, BURST)):
            path = self._new_path(folder)
            draw(self._make(path), self._number, SIZE)
            self._put(path, Kept(self._number))
        return True

    def move(self) -> bool:
        """Move a photo, with its sidecar, to another folder or another name."""
        path = self._any(lambda path: path not in self._changed)
        if path is None:
            return False
        self._move(path, self._new_path(path.parent if self.chance.random() < 0.3 else None))
        return True

    def _move(self, path: Path, new: Path) -> None:
        if self._has_sidecar(path):
            self._make(new)
            shutil.move(self._sidecar(path), self._sidecar(new))
        shutil.move(self.real(path), self._make(new))
        self._put(new, self.photos.pop(path))

    def _inner_folder(self) -> Path | None:
        """A folder that is no root and no disk, and in which nothing has changed its picture."""
        fixed = {*self.folders, *(parent for folder in self.folders for parent in folder.parents)}
        folders = {path.parent for path in self.photos} - fixed
        bad = {parent for path in self._changed for parent in path.parents}
        chosen = sorted(folders - bad)
        return self.chance.choice(chosen) if chosen else None

    def move_folder(self) -> bool:
        folder = self._inner_folder()
        if folder is None:
            return False
        self._number += 1
        new = self._new_folder() / f"m{self._number}"
        if new.is_relative_to(folder):
            return False
        shutil.move(self.real(folder), self._make(new))
        for path in [path for path in self.photos if path.is_relative_to(folder)]:
            moved = new / path.relative_to(folder)
            self._put(moved, self.photos.pop(path))
        return True

    def swap(self) -> bool:
        """Two photos of one folder change names."""

        def fits(path: Path) -> bool:
            return path not in self._changed and path not in self._new and not self._has_sidecar(path)

        first = self._any(fits)
        second = None if first is None else self._any(lambda path: path.parent == first.parent and fits(path))
        if first is None or second is None or self.photos[first].content == self.photos[second].content:
            return False
        between = self.real(first.with_name("between.tmp"))
        self.real(first).rename(between)
        self.real(second).rename(self.real(first))
        between.rename(self.real(second))
        self.photos[first], self.photos[second] = self.photos[second], self.photos[first]
        self._changed |= {first, second}
        return True

    def copy(self) -> bool:
        path = self._any(lambda path: path not in self._changed and not self._has_sidecar(path))
        if path is None:
            return False
        new = self._new_path()
        shutil.copy2(self.real(path), self._make(new))
        self._put(new, Kept(self.photos[path].content, set(self.photos[path].labels)))
        return True

    def delete(self) -> bool:
        path = self._any()
        if path is None:
            return False
        self._sidecar(path).unlink(missing_ok=True)
        self.real(path).unlink()
        del self.photos[path]
        return True

    def delete_folder(self) -> bool:
        folder = self._inner_folder()
        if folder is None:
            return False
        shutil.rmtree(self.real(folder))
        for path in [path for path in self.photos if path.is_relative_to(folder)]:
            del self.photos[path]
        return True

    def change(self) -> bool:
        """A photo gets another picture. What a person said about it stays."""
        path = self._any(lambda path: path not in self._new and self._is_single(path))
        if path is None:
            return False
        self._number += 1
        real = self.real(path)
        if self.chance.random() < 0.5:
            draw(real, self._number, SIZE)
        else:
            draw(real.with_name(".new"), self._number, SIZE)
            real.with_name(".new").replace(real)
        self.photos[path].content = self._number
        self._changed.add(path)
        return True

    def write_sidecar(self) -> bool:
        """Write or change a sidecar, or delete it."""
        path = self._any(lambda path: path not in self._changed and self._is_single(path))
        if path is None:
            return False
        sidecar = self._sidecar(path)
        if sidecar.exists() and self.chance.random() < 0.3:
            sidecar.unlink()
        else:
            self._number += 1
            sidecar.write_text(SIDECAR.replace("holiday", f"word{self._number % 20}"))
        return True

    def write_other_file(self) -> bool:
        """Write a file that is no photo, one of them with the name of a photo."""
        name = self.chance.choice(("notes.txt", "broken.jpg", "film.mp4"))
        self._make(self._new_folder() / name).write_text(f"no photo {self.chance.random()}")
        return True

    # what must be found

    def on_disk(self) -> dict[Path, tuple[int, int]]:
        """Size and time in ns of each photo file and sidecar that can be seen now, by path."""
        found = {}
        for root in self.folders:
            for folder, _, names in os.walk(root):
                for name in names:
                    path = Path(folder, name)
                    if path.suffix in (".jpg", ".xmp") and not name.startswith("."):
                        status = path.stat()
                        found[path] = (status.st_size, status.st_mtime_ns)
        return found
