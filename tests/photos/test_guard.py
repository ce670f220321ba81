"""Files that may take long are decoded in worker processes: with the same result, but they can be ended."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl
import psutil
import pytest
from PIL import Image

from searcher import Library
from searcher.photos import guard
from searcher.photos.decode import PhotoError, Unavailable, decode, open_photo
from searcher.photos.guard import Stopped, decode_guarded
from tests.histogram_model import HistogramModel
from tests.photos.files import picture, png, saved

pillow_heif.register_heif_opener()
assert pillow_jxl  # registers itself with Pillow

CHECKOUT = Path(__file__).parents[2]
SMALL = png(picture())
LARGE = saved(Image.new("RGB", (5001, 5000)), "PNG", compress_level=1)  # more than LARGE_PIXELS


def slow() -> bytes:
    """A JPEG of 98 megapixels in 90 scans. It has 0.6 MB and takes six seconds on a fast machine."""
    data = saved(Image.new("RGB", (9900, 9900), "red"), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 80 + data[-2:]


@pytest.fixture(scope="module")
def slow_jpeg() -> bytes:
    return slow()


def worker_processes(parent: int | None = None) -> set[psutil.Process]:
    """The running workers of a process. Without `parent`, those of this one."""
    found = set()
    for child in psutil.Process(parent).children():
        try:
            if "searcher.photos.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.add(child)
        except psutil.Error:
            pass
    return found


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], set[psutil.Process]]]:
    """Give each test its own workers. Returns those that run now."""
    own, others = guard._Workers(), worker_processes()
    monkeypatch.setattr(guard, "_workers", lambda: own)
    yield lambda: worker_processes() - others
    own.close()
    assert worker_processes() <= others


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until a condition holds, and return its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    pytest.fail(f"did not happen within {seconds} s")


def start(
    code: str, *arguments: object, options: tuple[str, ...] = (), cwd: Path | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *options, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )


def with_exif(kind: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif.update({0x010F: "Canon", 0x0110: "EOS", 0x0112: 6})
    exif.get_ifd(0x8769)[0x9003] = "2023:06:01 12:34:56"
    exif.get_ifd(0x8825).update({1: "N", 2: (50.0, 5.0, 15.0), 3: "E", 4: (14.0, 25.0, 12.0)})
    return saved(picture(width=480, height=301), kind, exif=exif.tobytes(), **options)


# --- the same results


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("HEIF", {}),
        ("AVIF", {}),
        ("BMP", {}),
        ("PPM", {}),
        ("JPEG2000", {}),
        ("JXL", {}),
        ("JPEG", {"progressive": True}),
    ],
)
def test_a_worker_gives_the_same_image_and_facts(
    kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, workers: Callable[[], set[psutil.Process]]
) -> None:
    data = with_exif(kind, **options)
    monkeypatch.setattr(guard, "decodes_quickly", lambda data: False)
    for min_side in (None, 40):
        mine, theirs = decode(data, min_side), decode_guarded(data, min_side)
        assert theirs.facts == mine.facts
        assert (theirs.image.mode, theirs.image.size) == (mine.image.mode, mine.image.size)
        assert theirs.image.tobytes() == mine.image.tobytes()
    assert len(workers()) == 1
    if kind not in ("GIF", "BMP", "PPM", "JPEG2000", "JXL"):
        assert (theirs.metadata.camera, str(theirs.metadata.taken_at)) == ("Canon EOS", "2023-06-01 12:34:56")
        assert (theirs.metadata.latitude, theirs.metadata.longitude) == pytest.approx((50.0875, 14.42))
        assert (theirs.width, theirs.height) == (301, 480)


def test_a_worker_gives_the_same_errors(workers: Callable[[], set[psutil.Process]]) -> None:
    files = [b"", b"no picture", b"8BPS\0\1" + bytes(100), b"II*\0\x08\0\0\0" + bytes(100), b"\0\0\0\x18ftypisom"]
    files += [saved(picture(), kind)[:-200] for kind in ("PNG", "TIFF", "GIF", "WEBP", "HEIF")]
    files += [saved(picture(), "JPEG")[:100], png(picture(), wrong=1)]
    for data in files:
        with pytest.raises(PhotoError) as mine:
            decode(data)
        with pytest.raises(PhotoError) as theirs:
            decode_guarded(data)
        assert (str(theirs.value), theirs.value.reason) == (str(mine.value), mine.value.reason)
    assert len(workers()) == 1


@pytest.mark.parametrize("data", [SMALL, saved(picture(), "JPEG")])
def test_min_side_below_one_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="min_side"):
        decode_guarded(data, 0)


def test_an_ordinary_jpeg_needs_no_worker(workers: Callable[[], set[psutil.Process]]) -> None:
    assert decode_guarded(saved(picture(), "JPEG")).width == 97
    assert not workers()


# --- what takes too long, is stopped, or is killed


def test_a_file_that_takes_too_long_is_ended_and_the_next_gets_a_new_process(
    slow_jpeg: bytes, workers: Callable[[], set[psutil.Process]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_guarded(SMALL)
    (first,) = workers()
    with monkeypatch.context() as patch:
        patch.setattr(guard, "MAX_SECONDS", 1.0)
        start = time.monotonic()
        with pytest.raises(PhotoError, match=r"^takes longer than 1 s to decode$"):
            decode_guarded(slow_jpeg, 224)
        assert time.monotonic() - start < 3
    assert not first.is_running()
    assert decode_guarded(SMALL).width == 97
    (second,) = workers()
    assert second != first


def test_a_path_is_named_in_the_error_of_a_slow_file(
    tmp_path: Path, slow_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.jpg").write_bytes(slow_jpeg)
    decode_guarded(SMALL)
    monkeypatch.setattr(guard, "MAX_SECONDS", 0.5)
    with pytest.raises(PhotoError, match=r"slow\.jpg: takes longer than"):
        open_photo(tmp_path / "slow.jpg", 224)


def test_stop_ends_the_wait_and_the_process(slow_jpeg: bytes, workers: Callable[[], set[psutil.Process]]) -> None:
    stop, stopped_at = threading.Event(), []

    def stop_soon() -> None:
        until(workers)
        time.sleep(0.3)
        stopped_at.append(time.monotonic())
        stop.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(stop_soon)
        with pytest.raises(Stopped):
            decode_guarded(slow_jpeg, 224, stop)
        assert time.monotonic() - stopped_at[0] < 1
    assert not workers()
    with pytest.raises(Stopped):
        decode_guarded(SMALL, None, stop)


def test_a_worker_that_is_killed_while_it_decodes_is_a_photo_error(
    slow_jpeg: bytes, workers: Callable[[], set[psutil.Process]]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(decode_guarded, slow_jpeg, 224)
        (worker,) = until(workers)
        until(lambda: worker.memory_info().rss > 300e6)  # the coefficients
        worker.kill()
        with pytest.raises(PhotoError, match="the decoder crashed"):
            result.result(timeout=2)
    assert decode_guarded(SMALL).width == 97


def test_a_worker_that_is_killed_while_it_is_idle_is_replaced_and_leaves_no_file_open(
    workers: Callable[[], set[psutil.Process]],
) -> None:
    decode_guarded(SMALL)
    before = psutil.Process().num_fds()
    for _ in range(3):
        (worker,) = workers()
        worker.kill()
        until(lambda: not workers())
        assert decode_guarded(SMALL).width == 97
    assert psutil.Process().num_fds() == before


def test_a_worker_that_does_not_start_is_not_the_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = psutil.Process().num_fds()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(Unavailable, match="does not start"):
            decode_guarded(SMALL)
        patch.setattr(sys, "executable", "/absent/python")
        with pytest.raises(Unavailable, match=r"cannot start .*: No such file"):
            decode_guarded(SMALL)
    assert psutil.Process().num_fds() == before


def test_a_worker_that_dies_between_two_files_is_replaced(workers: Callable[[], set[psutil.Process]]) -> None:
    assert decode_guarded(SMALL).width == 97
    (worker,) = workers()
    worker.send_signal(signal.SIGSTOP)  # it takes the next request, but does not begin
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(decode_guarded, SMALL)
        time.sleep(0.3)
        worker.kill()
        assert result.result(timeout=20).width == 97


def test_waiting_for_another_large_picture_does_not_count_as_time(monkeypatch: pytest.MonkeyPatch) -> None:
    decode_guarded(SMALL)
    monkeypatch.setattr(guard, "MAX_SECONDS", 2.0)
    lock = guard._workers()._large_lock.descriptor
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        fcntl.lockf(lock, fcntl.LOCK_EX)  # this process is the other worker
        waiting, stopped = pool.submit(decode_guarded, LARGE, 224), pool.submit(decode_guarded, LARGE, 224, stop)
        time.sleep(3)
        assert decode_guarded(SMALL).width == 97  # small pictures need not wait
        assert not waiting.done()
        stop.set()
        with pytest.raises(Stopped):
            stopped.result(timeout=1)
        fcntl.lockf(lock, fcntl.LOCK_UN)
        assert waiting.result(timeout=10).width == 5001


def test_a_killed_worker_lets_the_next_decode_a_large_picture(
    slow_jpeg: bytes, workers: Callable[[], set[psutil.Process]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_guarded(SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(guard, "MAX_SECONDS", 0.7)
        with pytest.raises(PhotoError, match="takes longer"):
            decode_guarded(slow_jpeg, 224)
    assert decode_guarded(LARGE, 224).width == 5001


# --- many at once


def test_eight_threads_decode_at_once_and_each_gets_its_own_picture(workers: Callable[[], set[psutil.Process]]) -> None:
    colours = [(number * 5, 255 - number * 5, number) for number in range(40)]
    files = [saved(Image.new("RGB", (200 + number, 150), colour), "PNG") for number, colour in enumerate(colours)]
    with ThreadPoolExecutor(8) as pool:
        photos = [*pool.map(decode_guarded, files)]
    assert [photo.width for photo in photos] == [*range(200, 240)]
    assert [tuple(np.asarray(photo.image)[7, 7]) for photo in photos] == colours
    assert len(workers()) <= 8


def test_idle_workers_are_used_again(workers: Callable[[], set[psutil.Process]]) -> None:
    for number in range(20):
        assert decode_guarded(SMALL, None if number % 2 else 5).width == 97
    (first,) = workers()
    with ThreadPoolExecutor(3) as pool:
        assert len([*pool.map(decode_guarded, [SMALL] * 20)]) == 20
    assert first in workers()
    assert len(workers()) <= 3


# --- what other processes and the user see

DECODE = """
import sys, time
from searcher.photos.decode import PhotoError, open_photo
for path in sys.argv[1:]:
    try:
        print(open_photo(path).width)
    except PhotoError:
        print("error")
