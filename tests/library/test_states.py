"""After any changes to the files and an index run, searches find exactly the photos on the disk."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image

from searcher import Library
from searcher.catalog import Catalog
from tests.histogram_model import COLOURS, HistogramModel

NAMES = st.sampled_from(["a.png", "b.png", "sub/a.png", "sub/b.png", "sub/deep/c.png", "d\udcff.png"])
CONTENTS = st.integers(0, 7)
BROKEN = 7  # this content is not a picture


def photo(content: int) -> tuple[str, tuple[int, int]]:
    """Return the colour and size of a content. Several contents have the same colour."""
    return list(COLOURS)[content % 4], (10 + content, 10)


class Folder(RuleBasedStateMachine):
    """`disk`: the content of each file now. `seen`: the content of each file at the last run."""

    @initialize()
    def empty(self) -> None:
        self.home = Path(mkdtemp(prefix="searcher-states-"))
        self.photos = self.home / "photos"
        self.photos.mkdir()
        (self.photos / "notes.txt").touch()  # without it, a folder without photos would look like a missing disk
        self.model = HistogramModel()
        self.library = Library.open(self.home / "library", model=self.model, create=True)
        self.clock = 1_600_000_000
        self.disk: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.fresh = True

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.home)

    def touch(self, name: str) -> None:
        self.clock += 10
        os.utime(self.photos / name, (self.clock, self.clock))

    @rule(name=NAMES, content=CONTENTS)
    def write(self, name: str, content: int) -> None:
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == BROKEN:
            path.write_text("no picture")
        else:
            colour, size = photo(content)
            Image.new("RGB", size, COLOURS[colour]).save(path)
        self.touch(name)
        self.disk[name] = content
        self.fresh = False

    @precondition(lambda self: self.disk)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.disk)))
        (self.photos / name).unlink()
        del self.disk[name]
        self.fresh = False

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), goal=NAMES, keep_time=st.booleans())
    def move(self, data: st.DataObject, goal: str, keep_time: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.disk)))
        (self.photos / goal).parent.mkdir(parents=True, exist_ok=True)
        (self.photos / name).replace(self.photos / goal)
        if not keep_time:
            self.touch(goal)
        self.disk[goal] = self.disk.pop(name)
        self.fresh = False

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), goal=NAMES)
    def copy(self, data: st.DataObject, goal: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.disk)))
        if name != goal:
            (self.photos / goal).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.photos / name, self.photos / goal)
            self.touch(goal)
            self.disk[goal] = self.disk[name]
            self.fresh = False

    @precondition(lambda self: self.disk)
    @rule(data=st.data())
    def touch_one(self, data: st.DataObject) -> None:
        self.touch(data.draw(st.sampled_from(sorted(self.disk))))

    @rule(reopen=st.booleans(), parts=st.booleans())
    def index(self, reopen: bool, parts: bool) -> None:
        if reopen and self.library.exists:
            self.library.close()
            self.library = Library.open(self.home / "library", model=self.model)
        before = dict(self.seen)
        if parts and (self.photos / "sub").is_dir():
            self.library.index(self.photos / "sub")  # indexing a part first must not change the outcome
        report = self.library.index(self.photos)
        good = {name: content for name, content in self.disk.items() if content != BROKEN}
        assert report.failed == len(self.disk) - len(good)
        assert {os.path.relpath(failure.path, self.photos) for failure in report.failures} == set(self.disk) - set(good)
        if not parts:
            assert report.added + report.changed + report.moved + report.unchanged == len(good)
            if before == self.disk:
                assert (report.added, report.changed, report.moved, report.removed) == (0, 0, 0, 0)
            assert len(before_good(before)) + report.added - report.removed >= len(good) - report.moved
        self.seen = dict(self.disk)
        self.fresh = True

    @precondition(lambda self: self.fresh and self.library.exists)
    @invariant()
    def what_is_on_the_disk_is_what_is_found(self) -> None:
        status = self.library.status()
        expected: dict[int, set[str]] = {}
        for name, content in self.disk.items():
            if content != BROKEN:
                expected.setdefault(content, set()).add(name)
        assert status.images == sum(map(len, expected.values()))
        assert status.failed == sum(content == BROKEN for content in self.disk.values())
        if not expected:
            return
        hits = self.library.search(" ".join(COLOURS), top=100)
        found = [{os.path.relpath(path, self.photos) for path in (hit.path, *hit.copies)} for hit in hits]
        assert sorted(map(sorted, found)) == sorted(map(sorted, expected.values()))
        for colour in COLOURS:
            named = {hit.path for hit in self.library.search(colour, top=100) if hit.score > 0.5}
            wanted = {min(names) for content, names in expected.items() if photo(content)[0] == colour}
            assert len(named) == len(wanted)
        with Catalog(self.library.folder).read() as view:
            row = view.models.current()
            assert row is not None
            assert view.embeddings.count(row.id) == len(expected)


def before_good(before: dict[str, int]) -> list[str]:
    return [name for name, content in before.items() if content != BROKEN]


TestFolder = Folder.TestCase
TestFolder.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
