"""The files of a model folder: their names, how they are read, and the digest of what determines an embedding.

    config.json                       open_clip's model config
    visual/model.onnx                 image float32 (b, 3, H, W) → (b, dim)
    visual/preprocess_cfg.json        open_clip's preprocessing
    textual/model.onnx                token ids int32 or int64 (b, context) → (b, dim), see also `UNPADDED`
    textual/tokenizer.json            for the `tokenizers` library
    textual/tokenizer_config.json     its padding token (optional)
    textual/config.json               of a text model of Hugging Face, to train it further (optional)
    searcher.json                     name, precision, digests, logit scale, … (missing if another program made
                                      the folder)

Immich publishes open_clip models in this layout, without `searcher.json`. Encoders in other precisions are in the same
folders (`visual/model.int8.onnx`) and are listed in `searcher.json`.

A model folder is untrusted input. The types of all values are checked when a file is read.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from searcher.errors import SearcherError
from searcher.models.preprocess import Preprocess

MANIFEST = "searcher.json"
VISUAL = "visual/model.onnx"
TEXTUAL = "textual/model.onnx"
PREPROCESS = "visual/preprocess_cfg.json"
TOKENIZER = "textual/tokenizer.json"
TOKENIZER_SETTINGS = "textual/tokenizer_config.json"
TEXT_CONFIG = "textual/config.json"
CONFIG = "config.json"
CARD = "README.md"
CHECKPOINT_CONFIG = "open_clip_config.json"
# The weights of an open_clip checkpoint, in order of preference. safetensors comes first: it cannot contain code.
CHECKPOINT_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
)
SIDES = ("visual", "textual")
COMPACT = "compact"  # the precision whose weights are stored as int8, and converted to float32 when a file is opened
FLOAT32 = {"visual": VISUAL, "textual": TEXTUAL}
# The name of the second axis of a text encoder that takes texts without padding, of 2 tokens up to its context length.
UNPADDED = "unpadded_length"

MAX_JSON = 64 << 20  # bytes of a JSON file that is read whole
MAX_CONTEXT = 1 << 16  # tokens
MAX_DIM = 1 << 16  # numbers of an embedding
MAX_DIGITS = 1000  # of a whole number in a JSON file


class ModelError(SearcherError):
    """A model folder is broken, or its encoders cannot be used."""


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from `folder/name`.

    Raises ModelError if it cannot be read, is not a JSON object, is nested too deeply, or contains a number that is
    not finite or text that is not Unicode.
    """
    try:
        with (folder / name).open("rb") as file:
            data = file.read(MAX_JSON + 1)
        if len(data) > MAX_JSON:
            raise ValueError(f"larger than {MAX_JSON >> 20} MB")
        found = json.loads(data.decode("utf-8"), parse_constant=_finite, parse_float=_finite, parse_int=_whole)
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be written or shown
    except (OSError, ValueError) as error:
        raise ModelError(f"model {folder}: {name} cannot be read ({_short(error)})") from error
    except RecursionError as error:
        raise ModelError(f"model {folder}: {name} cannot be read (nested too deeply)") from error
    if not isinstance(found, dict):
        raise ModelError(f"model {folder}: {name} is not a JSON object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)


def _short(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def is_int(value: object) -> bool:
    """Whether `value` is a whole number. True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def read_config(folder: Path) -> dict[str, Any]:
    """Read open_clip's model config. Raises ModelError if it is not one."""
    config = read_json(folder, CONFIG)
    wrong = f"model {folder}: {CONFIG} is not an open_clip model config"
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if key not in config:
            raise ModelError(f"{wrong} ({key!r} is missing)")
    text = config["text_cfg"]
    if not is_int(config["embed_dim"]) or not 0 < config["embed_dim"] <= MAX_DIM:
        raise ModelError(f"{wrong} (embed_dim must be a whole number from 1 to {MAX_DIM})")
    if not isinstance(text, dict) or not isinstance(config["vision_cfg"], dict):
        raise ModelError(f"{wrong} (vision_cfg and text_cfg must be objects)")
    length = text.get("context_length")
    if length is not None and not (is_int(length) and 0 < length <= MAX_CONTEXT):
        raise ModelError(f"{wrong} (context_length must be a whole number from 1 to {MAX_CONTEXT})")
    if not isinstance(text.get("tokenizer_kwargs") or {}, dict):
        raise ModelError(f"{wrong} (tokenizer_kwargs must be an object)")
    return config


def read_preprocess(folder: Path) -> Preprocess:
    """Read open_clip's preprocessing. Raises ModelError if it is not supported."""
    config = read_json(folder, PREPROCESS)
    try:
        return Preprocess.from_config(config)
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"model {folder}: {PREPROCESS}: {error}") from error


def read_tokenizer_settings(folder: Path) -> dict[str, Any]:
    """Read the settings of the tokenizer. Empty if there are none. Raises ModelError if a value has a wrong type."""
    if not (folder / TOKENIZER_SETTINGS).is_file():
        return {}
    settings = read_json(folder, TOKENIZER_SETTINGS)
    for key in ("pad_token", "sep_token", "padding_side"):
        value = settings.get(key)
        if isinstance(value, dict) and key != "padding_side":
            value = value.get("content")
        if value is not None and not isinstance(value, str):
            raise ModelError(f"model {folder}: {TOKENIZER_SETTINGS}: {key} must be a string")
    return settings


def write_atomically(path: Path, text: str) -> None:
    """Write a text file. Readers see the old file or the whole new one. The mode is that of a new file."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("x", encoding="utf-8") as file:  # never through a link that is here already
            file.write(text)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_sides(folder: Path) -> None:
    """Raise ModelError if one of the folders with encoders is a link to another place."""
    home = folder.resolve()
    for side in SIDES:
        if (folder / side).resolve() != home / side:
            raise ModelError(f"model {folder}: {side} is a link, which is not allowed")


def file_digest(path: Path) -> str:
    """SHA-256 digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files of a model folder that a search needs or may need, in a fixed order, without the manifest."""
    found = [folder / CONFIG]
    for side in SIDES:
        found += sorted(file for file in (folder / side).glob("*") if file.is_file())
    return [file for file in found if file.is_file() and not file.name.startswith(".")]


def model_digest(folder: Path, known: Mapping[str, str] | None = None) -> str:
    """Hex digest of everything that determines an embedding.

    This is the float32 encoders (including external data), the preprocessing and the tokenizer. Call it
    before the encoders are quantised, because it must stay the same when other precisions are added.

    known: SHA-256 digests of encoder files, by name. They are not computed again. Raises ModelError if a file is
    missing or broken.
    """
    whole = hashlib.sha256()
    for side, encoder in FLOAT32.items():
        data = [
            file
            for file in model_files(folder)
            if file.parent.name == side and file.suffix not in (".onnx", ".json", ".txt")
        ]
        if not (folder / encoder).is_file():
            raise ModelError(f"model {folder}: {encoder} is missing")
        for file in [folder / encoder, *data]:
            name = file.relative_to(folder).as_posix()
            whole.update(f"{name} {(known or {}).get(name) or file_digest(file)}\n".encode())
    about_tokens = {key: value for key, value in read_config(folder)["text_cfg"].items() if _about_tokens(key)}
    for part in (read_json(folder, PREPROCESS), about_tokens):
        whole.update(json.dumps(part, sort_keys=True).encode())
    whole.update(file_digest(folder / TOKENIZER).encode())
    return whole.hexdigest()


def _about_tokens(key: str) -> bool:
    return key == "context_length" or "tokenizer" in key
