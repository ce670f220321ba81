"""A library that `searcher watch` keeps up to date while its photos change, its disks come and go, and it is killed."""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from searcher.catalog.connect import CATALOG_NAME
from searcher.library import Library
from tests.pictures import draw
from tests.soak.changes import Changes
from tests.soak.contents import FILES, Contents, contents, differences, problems
from tests.soak.disks import can_mount
from tests.soak.interrupt import Broken
from tests.soak.place import Place

CAUGHT_UP_S = 120.0  # after this, a change was not noticed
POLL_S = 0.05
ENDS_S = 30.0
LABELS = ("Rex", "Max", "Tom")
SECONDS_BUSY = 13.0  # changes follow each other for so long that a batch is cut
HISTORY = {FILES, "labels", "waiting tags"}  # in these, an old library may differ from a new one


@dataclass
class Disk:
    """A folder `point` whose photos are in `store` while it is away. mounted: it is a mount, not a renamed folder."""

    point: Path
    store: Path
    mounted: bool

    def connect(self) -> None:
        if self.mounted:
            subprocess.run(["mount", "--bind", self.store, self.point], check=True)
        else:
            self.store.rename(self.point)

    def disconnect(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", self.point], check=True)
        else:
            self.point.rename(self.store)


@dataclass
class Watched:
    """`searcher watch` at a place, the changes of its photos, and what was seen so far.

    counts: what happened how often. delays: after how many seconds the library had caught up with some changes.
    """

    place: Place
    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        photos, card = self.place.photos, self.place.now / "card"
        self.disks = [Disk(card, self.place.home / "card", can_mount())]
        folders = [photos, card]
        if can_mount():
            self.memory = self.place.home / "memory"
            self.memory.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.memory], check=True)
            self.disks.append(Disk(photos / "disk", self.memory / "store", True))
            folders.append(photos / "disk")
        for disk in self.disks:
            disk.store.mkdir()
            if disk.mounted:
                disk.point.mkdir()
            disk.connect()
        self.changes = Changes(folders, self.chance)
        for _ in range(5):
            self.changes.add_folder()
        for disk in self.disks:  # a disk without photos is no disk that holds photos
            (disk.point / "about.jpg").write_text("no photo")
        self.place.must("index", "photos", "card", "--model", "tiny")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        self.log = (self.place.home / "log").open("a")
        return self.place.start("watch", "--json", output=self.log)

    def close(self) -> None:
        """End `watch` and take all disks away."""
        self.process.kill()
        self.process.wait()
        for disk in self.disks:
            if disk.mounted:
                with suppress(subprocess.CalledProcessError):
                    disk.disconnect()
        if can_mount():
            subprocess.run(["umount", "-l", self.memory], check=True)

    # what is in the library

    def _rows(self) -> dict[Path, tuple[int, int]]:
        image = "SELECT i.id, r.path || '/' || i.relpath AS path, i.size, i.mtime_ns FROM images i JOIN roots r "
        image += "ON r.id = i.root_id"
        with closing(sqlite3.connect(self.place.library / CATALOG_NAME)) as catalog:
            rows = catalog.execute(f"SELECT path, size, mtime_ns FROM ({image})").fetchall()
            sidecars = catalog.execute(
                f"SELECT p.path, s.name, s.size, s.mtime_ns FROM read_sidecars s JOIN ({image}) p ON p.id = s.image_id"
            ).fetchall()
        found = {Path(_text(path)): (size, time_ns) for path, size, time_ns in rows}
        found |= {Path(_text(path)).with_name(_text(name)): (size, at) for path, name, size, at in sidecars}
        return found

    def _late(self) -> set[Path]:
        """Files that are not in the library as they are on the disk."""
        found, there = self._rows(), self.changes.on_disk()
        both = found.items() ^ there.items()
        return {path for path, _ in both if not self.changes.is_away(path)}

    def settle(self) -> None:
        """Wait until the library has caught up. Raises Broken if that takes too long."""
        start = time.monotonic()
        while late := self._late():
            if self.process.poll() is not None:
                raise Broken(f"watch ended by itself: {self.output()[-2000:]}")
            if time.monotonic() - start > CAUGHT_UP_S:
                found, there = self._rows(), self.changes.on_disk()
                examples = [f"{path}: {found.get(path)} is {there.get(path)}" for path in sorted(late)[:5]]
                raise Broken(f"{len(late)} files were not noticed in {CAUGHT_UP_S:.0f} s: {'; '.join(examples)}")
            time.sleep(POLL_S)
        self.delays.append(time.monotonic() - start)
        self.changes.settled()

    def output(self) -> str:
        return (self.place.home / "log").read_text()

    def reports(self) -> list[dict[str, int]]:
        """What `watch` said about each of its runs."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    # how fast it is

    def found_after(self, photos: int) -> list[float]:
        """Add photos one by one. Returns after how many seconds a search found each."""
        seconds = []
        with Library.open(self.place.library) as library:
            for _ in range(photos):
                (path,) = self.changes.add_photos(self.place.photos / "a", 1)
                start = time.monotonic()
                while all(hit.path != str(path) for hit in library.search("red", top=100_000)):
                    if time.monotonic() - start > CAUGHT_UP_S:
                        raise Broken(f"{path} was not found in {CAUGHT_UP_S:.0f} s")
                    time.sleep(POLL_S)
                seconds.append(time.monotonic() - start)
        return seconds

    def burst(self, photos: int) -> tuple[int, float]:
        """Copy a folder. Returns in how many batches it was indexed, and after how many seconds it was."""
        self.settle()
        before, folder = len(self.reports()), self.place.photos / "burst"
        source = self.place.home / "burst"
        source.mkdir()
        for number in range(photos):
            draw(source / f"{number}.jpg", 10**6 + number, (24, 18))
        shutil.copytree(source, folder)
        start = time.monotonic()
        self.settle()
        seconds = time.monotonic() - start
        time.sleep(POLL_S)
        batches = sum(report["added"] > 0 for report in self.reports()[before:])
        shutil.rmtree(folder)
        self.settle()
        return batches, seconds

    # what happens

    def change(self, seconds: float, pause: float) -> None:
        """Change photos for some seconds, with pauses of `pause` seconds on average."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.changes.step()
            self.counts["changes"] += 1
            time.sleep(self.chance.expovariate(1 / pause))

    def round(self) -> None:
        """Change photos, fast or slowly, and give a label to some of them by hand."""
        self.change(self.chance.uniform(1, SECONDS_BUSY), self.chance.choice((0.02, 0.2, 1.0)))
        self.tag()

    def tag(self) -> None:
        """Give a label to some photos by hand, as soon as the library has caught up."""
        self.settle()
        photos = sorted(path for path in self.changes.photos if not self.changes.is_away(path))
        chosen = self.chance.sample(photos, min(5, len(photos)))
        label = self.chance.choice(LABELS)
        self.place.must("tag", "--add", label, *map(str, chosen))
        self.changes.label(chosen, label)
        self.counts["labels"] += len(chosen)

    def unplug(self, seconds: float) -> None:
        """Take a disk away while photos change on it and elsewhere, and bring it back."""
        disk = self.chance.choice(self.disks)
        self.settle()
        before = {path for path in self._rows() if path.is_relative_to(disk.point)}
        self.changes.away[disk.point] = disk.store
        disk.disconnect()
        self.change(seconds, 0.3)
        self.settle()
        if lost := before - self._rows().keys():
            raise Broken(f"{len(lost)} files of a disk that was away were removed, such as {min(lost)}")
        disk.connect()
        del self.changes.away[disk.point]
        self.settle()
        self.counts["disks"] += 1

    def kill(self) -> None:
        """Kill `watch` while photos change, change more, and start it again."""
        self.change(self.chance.uniform(0, 2), 0.02)
        time.sleep(self.chance.uniform(0, 1.5))
        self.process.send_signal(signal.SIGKILL)
        if self.process.wait() != -signal.SIGKILL:
            raise Broken(f"watch ended by itself: {self.output()[-2000:]}")
        self.counts["kills"] += 1
        if found := problems(self.place.library):
            raise Broken(f"after a kill: {'; '.join(found)}")
        self.change(1, 0.1)
        self.process = self._start()
        self.settle()

    def compare(self) -> int:
        """Compare the library with a new one of the same photos. Returns the number of photos. Raises Broken."""
        self.settle()
        fresh = self.place.now / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        self.place.must("index", "photos", "card", "--model", "tiny", "--library", str(fresh))
        for label in LABELS:
            paths = [str(path) for path, kept in self.changes.photos.items() if label in kept.labels]
            if paths:
                self.place.must("tag", "--add", label, *paths, "--library", str(fresh))
        found, expected = (self._comparable(library) for library in (self.place.library, fresh))
        if lines := problems(self.place.library) + differences(found, expected):
            raise Broken(f"not as a new library: {'; '.join(lines)}")
        self.counts["comparisons"] += 1
        return len(self.changes.photos)

    def _comparable(self, library: Path) -> Contents:
        return {
            subject: rows for subject, rows in contents(library, self.place.photos).items() if subject not in HISTORY
        }

    def stop(self) -> None:
        """End `watch` with SIGTERM. Raises Broken if it does not end cleanly."""
        self.process.terminate()
        code = self.process.wait(ENDS_S)
        if code or "Traceback" in self.output() or "Error:" in self.output():
            raise Broken(f"watch ended with {code}: {self.output()[-2000:]}")


def _text(path: bytes | str) -> str:
    return path if isinstance(path, str) else path.decode()
