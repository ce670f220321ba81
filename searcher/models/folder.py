"""A model on disk: the layout that Immich publishes for open_clip models, plus searcher's own `searcher.json`.

    config.json                       open_clip's model config
    visual/model.onnx                 image float32 (b, 3, H, W) → (b, dim)
    visual/preprocess_cfg.json        open_clip's preprocessing
    textual/model.onnx                token ids int32 or int64 (b, context) → (b, dim)
    textual/tokenizer.json            for the `tokenizers` library
    textual/tokenizer_config.json     its padding token (optional)
    searcher.json                     name, precision, digests, logit scale, … (missing if another program made
                                      the folder)

Encoders in other precisions are in the same folders (`visual/model.int8.onnx`) and are listed in `searcher.json`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from searcher.errors import SearcherError

MANIFEST = "searcher.json"
FORMAT = 1
VISUAL = "visual/model.onnx"
TEXTUAL = "textual/model.onnx"
PREPROCESS = "visual/preprocess_cfg.json"
TOKENIZER = "textual/tokenizer.json"
TOKENIZER_SETTINGS = "textual/tokenizer_config.json"
CONFIG = "config.json"
CARD = "README.md"
REQUIRED = (CONFIG, PREPROCESS, TOKENIZER)
FLOAT32 = {"visual": VISUAL, "textual": TEXTUAL}
# The facts that `write_manifest` accepts besides the name and the precision.
FACTS = (
    "version",
    "description",
    "source",
    "logit_scale",
    "logit_bias",
    "thresholds",
    "languages",
    "licence",
    "drift",
    "digest",
    "precisions",
)


class ModelError(SearcherError):
    """A model does not exist, or its folder is broken."""


@dataclass(frozen=True)
class ModelFolder:
    """The parsed and checked description of a model folder. It does not open an encoder."""

    path: Path
    config: Mapping[str, Any]
    preprocess_config: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> "ModelFolder":
        """Read and check a folder. Raises ModelError with one line that names the broken or missing file."""
        path = Path(path).expanduser().absolute()
        if not path.is_dir():
            raise ModelError(f"no model folder at {path}")
        present = [name for name in (*REQUIRED, VISUAL, TEXTUAL, MANIFEST) if (path / name).exists()]
        if not present:
            raise ModelError(f"{path} is not a model folder: it has no {CONFIG}, no {VISUAL} and no {TEXTUAL}")
        for name in REQUIRED:
            if not (path / name).is_file():
                raise ModelError(f"model {path}: {name} is missing")
        manifest = read_json(path, MANIFEST) if (path / MANIFEST).is_file() else {}
        folder = cls(path, read_json(path, CONFIG), read_json(path, PREPROCESS), manifest)
        folder._check()
        return folder

    def _check(self) -> None:
        if self.manifest.get("format", FORMAT) > FORMAT:
            raise ModelError(f"model {self.path} was written by a newer version of searcher; upgrade searcher")
        for key in ("embed_dim", "vision_cfg", "text_cfg"):
            if key not in self.config:
                raise ModelError(f"model {self.path}: {CONFIG} is not an open_clip model config ({key!r} is missing)")
        if not isinstance(self.config["embed_dim"], int) or not isinstance(self.config["text_cfg"], dict):
            raise ModelError(f"model {self.path}: {CONFIG} is not an open_clip model config")
        listed = self.manifest.get("files", {})
        for name in self.encoders(self.precision).values():
            file = self.path / name
            if not file.is_file():
                raise ModelError(f"model {self.path}: {name} is missing")
            size = file.stat().st_size
            if size == 0 or (name in listed and size != listed[name]["bytes"]):
                expected = f" of {listed[name]['bytes']}" if name in listed else ""
                raise ModelError(f"model {self.path}: {name} is incomplete ({size}{expected} bytes)")

    @property
    def name(self) -> str:
        return str(self.manifest.get("name") or self.path.name)

    @property
    def dim(self) -> int:
        return int(self.config["embed_dim"])

    @property
    def image_size(self) -> int:
        """The shorter side of the image encoder's input, in pixels."""
        size = self.preprocess_config.get("size") or 224
        return int(min(size) if isinstance(size, list) else size)

    @property
    def card(self) -> str | None:
        """The text of the model card (README.md), or None if there is none."""
        file = self.path / CARD
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

    @property
    def precision(self) -> str:
        """The default precision."""
        return str(self.manifest.get("precision", "float32"))

    @property
    def precisions(self) -> dict[str, dict[str, str]]:
        """The files of each precision: {"float32": {"visual": path, "textual": path}, …}."""
        return dict(self.manifest.get("precisions") or {"float32": FLOAT32})

    def encoders(self, precision: str) -> dict[str, str]:
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
        """Hex digest of the float32 encoders, the preprocessing and the tokenizer.

        It is read from the manifest. If it is not recorded there, it is computed.
        """
        recorded = self.manifest.get("digest")
        return str(recorded) if recorded else model_digest(self.path)

    @property
    def bytes(self) -> int:
        """Total size in bytes of the files that belong to the model."""
        names = self.manifest.get("files")
        if names:
            return sum(int(entry["bytes"]) for entry in names.values())
        return sum(file.stat().st_size for file in model_files(self.path))

    def verify(self) -> list[str]:
        """Compare every file with its recorded digest. Returns one line per problem."""
        problems = []
        for name, entry in self.manifest.get("files", {}).items():
            file = self.path / name
            if not file.is_file():
                problems.append(f"{name} is missing")
            elif file_digest(file) != entry["sha256"]:
                problems.append(f"{name} does not match its recorded digest")
        return problems


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from `folder/name`. Raises ModelError if it cannot be read or is not a JSON object."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"model {folder}: {name} cannot be read ({_short(error)})") from error
    if not isinstance(found, dict):
        raise ModelError(f"model {folder}: {name} is not a JSON object")
    return found


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def slug(name: str) -> str:
    """Make `name` safe to use in a file name: only lower-case letters, digits and single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "model"


def file_digest(path: Path) -> str:
    """SHA-256 digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files of a model folder that a search needs or may need, in a fixed order, without the manifest."""
    found = [folder / CONFIG]
    for side in ("visual", "textual"):
        found += sorted(file for file in (folder / side).glob("*") if file.is_file())
    return [file for file in found if file.is_file() and not file.name.startswith(".")]


def model_digest(folder: Path) -> str:
    """Hex digest of everything that determines an embedding.

    This is the float32 encoders (including external data), the preprocessing and the tokenizer. Call it
    before the encoders are quantised, because it must stay the same when other precisions are added.
    """
    whole = hashlib.sha256()
    sides = ((VISUAL, "visual"), (TEXTUAL, "textual"))
    for encoder, side in sides:
        data = [
            file
            for file in model_files(folder)
            if file.parent.name == side and ".onnx" not in file.name[-5:] and file.suffix not in (".json", ".txt")
        ]
        for file in [folder / encoder, *data]:
            whole.update(f"{file.relative_to(folder).as_posix()} {file_digest(file)}\n".encode())
    for part in (
        read_json(folder, PREPROCESS),
        {key: value for key, value in read_json(folder, CONFIG)["text_cfg"].items() if _about_tokens(key)},
    ):
        whole.update(json.dumps(part, sort_keys=True).encode())
    whole.update(file_digest(folder / TOKENIZER).encode())
    return whole.hexdigest()


def _is_float32_data(name: str) -> bool:
    """Whether a file next to an encoder may hold its weights. ONNX stores more than 2 GB in files of any name."""
    return not name.endswith((".onnx", ".json", ".txt")) and ".int8." not in name


def _about_tokens(key: str) -> bool:
    return key == "context_length" or "tokenizer" in key


def write_manifest(folder: Path, *, name: str, precision: str = "float32", **facts: Any) -> dict[str, Any]:
    """Write `searcher.json` for the model in `folder` and return its content.

    `facts` can be any of FACTS:

    - version, description, source, licence
    - logit_scale: the factor on the cosine similarity, about 100 for CLIP (not its logarithm)
    - logit_bias
    - thresholds: {label: probability}
    - languages: ISO 639 codes
    - drift: {precision: {"image_cosine": …, …}}
    - digest: if it is not given, it is computed from the files. This is only correct while `folder` has the
      float32 encoders.
    - precisions: the files of each precision

    The size and SHA-256 of each file are also recorded. The file is written atomically. Raises TypeError for
    an unknown fact, and ModelError if a config cannot be read.
    """
    unknown = set(facts) - set(FACTS)
    if unknown:
        raise TypeError(f"unknown facts {sorted(unknown)} (known: {', '.join(FACTS)})")
    config, preprocess = read_json(folder, CONFIG), read_json(folder, PREPROCESS)
    size = preprocess.get("size", 224)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "dim": config["embed_dim"],
        "image_size": min(size) if isinstance(size, list) else size,
        "precision": precision,
        **{key: facts.get(key) for key in FACTS},
    }
    manifest["digest"] = facts.get("digest") or model_digest(folder)
    manifest["precisions"] = facts.get("precisions") or {precision: FLOAT32}
    manifest["files"] = {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": file_digest(file)}
        for file in model_files(folder)
    }
    partial = folder / f".{MANIFEST}.partial"
    partial.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)
    return manifest
