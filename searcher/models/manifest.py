"""searcher.json: what searcher knows about a model folder. It is read, checked, written and changed only here.

The file may come from somebody else. A wrong type, and a path that does not belong to the model, raise ModelError.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from searcher.models.layout import (
    CONFIG,
    FLOAT32,
    MANIFEST,
    PREPROCESS,
    SIDES,
    TEXTUAL,
    TOKENIZER,
    VISUAL,
    ModelError,
    file_digest,
    is_int,
    model_digest,
    model_files,
    read_config,
    read_json,
    read_preprocess,
    write_atomically,
)

FORMAT = 1
# The facts that `write_manifest` accepts besides the name and the precision, in the order of the file.
FACTS = (
    "version",
    "description",
    "source",
    "logit_scale",
    "logit_bias",
    "relevance",
    "languages",
    "licence",
    "drift",
    "digest",
    "precisions",
)
_PLAIN = r"[^./\\\0-\x1f][^/\\\0-\x1f]*"  # the name of a file in one folder, not hidden
SMALL_FILES = (CONFIG, PREPROCESS, TOKENIZER)  # they are part of the digest, and small enough to hash at each start


class FileRecord(NamedTuple):
    """The size and the SHA-256 digest (hex) of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of searcher.json. A folder without that file has an empty one.

    precision: the default precision. logit_scale: the factor on the cosine similarity. relevance: see
    `searcher.models.relevance.Calibration`. languages: ISO 639 codes, empty if they are unknown. drift: precision →
    measure → value. digest: see `model_digest`. precisions: precision → {"visual": path, "textual": path}. files: path
    → size and digest. All paths are relative to the folder and inside it. others: keys that this version does not know.
    """

    name: str | None = None
    dim: int | None = None
    image_size: int | None = None
    precision: str = "float32"
    version: str | None = None
    description: str | None = None
    source: str | None = None
    logit_scale: float | None = None
    logit_bias: float | None = None
    relevance: Mapping[str, Any] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    licence: str | None = None
    drift: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    digest: str | None = None
    precisions: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"float32": FLOAT32})
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, found: Mapping[str, Any], folder: Path) -> "Manifest":
        """Check the content of a file. `folder` is only for messages. Raises ModelError for the first wrong value."""
        given = {key: value for key, value in found.items() if value is not None}
        version = given.pop("format", FORMAT)
        if not is_int(version):
            raise ModelError(f"model {folder}: {MANIFEST}: format must be a whole number")
        if version > FORMAT:
            raise ModelError(f"model {folder} was written by a newer version of searcher; upgrade searcher")
        values: dict[str, Any] = {}
        for key, check in _CHECKS.items():
            if key not in given:
                continue
            try:
                values[key] = check(given.pop(key))
            except _Wrong as wrong:
                raise ModelError(f"model {folder}: {MANIFEST}: {key} {wrong}") from None
        values = {key: value for key, value in values.items() if value not in ("", {}, ())}  # the same as missing
        return cls(**values, others=given)

    def as_dict(self) -> dict[str, Any]:
        """The content of the file, with null for what is unknown."""
        content = {name.name: getattr(self, name.name) for name in fields(self) if name.name != "others"}
        files = {name: record._asdict() for name, record in self.files.items()}
        plain = {
            "relevance": dict(self.relevance) or None,
            "languages": list(self.languages) or None,
            "drift": {precision: dict(measured) for precision, measured in self.drift.items()} or None,
            "precisions": {precision: dict(paths) for precision, paths in self.precisions.items()},
            "files": files,
        }
        return {"format": FORMAT, **content, **plain, **self.others}


def read_manifest(folder: Path) -> Manifest:
    """Read searcher.json. Empty if there is none. Raises ModelError if it is broken."""
    try:
        if not (folder / MANIFEST).is_file():
            return Manifest()
    except OSError as error:
        raise ModelError(f"model {folder}: {MANIFEST} cannot be read ({error.strerror})") from error
    return Manifest.parse(read_json(folder, MANIFEST), folder)


def write_manifest(folder: Path, *, name: str, precision: str = "float32", **facts: Any) -> Manifest:
    """Write `searcher.json` for a new model in `folder` and return it. An older one is replaced.

    `facts` can be any of FACTS:

    - version, description, source, licence
    - logit_scale: the factor on the cosine similarity, about 100 for CLIP (not its logarithm)
    - logit_bias
    - relevance: {"slope": [2 numbers], "offset": [2 numbers], "measured": true or false}
    - languages: ISO 639 codes
    - drift: {precision: {"image_cosine": …, …}}
    - digest: if it is not given, it is computed from the files. This is only correct while `folder` has the
      float32 encoders.
    - precisions: the files of each precision

    The size and SHA-256 of each file are also recorded. The file is written atomically. Raises TypeError for
    an unknown fact, and ModelError for a fact of a wrong type or if a config cannot be read.
    """
    _check_known(facts, FACTS)
    content = {"name": name, "precision": precision, **facts}
    files = _records(folder)
    known = {name: record["sha256"] for name, record in files.items()}
    content["digest"] = facts.get("digest") or model_digest(folder, known)
    content["precisions"] = facts.get("precisions") or {precision: FLOAT32}
    return _write(folder, content | {"files": files})


def update_manifest(folder: Path, **facts: Any) -> Manifest:
    """Change facts in `searcher.json` and return the whole content. Everything else stays as it is.

    `facts` can be any of FACTS, `name` and `precision`. If `precisions` is among them, the sizes and digests of all
    files are recorded again. The digest of the model stays, unless a file that it depends on was changed by hand. The
    file is written atomically. Raises TypeError for an unknown fact, and ModelError for a fact of a wrong type or if
    the folder is broken.
    """
    _check_known(facts, (*FACTS, "name", "precision"))
    manifest = read_manifest(folder)
    content = manifest.as_dict()
    content["name"] = manifest.name or folder.name
    content["digest"] = current_digest(folder, manifest)
    if "precisions" in facts or not manifest.files:
        content["files"] = _records(folder)
    return _write(folder, content | facts)


def current_digest(folder: Path, manifest: Manifest) -> str:
    """Hex digest of everything that determines an embedding, for the files as they are now.

    It is the recorded one, unless the preprocessing, the config or the tokenizer was changed by hand. Encoders are
    hashed only if they are not recorded, because they may have gigabytes.
    """
    recorded = manifest.files
    unchanged = all(name in recorded and _is_recorded(folder, name, recorded[name]) for name in SMALL_FILES)
    if manifest.digest is not None and unchanged:
        return manifest.digest
    encoders = {
        name: record.sha256
        for name, record in recorded.items()
        if (folder / name).is_file() and (folder / name).stat().st_size == record.bytes
    }
    return model_digest(folder, encoders)


def _is_recorded(folder: Path, name: str, record: FileRecord) -> bool:
    file = folder / name
    return file.stat().st_size == record.bytes and file_digest(file) == record.sha256


def _check_known(facts: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = set(facts) - set(known)
    if unknown:
        raise TypeError(f"unknown facts {sorted(unknown)} (known: {', '.join(known)})")


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": file_digest(file)}
        for file in model_files(folder)
    }


def _write(folder: Path, content: dict[str, Any]) -> Manifest:
    content["dim"] = read_config(folder)["embed_dim"]
    content["image_size"] = min(read_preprocess(folder).size)
    manifest = Manifest.parse(content, folder)
    write_atomically(folder / MANIFEST, json.dumps(manifest.as_dict(), indent=2, ensure_ascii=False) + "\n")
    return manifest


class _Wrong(Exception):
    """What is wrong with a value, as the end of a sentence."""


def _count(value: Any) -> int:
    if not is_int(value) or not 0 <= value < 1 << 62:
        raise _Wrong("must be a whole number")
    return int(value)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e30:
        raise _Wrong("must be a number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be a string")
    return value


def _word(value: Any) -> str:
    """A string that can be shown in a line."""
    if not _text(value).isprintable():
        raise _Wrong("must be a string without control characters")
    return str(value)


def _version(value: Any) -> str:
    return _word(str(value) if is_int(value) else value)


def _sha256(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", _text(value)):
        raise _Wrong("must be a SHA-256 digest in hex")
    return str(value)


def _languages(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _Wrong("must be a list of strings")
    return tuple(_word(code) for code in value)


def _table(value: Any, check: Callable[[Any], Any], needed: Iterable[str] = ()) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _Wrong("must be an object")
    missing = [key for key in needed if key not in value]
    if missing:
        raise _Wrong(f"lacks {missing[0]!r}")
    checked = {}
    for key, item in value.items():
        try:
            checked[_text(key)] = check(item)
        except _Wrong as wrong:
            raise _Wrong(f"of {key!r:.60} {wrong}") from wrong
    return checked


def _relevance(value: Any) -> dict[str, Any]:
    found = _table(value, lambda item: item, ("slope", "offset", "measured"))
    for key in ("slope", "offset"):
        if not isinstance(found[key], list) or len(found[key]) != 2:
            raise _Wrong(f"of {key!r} must be two numbers")
        found[key] = [float(_number(item)) for item in found[key]]
    if not isinstance(found["measured"], bool):
        raise _Wrong("of 'measured' must be true or false")
    return found


def _drift(value: Any) -> dict[str, dict[str, float]]:
    return _table(value, lambda measured: _table(measured, _number, ("image_cosine", "text_cosine")))


def _precisions(value: Any) -> dict[str, dict[str, str]]:
    found = {_word(key): item for key, item in _table(value, lambda paths: _table(paths, _text, SIDES)).items()}
    for precision, paths in found.items():
        for side in SIDES:
            if not re.fullmatch(rf"{side}/{_PLAIN}\.onnx", paths[side]):
                raise _Wrong(f"of {precision!r:.60} must name files like {side}/model.onnx, not {paths[side]!r:.60}")
    if found.get("float32", FLOAT32) != FLOAT32:  # the digest is computed from these files
        raise _Wrong(f"of 'float32' must be {VISUAL} and {TEXTUAL}")
    return {precision: {side: paths[side] for side in SIDES} for precision, paths in found.items()}


def _file(value: Any) -> FileRecord:
    table = _table(value, lambda item: item, ("bytes", "sha256"))
    return FileRecord(_count(table["bytes"]), _sha256(table["sha256"]))


def _files(value: Any) -> dict[str, FileRecord]:
    found = _table(value, _file)
    for name in found:
        if name != CONFIG and not re.fullmatch(rf"(visual|textual)/{_PLAIN}", name):
            raise _Wrong(f"must name files of the model, not {name!r:.60}")
    return found


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _word,
    "dim": _count,
    "image_size": _count,
    "precision": _word,
    "version": _version,
    "description": _text,
    "source": _text,
    "logit_scale": _number,
    "logit_bias": _number,
    "relevance": _relevance,
    "languages": _languages,
    "licence": _text,
    "drift": _drift,
    "digest": _sha256,
    "precisions": _precisions,
    "files": _files,
}
