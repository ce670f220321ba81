"""open_clip model configs: of a name, of a JSON file, and of a checkpoint.

The configs of others are untrusted. open_clip hands some of their values on to transformers and timm, which can
download files and run Python code that lies beside a model. So only known keys with plain values are accepted.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import open_clip
from open_clip.coca_model import MultimodalCfg
from open_clip.model import CLIPTextCfg, CLIPVisionCfg

from searcher.datasets.text import parse_json
from searcher.errors import InvalidInput, NotFound
from searcher.models.layout import CHECKPOINT_CONFIG, TEXT_CONFIG
from searcher.models.preprocess import Preprocess

CONFIGS = Path(__file__).parent / "configs"
REQUIRED = frozenset(["embed_dim", "vision_cfg", "text_cfg"])
TOWERS: dict[str, Any] = {"vision_cfg": CLIPVisionCfg, "text_cfg": CLIPTextCfg, "multimodal_cfg": MultimodalCfg}
KEYS = REQUIRED | {
    "custom_text", "quick_gelu", "init_logit_scale", "init_logit_bias", "nonscalar_logit_scale", "multimodal_cfg",
}  # fmt: skip
TOKENIZER_KEYS = frozenset(["clean", "strip_sep_token"])  # the others would reach transformers
# A name of timm must have no prefix such as "hf-hub:", which would download its config.
NAMES = {
    "timm_model_name": re.compile(r"[\w.-]+"),
    "hf_model_name": re.compile(r"[\w.-]+(/[\w.-]+)?"),
    "hf_tokenizer_name": re.compile(r"[\w.-]+(/[\w.-]+)?"),
}


def model_config(name: str) -> dict[str, Any]:
    """Read an open_clip model config. `name`: a config of open_clip, a config in `configs/`, or a `.json` file.

    Raises NotFound if there is no such config, and InvalidInput if the file is not an open_clip model config.
    """
    path = Path(name) if name.endswith(".json") else CONFIGS / f"{name}.json"
    if path.is_file():
        return checked(_read(path), path)
    known = open_clip.get_model_config(name)
    if known is None:
        ours = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.json")))
        raise NotFound(f"no model config {name!r}: use a name from open_clip, a .json file, or one of: {ours}")
    return dict(known)


def read_config(folder: Path) -> dict[str, dict[str, Any]]:
    """The `model_cfg` and `preprocess_cfg` in the `open_clip_config.json` of a checkpoint folder, see `with_own_text`.

    Raises InvalidInput (one line) if the file cannot be read, or has a value that is not allowed.
    """
    path = folder / CHECKPOINT_CONFIG
    found = _read(path)
    if not isinstance(found, dict) or not isinstance(found.get("model_cfg"), dict):
        raise InvalidInput(f"{path} cannot be read as an open_clip config: it has no model_cfg")
    preprocess = found.get("preprocess_cfg") or {}
    try:
        Preprocess.from_config(preprocess)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise InvalidInput(f"{path} has a preprocess_cfg that cannot be used ({error})") from error
    return {"model_cfg": checked(with_own_text(found["model_cfg"], folder), path), "preprocess_cfg": dict(preprocess)}


def _read(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} cannot be read as an open_clip config: it is not valid JSON ({error})") from error


def checked(config: Any, path: Path) -> dict[str, Any]:
    """`config`, if it is an open_clip model config with nothing but known keys and plain values.

    Raises InvalidInput (one line) if it is not. path: the file that it was read from.
    """
    if not isinstance(config, dict) or not config.keys() >= REQUIRED:
        raise InvalidInput(f"{path} is not an open_clip model config: it needs embed_dim, vision_cfg and text_cfg")
    dim = config["embed_dim"]
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < 1:
        raise InvalidInput(f"{path} is not an open_clip model config: embed_dim is not a positive whole number")
    _check_keys(config, KEYS, path, "")
    for key, kind in TOWERS.items():
        tower = config.get(key, {})
        if not isinstance(tower, dict):
            raise InvalidInput(f"{path} is not an open_clip model config: {key} is not an object")
        _check_keys(tower, {field.name for field in fields(kind)}, path, f"{key}.")
        for name, value in tower.items():
            _check_value(name, value, path, f"{key}.{name}")
    for key in config.keys() - TOWERS.keys():
        _check_value(key, config[key], path, key)
    return config


def _check_value(name: str, value: Any, path: Path, place: str) -> None:
    if name == "tokenizer_kwargs" and isinstance(value, dict):
        _check_keys(value, TOKENIZER_KEYS, path, f"{place}.")
    if name in NAMES and value is not None and not _is_name(NAMES[name], value):
        raise InvalidInput(f"{path}: {place} is refused: {str(value)[:60]!r} is not the name of a model")
    values = value.values() if isinstance(value, dict) and name.endswith("_kwargs") else [value]
    for one in values:
        numbers = one if isinstance(one, list) and len(one) <= 4 else [one]
        if not all(number is None or isinstance(number, bool | int | float | str) for number in numbers):
            raise InvalidInput(f"{path}: {place} is refused: it is not a plain value")


def _is_name(pattern: re.Pattern[str], value: Any) -> bool:
    """A name, or for transformers a folder on this machine. transformers runs no code of it, see `no_foreign_code`."""
    if not isinstance(value, str):
        return False
    return pattern.fullmatch(value) is not None or ("/" in pattern.pattern and Path(value).is_dir())


def _check_keys(found: Mapping[str, Any], known: frozenset[str] | set[str], path: Path, place: str) -> None:
    unknown = sorted(found.keys() - known)
    if unknown:
        raise InvalidInput(f"{path}: {place}{unknown[0][:60]} is refused: it is not a setting that searcher knows")


def uses_hugging_face(config: Mapping[str, Any]) -> bool:
    """Whether the text tower of a model config is a model of Hugging Face."""
    text = config.get("text_cfg")
    return isinstance(text, dict) and bool(text.get("hf_model_name"))


def with_own_text(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`config` with the text model and tokenizer in `folder`, if it is of Hugging Face and the folder has its config.

    A checkpoint holds the config that its text tower was made from, so that it can be loaded without a network, and
    after it was moved.
    """
    if not uses_hugging_face(config) or not (folder / TEXT_CONFIG).is_file():
        return config
    own = str((folder / TEXT_CONFIG).parent.absolute())
    return config | {"text_cfg": config["text_cfg"] | {"hf_model_name": own, "hf_tokenizer_name": own}}


def write_text_config(model: Any, path: Path) -> None:
    """Write the Hugging Face config of a model's text tower."""
    found = model.text.config.to_dict()
    found.pop("_name_or_path", None)  # a folder of this machine
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


@contextmanager
def no_foreign_code() -> Iterator[None]:
    """Let transformers refuse the code of a model at once. Otherwise it asks on the terminal whether to run it."""
    from transformers import dynamic_module_utils

    before = dynamic_module_utils.TIME_OUT_REMOTE_CODE
    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0
    try:
        yield
    finally:
        dynamic_module_utils.TIME_OUT_REMOTE_CODE = before


def tokenizer_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What to give `open_clip.get_tokenizer` beside the name of the model."""
    return {"trust_remote_code": False} if config["text_cfg"].get("hf_tokenizer_name") else {}
