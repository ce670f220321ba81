"""A disk that becomes full or read-only during a run: a small file system in memory. Only root can mount it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.soak.interrupt import Broken, Trial
from tests.soak.place import Place

LARGE = 64 << 20  # bytes


def can_mount() -> bool:
    """Whether file systems can be mounted here."""
    return os.getuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@contextmanager
def small_disk(place: Place) -> Iterator[None]:
    """Put a file system of its own, as large as needed, at the folder `now`, with what was kept as "before"."""
    shutil.rmtree(place.now)
    place.now.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs", place.now], check=True)
    try:
        shutil.copytree(place.home / "before", place.now, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", place.now], check=True)


def remount(place: Place, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", place.now], check=True)


def fill_up(trial: Trial, spare: int) -> bool:
    """Run a job on a disk with `spare` bytes of space. Returns whether it was full. Raises Broken."""
    with small_disk(trial.place):
        disk = os.statvfs(trial.place.now)
        remount(trial.place, f"size={(disk.f_blocks - disk.f_bfree) * disk.f_frsize + spare}")
        done = trial.place.run(*trial.job.command)
        lines = done.stderr.splitlines()
        full = bool(lines) and ("is full" in lines[-1] or "No space left" in lines[-1])
        if done.returncode not in (0, 1) or (done.returncode == 1 and not (full and lines[-1].startswith("Error: "))):
            raise Broken(f"{trial.job.name}: {spare:,} bytes of space: exit code {done.returncode}: {done.stderr}")
        remount(trial.place, f"size={LARGE}")
        trial.verify(f"{spare:,} bytes of space")
    return done.returncode == 1


def make_read_only(trial: Trial) -> str:
    """Run a job on a read-only disk. Returns its only line. Raises Broken if it changes something or cannot search."""
    place = trial.place
    with small_disk(place):
        remount(place, "ro")
        done = place.run(*trial.job.command)
        if done.returncode != 1 or done.stdout or len(done.stderr.splitlines()) != 1:
            raise Broken(f"{trial.job.name}: read-only: exit code {done.returncode}: {done.stdout}{done.stderr}")
        if place.library.exists():
            place.must("search", "red")
            place.must("check")
        remount(place, "rw")
        trial.verify("a run on a read-only disk")
    return done.stderr.strip()
