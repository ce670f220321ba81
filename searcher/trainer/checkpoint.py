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
from searcher.datasets.text import parse_json
from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.models.layout import CHECKPOINT_CONFIG, CHECKPOINT_WEIGHTS, TEXT_CONFIG
from searcher.models.store import BUILTIN
from searcher.trainer.builtin import builtin_config, builtin_weights
from searcher.trainer.config import (
    no_foreign_code,
    read_config,
    tokenizer_options,
    uses_hugging_face,
    with_own_text,
    write_text_config,
)

STATE = "training.safetensors"
FACTS: dict[str, type] = {"step": int, "bad": int, "best": dict, "total": int, "settings": dict}


def config_of_checkpoint(checkpoint: Path | None) -> dict[str, Any]:
    """The `model_cfg` and `preprocess_cfg` of a checkpoint folder or of "builtin".

    A folder's config is read from its `open_clip_config.json`. Returns {} if `checkpoint` is None, is a file, or has
    no such config. Raises InvalidInput if the config cannot be used.
    """
    if checkpoint and _is_builtin(checkpoint):
        return builtin_config()
    if checkpoint is None or not (checkpoint / CHECKPOINT_CONFIG).is_file():
        return {}
    return read_config(checkpoint)


def create(config: dict[str, Any]) -> tuple[Any, Any]:
    """Create a model with random weights, and its tokenizer, from a config. No code of a checkpoint runs.

    Raises InvalidInput if open_clip rejects the config.
    """
    remarks = logging.getLogger()  # open_clip warns here that no weights were loaded, as intended
    level = remarks.level
    try:
        with tempfile.TemporaryDirectory(prefix="searcher-") as scratch:
            path = Path(scratch) / f"{Path(scratch).name}.json"
            path.write_text(json.dumps(config))
            add_model_config(path)
            remarks.setLevel(logging.ERROR)
            with no_foreign_code():
                model = open_clip.create_model(path.stem, pretrained_text=False)
                return model, open_clip.get_tokenizer(path.stem, **tokenizer_options(config))
    except Exception as error:  # open_clip, timm and transformers can raise anything for a wrong value
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(f"open_clip cannot create a model from this config ({reason})") from error
    finally:
        remarks.setLevel(level)


