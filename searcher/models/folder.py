"""A model on disk, read and checked. See `layout` for its files and `manifest` for its searcher.json."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from searcher.errors import NotFound
from searcher.models.layout import (
    CARD,
    CONFIG,
    MANIFEST,
    PREPROCESS,
    TEXTUAL,
    TOKENIZER,
    VISUAL,
    ModelError,
    check_sides,
    file_digest,
    model_files,
    read_config,
    read_preprocess,
    read_tokenizer_settings,
)
from searcher.models.manifest import Manifest, current_digest, read_manifest
from searcher.models.preprocess import Preprocess

REQUIRED = (CONFIG, PREPROCESS, TOKENIZER)
MAX_CARD = 1 << 20  # bytes of a model card that are read


@dataclass(frozen=True)
class ModelFolder:
    """The parsed and checked description of a model folder. It does not open an encoder.

    config: open_clip's model config. tokenizer_settings: empty if there are none. manifest: empty if there is none.
    """

    path: Path
    config: Mapping[str, Any]
    preprocess: Preprocess
    tokenizer_settings: Mapping[str, Any]
    manifest: Manifest

    @classmethod
    def read(cls, path: str | Path) -> "ModelFolder":
        """Read and check a folder.

        Raises NotFound if there is no folder, and ModelError with one line that names the broken or missing file.
        """
        path = Path(os.path.expanduser(path)).absolute()
        if not path.is_dir():
            raise NotFound(f"no model folder at {path}")
        try:
            _check_present(path)
            parts = (read_config(path), read_preprocess(path), read_tokenizer_settings(path), read_manifest(path))
            folder = cls(path, *parts)
            folder._check_encoders()
        except OSError as error:
            raise ModelError(f"model {path} cannot be read ({error.strerror or error})") from error
        return folder

    def _check_encoders(self) -> None:
        recorded = self.manifest.files
        for name in self.encoders(self.precision).values():
            file = self.path / name
            if not file.is_file():
                raise ModelError(f"model {self.path}: {name} is missing")
            size = file.stat().st_size
            if size == 0 or (name in recorded and size != recorded[name].bytes):
                expected = f" of {recorded[name].bytes}" if name in recorded else ""
                raise ModelError(f"model {self.path}: {name} is incomplete ({size}{expected} bytes)")

    @property
    def name(self) -> str:
        return self.manifest.name or self.path.name

    @property
    def dim(self) -> int:
        return int(self.config["embed_dim"])

    @property
    def image_size(self) -> int:
        """The shorter side of the image encoder's input, in pixels."""
        return min(self.preprocess.size)

    @property
    def card(self) -> str | None:
        """The text of the model card (README.md), or None if there is none. A very long one is cut."""
        file = self.path / CARD
        if not file.is_file():
            return None
        with file.open("rb") as opened:
            return opened.read(MAX_CARD).decode("utf-8", "replace")

    @property
    def precision(self) -> str:
        """The default precision."""
        return self.manifest.precision

    @property
    def precisions(self) -> Mapping[str, Mapping[str, str]]:
        """The files of each precision: {"float32": {"visual": path, "textual": path}, …}."""
        return self.manifest.precisions

    def encoders(self, precision: str) -> Mapping[str, str]:
        """The files of one precision: {"visual": path, "textual": path}, relative to the folder.

        Raises ModelError if the model does not have this precision.
        """
        found = self.precisions.get(precision)
        if found is None:
            known = ", ".join(sorted(self.precisions))
            raise ModelError(f"model {self.name} has no precision {precision!r} (available: {known})")
        return found

    @cached_property
    def digest(self) -> str:
        """Hex digest that identifies the embeddings, for the files as they are now. See `current_digest`.

        Raises ModelError if a file cannot be read.
        """
        try:
            return current_digest(self.path, self.manifest)
        except OSError as error:
            raise ModelError(f"model {self.path} cannot be read ({error.strerror or error})") from error

    @property
    def bytes(self) -> int:
        """Total size in bytes of the files that belong to the model."""
        if self.manifest.files:
            return sum(record.bytes for record in self.manifest.files.values())
        return sum(file.stat().st_size for file in model_files(self.path))

    def verify(self) -> list[str]:
        """Compare every file with its recorded digest. Returns one line per problem."""
        problems = []
        for name, record in self.manifest.files.items():
            file = self.path / name
            if not file.is_file():
                problems.append(f"{name} is missing")
            elif file_digest(file) != record.sha256:
                problems.append(f"{name} does not match its recorded digest")
        return problems


def slug(name: str) -> str:
    """Make `name` safe to use in a file name: only lower-case letters, digits and single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "model"


def _check_present(path: Path) -> None:
    if not any((path / name).exists() for name in (*REQUIRED, VISUAL, TEXTUAL, MANIFEST)):
        raise ModelError(f"{path} is not a model folder: it has no {CONFIG}, no {VISUAL} and no {TEXTUAL}")
    for name in REQUIRED:
        if not (path / name).is_file():
            raise ModelError(f"model {path}: {name} is missing")
    check_sides(path)
