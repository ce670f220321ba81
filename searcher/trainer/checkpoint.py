"""The files of a run: the state to resume from, and the open_clip checkpoint.

Tensors are stored as safetensors. Files are written atomically.
"""

import copy
import json
import logging
import os
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import add_model_config
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import searcher.trainer.towers  # noqa: F401 (registers a model with timm)
from searcher.errors import SearcherError
from searcher.models.store import BUILTIN
from searcher.trainer.builtin import builtin_config, builtin_weights

CONFIGS = Path(__file__).parent / "configs"
STATE = "training.safetensors"
WEIGHTS = "open_clip_model.safetensors"
OTHER_WEIGHTS = ("open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth")
CONFIG = "open_clip_config.json"


def model_config(name: str) -> dict[str, Any]:
    """Read an open_clip model config. `name`: a config of open_clip, a config in `configs/`, or a `.json` file.

    Raises SearcherError if there is no such config, or if the file is not an open_clip model config.
    """
    path = Path(name) if name.endswith(".json") else CONFIGS / f"{name}.json"
    if path.is_file():
        try:
            config = json.loads(path.read_text())
        except ValueError as error:
            raise SearcherError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(config, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
            raise SearcherError(f"{path} is not an open_clip model config: it needs embed_dim, vision_cfg and text_cfg")
        return config
    known = open_clip.get_model_config(name)
    if known is None:
        ours = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.json")))
        raise SearcherError(f"no model config {name!r}: use a name from open_clip, a .json file, or one of: {ours}")
    return dict(known)


def config_of_checkpoint(checkpoint: Path | None) -> dict[str, Any]:
    """The `model_cfg` and `preprocess_cfg` of a checkpoint folder or of "builtin".

    A folder's config is read from its `open_clip_config.json`. Returns {} if `checkpoint` is None, is a file, or has
    no such config. Raises SearcherError if the config cannot be read.
    """
    if checkpoint and _in_the_box(checkpoint):
        return builtin_config()
    path = checkpoint / CONFIG if checkpoint and checkpoint.is_dir() else None
    if path is None or not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
        return {"model_cfg": dict(found["model_cfg"]), "preprocess_cfg": dict(found.get("preprocess_cfg") or {})}
    except (ValueError, KeyError, TypeError) as error:
        raise SearcherError(f"{path} cannot be read as an open_clip config") from error


def create(config: dict[str, Any]) -> tuple[nn.Module, Any]:
    """Create a model with random weights, and its tokenizer, from a config.

    Raises SearcherError if open_clip rejects the config.
    """
    remarks = logging.getLogger()  # open_clip warns here that no weights were loaded, as intended
    level = remarks.level
    try:
        with tempfile.TemporaryDirectory(prefix="searcher-") as scratch:
            path = Path(scratch) / f"{Path(scratch).name}.json"
            path.write_text(json.dumps(config))
            add_model_config(path)
            remarks.setLevel(logging.ERROR)
            return open_clip.create_model(path.stem, pretrained_text=False), open_clip.get_tokenizer(path.stem)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise SearcherError(f"open_clip cannot create a model from this config ({reason})") from error
    finally:
        remarks.setLevel(level)


def save_tensors(tensors: dict[str, Tensor], path: Path, facts: dict[str, Any]) -> None:
    """Write a safetensors file atomically. `facts` are stored as JSON in its header."""
    partial = path.with_name(path.name + ".part")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, partial, metadata={"searcher": json.dumps(facts)})
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


