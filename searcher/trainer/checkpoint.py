"""What a run leaves on disk: the state to resume from, the open_clip checkpoint. Safetensors, written atomically."""

import json
import logging
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import add_model_config
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from searcher.errors import SearcherError

CONFIGS = Path(__file__).parent / "configs"
STATE = "training.safetensors"
WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"


def model_config(name: str) -> dict[str, Any]:
    """The open_clip model config of a name (open_clip's, or one of ours in `configs/`) or of a JSON file."""
    path = Path(name) if name.endswith(".json") else CONFIGS / f"{name}.json"
    if path.is_file():
        try:
            config = json.loads(path.read_text())
        except ValueError as error:
            raise SearcherError(f"{path} is not JSON: {error}") from error
        if not isinstance(config, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
            raise SearcherError(f"{path} is no open_clip model config: it needs embed_dim, vision_cfg and text_cfg")
        return config
    known = open_clip.get_model_config(name)
    if known is None:
        ours = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.json")))
        raise SearcherError(f"no model config {name!r}: give an open_clip name, a JSON file, or one of ours ({ours})")
    return dict(known)


def create(config: dict[str, Any], folder: Path) -> tuple[nn.Module, Any]:
    """A freshly initialised model of a config and its tokenizer. `folder` keeps the config for open_clip's registry."""
    path = folder / f"{folder.name}.config.json"
    path.write_text(json.dumps(config))
    remarks = logging.getLogger()  # where open_clip says that no weights were loaded, which is what is wanted here
    level = remarks.level
    try:
        add_model_config(path)
        remarks.setLevel(logging.ERROR)
        model = open_clip.create_model(path.stem)
        return model, open_clip.get_tokenizer(path.stem)
    finally:
        remarks.setLevel(level)
        path.unlink()


def save_tensors(tensors: dict[str, Tensor], path: Path, facts: dict[str, Any]) -> None:
    """Write a safetensors file whole or not at all; `facts` travel as JSON in its header."""
    partial = path.with_name(path.name + ".part")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, partial, metadata={"searcher": json.dumps(facts)})
    partial.replace(path)


def save_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, facts: dict[str, Any]) -> None:
    """The whole state of a run: weights, buffers and the optimizer's moments, each under the parameter's name."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{key}/{name}"] = value
    save_tensors(tensors, path, facts)


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a saved state back; returns its facts."""
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["searcher"])
        tensors = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise SearcherError(f"cannot resume from {path}: {error}") from error
    try:
        model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
    except RuntimeError as error:
        raise SearcherError(f"cannot resume from {path}: it is the state of another model") from error
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, key, parameter = name.split("/", 2)
            own = parameters[parameter]
            # The moments take the memory format of their parameter: the fused step goes through memory, not indices.
            optimizer.state[own][key] = (
                torch.empty_like(own.data).copy_(tensor) if tensor.shape == own.shape else tensor
            )
    return facts


def save_open_clip(folder: Path, model: nn.Module, config: dict[str, Any], preprocess: dict[str, Any]) -> None:
    """The checkpoint that `open_clip.create_model_and_transforms("local-dir:…")` loads."""
    document = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / CONFIG).write_text(json.dumps(document, indent=2) + "\n")
    save_tensors(dict(model.state_dict()), folder / WEIGHTS, {})


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Start from an open_clip checkpoint: a folder of ours or open_clip's, or its safetensors file."""
    path = checkpoint / WEIGHTS if checkpoint.is_dir() else checkpoint
    if not path.is_file():
        raise SearcherError(f"no checkpoint at {checkpoint}")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise SearcherError(f"{path} is not a safetensors file") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise SearcherError(f"{path} holds the weights of another architecture") from error
