"""Several processes that use one library, killed processes, and the modules that a process loads."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from searcher import Library
from searcher.catalog import Catalog
from searcher.catalog.connect import CATALOG_NAME
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album

CHECKOUT = Path(__file__).parents[2]
INDEX = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background ignores SIGINT
from searcher import Library
from tests.histogram_model import HistogramModel
from tests.watcher import Watcher

class Slow(HistogramModel):
    def encode_pixels(self, batch):
        time.sleep(float(sys.argv[3]))
        return super().encode_pixels(batch)

def progress(done, total):
    if total:
        print(done, flush=True)

with Library.open(sys.argv[1], model=Slow(), create=True) as library:
    report = library.index(sys.argv[2], progress=Watcher(progress))
    print("report", report.added, report.unchanged)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )


def wait_for(process: subprocess.Popen[str], done: int) -> None:
    """Wait until the index run reports that it has committed `done` files."""
    assert process.stdout
    for line in process.stdout:
        if line.split()[0].isdigit() and int(line) >= done:
            return
    pytest.fail(process.communicate()[1])


@pytest.fixture
def many(album: Album) -> Album:
    """An album of 320 photos that are not indexed."""
    for number in range(320):
        album.add(f"{number:03}.png", "red", number)
    return album


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_keeps_committed_batches_and_the_next_run_continues(many: Album, how: int) -> None:
    process = start(INDEX, many.library.folder, many.folder, 0.05)
    wait_for(process, 96)
    process.send_signal(how)
    process.communicate()
    assert process.returncode != 0
    with Library.open(many.library.folder, model=many.model) as library:
        done = library.status().images
        assert 96 <= done < 320 and done % 32 == 0
        assert len(library.search("red", top=1000)) == done
        assert library.check().ok
    report = many.index()
    assert (report.added, report.unchanged, many.model.encoded) == (320 - done, done, 320 - done)
    assert many.library.check().ok
    assert {path.suffix for path in many.library.folder.iterdir()} >= {".sqlite", ".faiss"}
    assert not list(many.library.folder.glob("*.new"))


def test_a_run_killed_at_any_moment_leaves_an_intact_library(many: Album) -> None:
    for pause in (0.0, 0.02, 0.05, 0.11, 0.17):
        process = start(INDEX, many.library.folder, many.folder, 0.001)
        assert process.stdout
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.communicate()
        with Library.open(many.library.folder, model=many.model) as library:
            assert library.check().ok
            assert len(library.search("red", top=1000)) == library.status().images
    many.index()
    assert many.library.status().images == 320


def test_three_concurrent_runs_miss_nothing_and_make_no_duplicates(many: Album) -> None:
    processes = [start(INDEX, many.library.folder, many.folder, 0.002) for _ in range(3)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    with Library.open(many.library.folder, model=many.model) as library:
        status = library.status()
        assert (status.images, status.failed) == (320, 0)
        assert len(library.search("red", top=1000)) == 320
        assert library.check().ok
    reported = [[int(n) for n in output.splitlines()[-1].split()[1:]] for output, _ in outputs]
    assert sum(added for added, _ in reported) == 320
    assert all(added + unchanged == 320 for added, unchanged in reported)


def test_a_reader_sees_only_complete_batches_while_another_process_writes(many: Album) -> None:
    with Catalog(many.library.folder).write():
        pass
    process = start(INDEX, many.library.folder, many.folder, 0.02)
    wait_for(process, 32)
    seen = set()
    with Library.open(many.library.folder, model=many.model) as library:
        while process.poll() is None:
            seen.add(len(library.search("red", top=1000)))
    process.communicate()
    assert seen and all(count % 32 == 0 for count in seen)
    assert len(seen) > 1


def test_a_reader_removes_the_journal_of_a_killed_writer(many: Album) -> None:
    process = start(INDEX, many.library.folder, many.folder, 0.05)
    wait_for(process, 64)
    process.kill()
    process.communicate()
    assert (many.library.folder / f"{CATALOG_NAME}-wal").exists()
    with Library.open(many.library.folder, model=many.model) as library:
        assert library.status().images >= 64
    assert not (many.library.folder / f"{CATALOG_NAME}-wal").exists()


SECOND = """
import sys
from searcher import Library
with Library.open(sys.argv[1]) as library:
    print(library.index(sys.argv[2]).unchanged)
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_run_without_changes_loads_no_heavy_modules(many: Album) -> None:
    many.index()
    output, errors = start(SECOND, many.library.folder, many.folder).communicate()
    assert output.startswith("320\n"), errors
    assert not {"numpy", "sqlalchemy", "faiss", "onnxruntime", "PIL", "rich"} & set(output.split())


SEARCH = """
import sys
from searcher import Library
from tests.histogram_model import HistogramModel
with Library.open(sys.argv[1], model=HistogramModel()) as library:
    print(len(library.search("red")))
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_search_does_not_load_sqlalchemy(many: Album) -> None:
    many.index()
    output, errors = start(SEARCH, many.library.folder).communicate()
    assert output.startswith("20\n"), errors
    assert "faiss" in output.split()
    assert "sqlalchemy" not in output.split()


# On Linux, getrusage reports the parent's maximum if that was larger, and pytest may have loaded torch. VmHWM counts
# only this process.
PEAK = """
import resource
try:
    lines = open("/proc/self/status").read().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
print("peak", peak)
"""


@pytest.mark.slow
def test_memory_use_does_not_grow_with_the_size_of_the_folder(album: Album) -> None:
    """The pictures are large. All of them together would take 1.2 GB of memory."""
    from PIL import Image

    for number in range(100):
        Image.new("RGB", (2000 + number, 2000)).save(album.folder / f"{number}.bmp")
    output, errors = start(INDEX + PEAK, album.library.folder, album.folder, 0).communicate()
    assert "report 100 0" in output, errors
    assert int(output.split()[-1]) < 500e6


def test_two_libraries_in_one_process_are_independent(tmp_path: Path, album: Album) -> None:
    album.add("red.png")
    album.index()
    with Library.open(tmp_path / "second", model=HistogramModel(), create=True) as other:
        other.index(album.folder)
        album.add("blue.png", "blue")
        album.index()
        assert (other.status().images, album.library.status().images) == (1, 2)
