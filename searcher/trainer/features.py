"""The features of a locked image trunk, computed once per photo and kept on disk.

A locked trunk gives the same features in every epoch, so they are computed once, for a few fixed views of each photo.
They lie in the user's cache folder, in one SQLite file per trunk, preprocessing and choice of views. A photo is
recognised by its content. A run that is stopped keeps what it has computed.
"""

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from searcher.errors import InvalidInput, SearcherError
from searcher.models.preprocess import Preprocess
from searcher.photos.cores import usable_cores
from searcher.photos.decode import PhotoError, content_digest, decode, read_bytes
from searcher.progress import SILENT, Progress
from searcher.trainer.distributed import Processes
from searcher.trainer.export import export_onnx
from searcher.trainer.locked import ImageTrunk, trunk_digest
from searcher.trainer.stop import ignore_interrupts

MARGIN = 1 / 8  # of each side, which the middle leaves out
VIEWS = ("whole", "middle")
MIRRORED = "-mirrored"
BATCH = 8  # photos that go through the trunk together
COMMIT_EVERY = 256  # photos

SCHEMA = "CREATE TABLE IF NOT EXISTS features (photo BLOB PRIMARY KEY, views BLOB NOT NULL) WITHOUT ROWID"


def cache_folder() -> Path:
    """The folder of all features: `features` in the user's cache folder. It can be deleted at any time."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("searcher", appauthor=False)) / "features"


def check_views(views: Sequence[str]) -> None:
    """Raises InvalidInput if there are no views, or if one is unknown or given twice."""
    known = [*VIEWS, *(view + MIRRORED for view in VIEWS)]
    for view in views:
        if view not in known:
            raise InvalidInput(f"no view named {view!r}: use one or more of {', '.join(known)}")
    if not views or len(set(views)) < len(views):
        raise InvalidInput("--views needs one or more different views")


def cut(image: Image.Image, view: str) -> Image.Image:
    """The part of an RGB image that a view shows."""
    if view.startswith("middle"):
        x, y = round(image.width * MARGIN), round(image.height * MARGIN)
        image = image.crop((x, y, max(x + 1, image.width - x), max(y + 1, image.height - y)))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.endswith(MIRRORED) else image


@dataclass(frozen=True)
class Trunk:
    """A locked image trunk, with what it is given of a photo.

    visual: the image tower of an open_clip model. preprocess: what search does with an image.
    """

    visual: nn.Module
    preprocess: Preprocess
    views: tuple[str, ...]
    processes: Processes

    def cache_file(self) -> Path:
        """The file that holds the features of this trunk and these views."""
        about = f"{trunk_digest(self.visual)} {sorted(asdict(self.preprocess).items())} {self.views} {MARGIN}"
        return cache_folder() / f"{hashlib.blake2b(about.encode(), digest_size=16).hexdigest()}.sqlite"

    def open_cache(self) -> "FeatureCache":
        return FeatureCache(self.cache_file(), len(self.views))

    def pixels(self, data: bytes) -> np.ndarray:
        """The views of an image file, float32 (views, 3, H, W). Raises PhotoError if it cannot be read."""
        image = decode(data, min_side=round(min(self.preprocess.size) / (1 - 2 * MARGIN))).image
        return np.stack([self.preprocess(cut(image, view)) for view in self.views])

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> np.ndarray:
        """Pixels (n, 3, H, W) on any device → features, float32 (n, f). For a GPU; on a CPU ONNX Runtime is faster."""
        features: np.ndarray = ImageTrunk(self.visual)(pixels.to(self.processes.device)).float().cpu().numpy()
        return features


class FeatureCache:
    """The features in one SQLite file, by the digest of the photo's content."""

    def __init__(self, file: Path, views: int) -> None:
        self.file, self.views = file, views
        self._connection: sqlite3.Connection | None = None
        file.parent.mkdir(parents=True, exist_ok=True)

    @property
    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self.file, timeout=60)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(SCHEMA)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def known(self) -> set[bytes]:
        """The digests of all photos in the file."""
        return {photo for (photo,) in self.connection.execute("SELECT photo FROM features")}

    def add(self, photos: Sequence[tuple[bytes, np.ndarray]]) -> None:
        """Add photos, each as (digest, features [views, f]), in one transaction."""
        rows = [(digest, np.asarray(features, "<f2").tobytes()) for digest, features in photos]
        with self.connection as transaction:
            transaction.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", rows)

    def __getitem__(self, digest: bytes) -> np.ndarray:
        """The features of a photo, float16 [views, f]."""
        row = self.connection.execute("SELECT views FROM features WHERE photo = ?", (digest,)).fetchone()
        return np.frombuffer(row[0], "<f2").reshape(self.views, -1)