@dataclass(frozen=True)
class State:
    """Everything that changes during training. It can be saved to a file and loaded again."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Save weights, buffers, their average and the optimizer's moments, each under its parameter's name.

        `facts` are stored with them.
        """
        tensors = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average:  # without the tensors that it shares with the model
            shared = self._shared()
            own = {name: tensor for name, tensor in self.average.state_dict().items() if name not in shared}
            tensors |= {f"average/{name}": tensor for name, tensor in own.items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value
        save_tensors(tensors, path, facts)

    def _shared(self) -> dict[str, Tensor]:
        """The tensors of the average that share memory with those of the model."""
        held = {tensor.data_ptr() for tensor in self.model.state_dict().values()}
        average = self.average.state_dict() if self.average else {}
        return {name: tensor for name, tensor in average.items() if tensor.data_ptr() in held}

    def load(self, path: Path) -> None:
        """Load a saved state. Raises SearcherError if the file cannot be read or belongs to another model."""
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise SearcherError(f"cannot resume from {path}: {error}") from error
        try:
            self.model.load_state_dict(_below("model/", tensors))
            if self.average:
                self.average.load_state_dict(self._shared() | _below("average/", tensors))
        except RuntimeError as error:
            raise SearcherError(f"cannot resume from {path}: it belongs to another model") from error
        parameters = dict(self.model.named_parameters())
        for place, tensor in _below("optimizer/", tensors).items():
            key, name = place.split("/", 1)
            own = parameters[name]
            # The moments need the memory format of their parameter, because the fused step ignores strides.
            self.optimizer.state[own][key] = (
                torch.empty_like(own.data).copy_(tensor) if tensor.shape == own.shape else tensor
            )


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def read_facts(path: Path) -> dict[str, Any]:
    """Read the facts of a saved state, without its tensors. Raises SearcherError if the file cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(json.loads(file.metadata()["searcher"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise SearcherError(f"cannot resume from {path}: {error}") from error


def save_open_clip(folder: Path, model: nn.Module, config: dict[str, Any], preprocess: dict[str, Any]) -> None:
    """Write the checkpoint that `open_clip.create_model_and_transforms("local-dir:…")` loads."""
    document = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / CONFIG).write_text(json.dumps(document, indent=2) + "\n")
    save_tensors(dict(model.state_dict()), folder / WEIGHTS, {})


def _in_the_box(checkpoint: Path) -> bool:
    """Whether `checkpoint` is "builtin" and there is no file or folder of that name."""
    return checkpoint == Path(BUILTIN) and not checkpoint.exists()


def weights_file(checkpoint: Path) -> Path:
    """The weights file of an open_clip checkpoint (a folder or a file). Raises SearcherError if there is none."""
    places = [checkpoint / name for name in (WEIGHTS, *OTHER_WEIGHTS)] if checkpoint.is_dir() else [checkpoint]
    for path in places:
        if path.is_file() and path.suffix in (".safetensors", ".pt", ".pth", ".bin"):
            return path
    raise SearcherError(
        f"no checkpoint at {checkpoint}: give an open_clip checkpoint folder, or a .safetensors or .pt file"
    )


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Load the weights of an open_clip checkpoint, or of "builtin", into `model`.

    A `.pt` file is read with `weights_only=True`, so that no code in it is run. Raises SearcherError if the file
    cannot be read, contains more than weights, or belongs to another architecture.
    """
    if _in_the_box(checkpoint):
        counts = {name: tensor for name, tensor in model.state_dict().items() if name.endswith("num_batches_tracked")}
        try:
            model.load_state_dict(counts | builtin_weights())
        except RuntimeError as error:
            raise SearcherError(f"{BUILTIN} does not contain the weights of this architecture") from error
        return
    path = weights_file(checkpoint)
    try:
        if path.suffix != ".safetensors":
            # Checked first, because open_clip retries without weights_only after a TypeError.
            torch.load(path, map_location="cpu", weights_only=True)
        open_clip.load_checkpoint(model, str(path), weights_only=True)
    except pickle.UnpicklingError as error:
        raise SearcherError(f"{path} is refused: it contains more than weights and could run code") from error
    except (SafetensorError, OSError, EOFError) as error:
        raise SearcherError(f"{path} is not a weights file") from error
    except (RuntimeError, KeyError, AttributeError, TypeError, StopIteration) as error:
        raise SearcherError(f"{path} does not contain the weights of this architecture") from error


@torch.no_grad()
def interpolate(model: nn.Module, checkpoint: Path, share: float) -> None:
    """Mix the weights with those of the checkpoint they started from: share · model + (1 - share) · start.

    A fine-tuned model then keeps more of what it knew before (Wortsman et al. 2022, WiSE-FT). Raises SearcherError if
    the checkpoint cannot be loaded.
    """
    start = copy.deepcopy(model)
    load_weights(start, checkpoint)
    old = start.state_dict()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(old[name], 1 - share)
