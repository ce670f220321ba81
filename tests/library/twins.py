"""The same photos in a library folder and in Milvus Lite, and photos whose files are elsewhere."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from searcher import Library
from searcher.catalog.rows import ModelRow
from searcher.scale.milvus.address import read_address
from searcher.scale.milvus.connection import Connection
from searcher.scale.milvus.loading import load
from tests.histogram_model import COLOURS, HistogramModel
from tests.library.conftest import Album
from tests.scale.milvus.filling import FILES, copy_to_milvus, facts_of, key_of, write_shard


class Twins:
    """Four photos with tags, in `folder` and in `milvus` under the same ids. ids: name → id.

    far: another library in Milvus, of photos whose files are not in a folder here: see `_load_far`.
    """

    def __init__(self, folder: Path) -> None:
        self.model = HistogramModel()
        (folder / "photos").mkdir()
        self.folder = Library.open(folder / "library", model=self.model, create=True)
        self.album = Album(folder / "photos", self.folder, self.model)
        self.album.add("red.png", "red", 1)
        self.album.add("trips/green.png", "green", 2)
        _photo_of_paris(self.album.folder / "trips" / "blue.jpg")
        self.album.copy("red.png", "trips/copy of red.png")
        (self.album.folder / "broken.jpg").write_text("no picture")
        self.album.index()
        self.ids = self.album.ids()
        self.folder.tag(["red", "blue"])
        self.folder.add_tag("Rex", [self.ids["trips/green.png"]])
        catalog, row = self.folder._catalog, self.folder._model_row()
        self.address = f"milvus:{folder}/library.db/photos"
        copy_to_milvus(catalog, row, read_address(self.address), folder).close()
        self.milvus = Library.open(self.address, model=self.model)
        self.stored = webp("green")
        far_address = f"milvus:{folder}/library.db/far"
        self._load_far(folder, row, far_address)
        self.far = Library.open(far_address, model=self.model)

    def _load_far(self, folder: Path, row: ModelRow, address: str) -> None:
        """Photo 1 is at a URI that can be read, 2 is gone but has a thumbnail, 3 is gone and has none."""
        red = self.album.folder / "red.png"
        places = {red.as_uri(): None, "/elsewhere/green.png": self.stored, "gone://bucket/blue.png": None}
        vectors = self.model.encode_texts(["red", "green", "blue"])
        rows: list[Mapping[str, Any]] = [
            {"id": key_of(path.encode()), "path": path, "embedding": vector, "width": 30, "height": 20, "size": 99}
            | {"format": "PNG", "digest": f"{number:032x}", "thumbnail": thumbnail}
            for number, ((path, thumbnail), vector) in enumerate(zip(places.items(), vectors, strict=True))
        ]
        shard = write_shard(folder / "far.parquet", facts_of(row), rows, thumbnails=True)
        with closing(Connection(read_address(address))) as connection:
            load(FILES, [shard], connection)

    def close(self) -> None:
        for library in (self.far, self.milvus, self.folder):
            library.close()


@contextmanager
def twins_in(folder: Path) -> Iterator[Twins]:
    with closing(Twins(folder)) as twins:
        yield twins


def webp(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (256, 170), COLOURS[colour]).save(file, "WEBP")
    return file.getvalue()


def _photo_of_paris(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS 5"
    exif.get_ifd(0x8769)[0x9003] = "2023:06:05 10:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 21.0, 0.0)})
    Image.new("RGB", (30, 20), COLOURS["blue"]).save(path, exif=exif)
    os.utime(path, (1_600_000_000, 1_600_000_000))
