"""Claim: an index run over 100,000 unchanged files takes at most 3 times as long as os.scandir and stat.

    python benchmarks/scan.py [--files 100000]

All run alternately in this process over the same files, and the best time of five is compared. The page cache is warm.
The scan alone, and a scan with patterns of what is left out, are printed too.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from searcher.catalog import Catalog
from searcher.catalog.rows import Content, Place
from searcher.library import Library
from searcher.photos.rules import FolderOptions
from searcher.photos.scan import FoundFile, scan

LIMIT = 3.0
FILES_A_FOLDER = 500


def make(root: Path, files: int) -> None:
    for start in range(0, files, FILES_A_FOLDER):
        folder = root / f"album {start // FILES_A_FOLDER:04}"
        folder.mkdir()
        for number in range(start, min(start + FILES_A_FOLDER, files)):
            (folder / f"IMG_{number:06}.JPG").touch()


def bare(root: bytes) -> int:
    """List every name and its status, which is the minimum work. Returns the number of files."""
    count, folders = 0, [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    entry.stat()
                    count += 1
    return count


def ours(root: bytes) -> int:
    return sum(isinstance(found, FoundFile) for found in scan(root))


def with_patterns(root: bytes) -> int:
    options = FolderOptions(("*.png", "Private/", "/drafts"))
    return sum(isinstance(found, FoundFile) for found in scan(root, options))


def fill(library: Path, root: bytes) -> None:
    """Let a catalog know all files, so that an index run has nothing to read."""
    with Catalog(library).write() as change:
        folder = change.files.add_root(root, whole=True)
        content = change.files.add_content(Content(b"0" * 16, 1, 1, "JPEG"))
        for found in scan(root):
            assert isinstance(found, FoundFile)
            change.files.put_image(Place(folder.id, found.relpath, found.size, found.mtime_ns), content)


def seconds(work: Callable[[bytes], int], root: bytes, files: int) -> float:
    start = time.perf_counter()
    assert work(root) == files
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    files = parser.parse_args().files
    folder = Path(tempfile.mkdtemp(prefix="searcher-scan-"))
    root, library = folder / "photos", Library.open(folder / "library", create=True)

    def second_run(root: bytes) -> int:
        return library.index(os.fsdecode(root)).unchanged

    works = {"scan": ours, "scan with patterns": with_patterns, "index run": second_run}
    try:
        root.mkdir()
        make(root, files)
        fill(folder / "library", os.fsencode(root))
        rounds = [[seconds(work, os.fsencode(root), files) for work in (bare, *works.values())] for _ in range(5)]
    finally:
        library.close()
        shutil.rmtree(folder)
    theirs, *mine = (min(column) for column in zip(*rounds, strict=True))
    print(f"{files:,} files: os.scandir + stat {theirs:.3f} s")
    for name, time_taken in zip(works, mine, strict=True):
        print(f"{name} {time_taken:.3f} s, ratio {time_taken / theirs:.2f}")
    return int(mine[-1] > LIMIT * theirs)


if __name__ == "__main__":
    sys.exit(main())