def save_tensors(tensors: dict[str, Tensor], path: Path, facts: dict[str, Any]) -> None:
    """Write a safetensors file atomically. `facts` are stored as JSON in its header.

    Raises SearcherError if it cannot be written. An older file stays.
    """
    partial = path.with_name(path.name + ".part")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        partial.touch()
        mode = partial.stat().st_mode  # of any new file; safetensors makes one that only its owner can read
        save_file(contiguous, partial, metadata={"searcher": json.dumps(facts)})
        partial.chmod(mode)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        reason = (isinstance(error, OSError) and error.strerror) or str(error).rpartition("I/O error: ")[2]
        raise SearcherError(f"cannot write {path}: {reason}") from error


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

    @torch.no_grad()
    def is_finite(self) -> bool:
        """Whether all weights and running statistics, and their averages, are finite numbers."""
        held = [self.model, self.average.module] if self.average else [self.model]
        parameters = [tensor for module in held for tensor in module.parameters()]
        statistics = [tensor for module in held for name, tensor in module.named_buffers() if "running_" in name]
        return all(bool(tensor.isfinite().all()) for tensor in parameters + statistics)

    def _shared(self) -> dict[str, Tensor]:
        """The tensors of the average that share memory with those of the model."""
        held = {tensor.data_ptr() for tensor in self.model.state_dict().values()}
        average = self.average.state_dict() if self.average else {}
        return {name: tensor for name, tensor in average.items() if tensor.data_ptr() in held}

    def load(self, path: Path) -> None:
        """Load a saved state. Raises InvalidInput if the file cannot be read or belongs to another model."""
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise InvalidInput(f"cannot resume from {path}: {error}") from error
        try:
            self.model.load_state_dict(_below("model/", tensors))
            if self.average:
                self.average.load_state_dict(self._shared() | _below("average/", tensors))
        except RuntimeError as error:
            raise InvalidInput(f"cannot resume from {path}: it belongs to another model") from error
        parameters = dict(self.model.named_parameters())
        for place, tensor in _below("optimizer/", tensors).items():
            key, _, name = place.partition("/")
            own = parameters.get(name)
            if own is None:
                raise InvalidInput(f"cannot resume from {path}: it belongs to another model")
            # The moments need the memory format of their parameter, because the fused step ignores strides.
            self.optimizer.state[own][key] = (
                torch.empty_like(own.data).copy_(tensor) if tensor.shape == own.shape else tensor
            )


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def read_facts(path: Path) -> dict[str, Any]:
    """Read the facts of a saved state, without its tensors. Raises InvalidInput if the file cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = parse_json(file.metadata()["searcher"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"cannot resume from {path}: {error}") from error
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name), kind) for name, kind in FACTS.items()):
        raise InvalidInput(f"cannot resume from {path}: it is not the state of a run")
    return facts


def save_open_clip(
    folder: Path, model: nn.Module, tokenizer: Any, config: dict[str, Any], preprocess: dict[str, Any]
) -> None:
    """Write the checkpoint that `open_clip.create_model_and_transforms("local-dir:…")` loads.

    A text model of Hugging Face is made from its own config, which is stored in the folder `textual`. open_clip looks
    for the tokenizer of such a model beside the weights.
    """
    if uses_hugging_face(config):
        write_text_config(model, folder / TEXT_CONFIG)
        tokenizer.tokenizer.save_pretrained(folder)
        config = with_own_text(config, folder)
    document = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / CHECKPOINT_CONFIG).write_text(json.dumps(document, indent=2) + "\n")
    save_tensors(dict(model.state_dict()), folder / CHECKPOINT_WEIGHTS[0], {})


def _is_builtin(checkpoint: Path) -> bool:
    """Whether `checkpoint` is "builtin" and there is no file or folder of that name."""
    return checkpoint == Path(BUILTIN) and not checkpoint.exists()


def weights_file(checkpoint: Path) -> Path:
    """The weights file of an open_clip checkpoint (a folder or a file). Raises NotFound if there is none."""
    places = [checkpoint / name for name in CHECKPOINT_WEIGHTS] if checkpoint.is_dir() else [checkpoint]
    for path in places:
        if path.is_file() and path.suffix in (".safetensors", ".pt", ".pth", ".bin"):
            return path
    raise NotFound(f"no checkpoint at {checkpoint}: give an open_clip checkpoint folder, or a .safetensors or .pt file")


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Load the weights of an open_clip checkpoint, or of "builtin", into `model`.

    A `.pt` file is read with `weights_only=True`, so that no code in it is run. Raises SearcherError if the file
    cannot be read, contains more than weights, or belongs to another architecture.
    """
    if _is_builtin(checkpoint):
        own, given = model.state_dict(), builtin_weights()
        try:
            model.load_state_dict({name: own[name] if found is None else found for name, found in given.items()})
        except (RuntimeError, KeyError) as error:
            raise InvalidInput(f"{BUILTIN} does not contain the weights of this architecture") from error
        return
    path = weights_file(checkpoint)
    try:
        if path.suffix != ".safetensors":
            # Checked first, because open_clip retries without weights_only after a TypeError.
            torch.load(path, map_location="cpu", weights_only=True)
        open_clip.load_checkpoint(model, str(path), weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidInput(f"{path} is refused: it contains more than weights and could run code") from error
    except (SafetensorError, OSError, EOFError) as error:
        raise InvalidInput(f"{path} is not a weights file") from error
    except (RuntimeError, KeyError, AttributeError, TypeError, StopIteration) as error:
        raise InvalidInput(f"{path} does not contain the weights of this architecture") from error


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