class _Photos(Dataset[tuple[bytes | None, Any]]):
    """Image files → (digest, value). The value is None for a known photo, and the digest for an unreadable file.

    The value is the features of the views if there is an ONNX file of the trunk, and otherwise their pixels.
    """

    def __init__(self, trunk: Trunk, files: Sequence[str], known: set[bytes], encoder: Path | None) -> None:
        self.trunk, self.files, self.known, self.encoder = trunk, files, known, encoder
        self._session: onnxruntime.InferenceSession | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[bytes | None, Any]:
        try:
            data = read_bytes(os.fsencode(self.files[number]))
            digest = content_digest(data)
            if digest in self.known:
                return digest, None
            pixels = self.trunk.pixels(data)
        except PhotoError:
            return None, None
        return digest, pixels if self.encoder is None else self._features(pixels)

    def _features(self, pixels: np.ndarray) -> np.ndarray:
        if self._session is None:  # in the worker process: one thread each is faster than two for all
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(str(self.encoder), options, providers=["CPUExecutionProvider"])
        features: np.ndarray = self._session.run(None, {self._session.get_inputs()[0].name: pixels})[0]
        return features


def compute(trunk: Trunk, files: Sequence[str], progress: Progress = SILENT) -> "Features":
    """The features of image files. Those that are not in the cache yet are computed, and added to it.

    Each process computes a share. Raises SearcherError if the trunk cannot be exported, or the cache not be written.
    """
    processes = trunk.processes
    try:
        with tempfile.TemporaryDirectory(prefix="searcher-") as scratch, closing(trunk.open_cache()) as cache:
            encoder = None
            if processes.device.type == "cpu":
                encoder = Path(scratch) / "trunk.onnx"
                export_onnx(ImageTrunk(trunk.visual), torch.rand(2, 3, *trunk.preprocess.size), encoder, "image")
            own = files[processes.rank :: processes.count]
            parts = processes.collect(list(_digests(trunk, own, cache, encoder, progress)))
    except sqlite3.Error as error:
        raise SearcherError(f"cannot use the features in {trunk.cache_file()} ({error}): delete it") from error
    digests: list[bytes | None] = [None] * len(files)
    for rank, part in enumerate(parts):
        digests[rank :: processes.count] = part
    return Features(trunk.open_cache(), digests)


def _digests(
    trunk: Trunk, files: Sequence[str], cache: FeatureCache, encoder: Path | None, progress: Progress
) -> Iterator[bytes | None]:
    """The digest of each file, None for an unreadable one. Features that the cache lacks are added to it."""
    photos = _Photos(trunk, files, cache.known(), encoder)
    workers = max(1, usable_cores() // trunk.processes.count)
    loader: Any = DataLoader(
        photos, batch_size=BATCH, num_workers=workers, collate_fn=list, worker_init_fn=ignore_interrupts
    )
    new: list[tuple[bytes, np.ndarray]] = []
    done = 0
    for batch in loader:
        for digest, value in batch:
            if value is not None:
                new.append((digest, trunk(torch.from_numpy(value)) if encoder is None else value))
            yield digest
        done += len(batch)
        if len(new) >= COMMIT_EVERY or done == len(files):
            cache.add(new)
            new = []
        progress.advance(done, len(files))


class Features:
    """The features of the records of a run. None if a record's photo cannot be read."""

    def __init__(self, cache: FeatureCache, digests: Sequence[bytes | None]) -> None:
        self.cache, self.digests = cache, digests

    def __getitem__(self, record: int) -> np.ndarray | None:
        """The features of a record's photo, float16 [views, f]."""
        digest = self.digests[record]
        return None if digest is None else self.cache[digest]