"""


def test_an_idle_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(SMALL)
    process = start(DECODE + "print('done', flush=True); time.sleep(60)", tmp_path / "a.png")
    assert process.stdout
    assert [process.stdout.readline(), process.stdout.readline()] == ["97\n", "done\n"]
    (worker,) = worker_processes(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, seconds=5)


def test_nothing_is_printed_and_no_worker_is_left_at_exit(tmp_path: Path) -> None:
    tiff = saved(picture(), "TIFF", compression="tiff_lzw")
    files = [SMALL, b"no picture", SMALL[:-100], tiff, tiff[:-400], tiff[:300] + b"\xff" * 3000 + tiff[3300:]]
    for number, data in enumerate(files):
        (tmp_path / f"{number}.png").write_bytes(data)
    code = "import psutil\n" + DECODE + "print([child.pid for child in psutil.Process().children()])"
    process = start(code, *sorted(tmp_path.iterdir()), options=("-W", "error::ResourceWarning"))
    output, errors = process.communicate(timeout=60)
    assert (errors, process.returncode) == ("", 0)
    *results, pids = output.splitlines()
    assert results[:2] == ["97", "error"]
    assert len(results) == len(files)
    (worker,) = (int(pid) for pid in pids.strip("[]").split(","))
    assert not psutil.pid_exists(worker)


def test_a_worker_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    """The current folder may be a folder of downloads. Python looks there first if a module is run by name."""
    for name in ("resource", "dataclasses", "searcher", "PIL"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w').close()")
    (tmp_path / "a.png").write_bytes(SMALL)
    output, errors = start(DECODE, "a.png", options=("-P",), cwd=tmp_path).communicate(timeout=60)
    assert (output, errors) == ("97\n", "")
    assert not (tmp_path / "executed").exists()


INDEX = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background ignores SIGINT
from searcher import Library
from tests.histogram_model import HistogramModel
from tests.watcher import Watcher

def progress(done, total):
    if total:
        print(done, flush=True)

with Library.open(sys.argv[1], model=HistogramModel(), create=True) as library:
    library.index(*sys.argv[2:], progress=Watcher(progress))
"""


def test_ctrl_c_ends_a_run_that_waits_for_a_slow_file_and_keeps_the_others(tmp_path: Path, slow_jpeg: bytes) -> None:
    photos, other = tmp_path / "a", tmp_path / "b"
    for folder in (photos, other):
        folder.mkdir()
    for number in range(32):  # a batch
        (photos / f"{number}.png").write_bytes(saved(Image.new("RGB", (20 + number, 20)), "PNG"))
    (other / "slow.jpg").write_bytes(slow_jpeg)
    process = start(INDEX, tmp_path / "library", photos, other)
    assert process.stdout
    for line in process.stdout:
        if line == "32\n":
            break
    time.sleep(0.3)
    started = worker_processes(process.pid)
    assert started
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - began < 2
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors
    assert errors.count("Traceback") == 1
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in started)
    with Library.open(tmp_path / "library", model=HistogramModel()) as library:
        assert (library.status().images, library.status().failed) == (32, 0)
        assert library.check().ok
