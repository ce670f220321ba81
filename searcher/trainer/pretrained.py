"""Towers with pretrained weights from local files: a timm model, and a text model in a Hugging Face folder."""

import pickle
from pathlib import Path
from typing import Any

import timm
import torch
from open_clip.factory import load_state_dict
from safetensors import SafetensorError
from torch import Tensor, nn

from searcher.errors import InvalidInput, NotFound
from searcher.models.layout import read_json
from searcher.trainer.config import no_foreign_code
from searcher.trainer.towers import WITH_HEAD

CONTEXT_LENGTH = 64  # tokens: longer than nearly every caption
POOLING = "1_Pooling/config.json"  # of sentence-transformers


def image_config(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """open_clip's `vision_cfg` and `preprocess_cfg` for a model of timm. Raises NotFound if timm does not know it."""
    if not timm.is_model(name):
        raise NotFound(f"timm has no model named {name!r}")
    defaults = timm.get_pretrained_cfg(name, allow_unregistered=True)
    size = defaults.input_size[-1] if defaults else 224
    mean, std = (defaults.mean, defaults.std) if defaults else ((0.5,) * 3, (0.5,) * 3)
    own_head = name in WITH_HEAD
    vision = {
        "timm_model_name": name,
        "timm_model_pretrained": False,
        "timm_pool": "avg" if own_head else "",
        "timm_proj": "" if own_head else "linear",
        "image_size": size,
    }
    return vision, {"mean": list(mean), "std": list(std)}


def text_config(folder: Path) -> tuple[dict[str, Any], int]:
    """open_clip's `text_cfg` for the text model in a Hugging Face folder, and its width.

    The tokens' features are averaged, or the first one is taken if the folder says so, as sentence-transformers writes
    it. Raises NotFound if the folder has no `config.json` or tokenizer.
    """
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise NotFound(f"{folder} is not the folder of a Hugging Face text model: {name} is missing")
    config = read_json(folder, "config.json")
    pooling = read_json(folder, POOLING) if (folder / POOLING).is_file() else {}
    width = config.get("hidden_size", config.get("d_model", config.get("dim")))
    if not isinstance(width, int):
        raise InvalidInput(f"{folder / 'config.json'} cannot be used: it does not say how wide the text model is")
    longest = config.get("max_position_embeddings")
    first_token = bool(pooling.get("pooling_mode_cls_token"))
    return {
        "hf_model_name": str(folder.absolute()),
        "hf_tokenizer_name": str(folder.absolute()),
        "hf_pooler_type": "cls_last_hidden_state_pooler" if first_token else "mean_pooler",
        "hf_proj_type": None,
        "context_length": min(CONTEXT_LENGTH, longest) if isinstance(longest, int) else CONTEXT_LENGTH,
    }, width


def load_image_weights(model: Any, file: Path) -> None:
    """Load the weights of the image tower's timm model: a state dict (`.pt`, `.pth`, `.bin`) or safetensors.

    Weights of the classifier are left out where open_clip's projection takes its place. Nothing but weights is ever
    unpickled. Raises SearcherError if the file cannot be read or belongs to another model.
    """
    if not file.is_file():
        raise NotFound(f"no such file: {file}")
    trunk, weights = model.visual.trunk, _state_dict(file)
    own = trunk.state_dict()
    classifier = trunk.default_cfg.get("classifier") or "head"  # one name, or several for a distilled model
    head = tuple(f"{name}." for name in ([classifier] if isinstance(classifier, str) else classifier))
    needed = {name for name in own if not name.startswith(head) and not name.endswith("num_batches_tracked")}
    fitting = {name: tensor for name, tensor in weights.items() if name in own}
    wrong = sorted(name for name, tensor in fitting.items() if tensor.shape != own[name].shape)
    unknown = sorted(name for name in weights.keys() - own.keys() if not name.startswith(head))
    for problem, found in (("lacks", sorted(needed - weights.keys())), ("has", unknown), ("has another", wrong)):
        if found:
            raise InvalidInput(f"{file} does not contain the weights of this image tower: it {problem} {found[0][:80]}")
    trunk.load_state_dict(fitting, strict=False)


def _state_dict(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix != ".safetensors":
            # Checked first, because open_clip retries without weights_only after a TypeError.
            torch.load(file, map_location="cpu", weights_only=True)
        weights: dict[str, Tensor] = load_state_dict(str(file), weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidInput(f"{file} is refused: it contains more than weights and could run code") from error
    except (SafetensorError, OSError, EOFError, RuntimeError, KeyError, TypeError, StopIteration) as error:
        raise InvalidInput(f"{file} is not a weights file") from error
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in weights.items()):
        raise InvalidInput(f"{file} is not a weights file")
    return weights


def load_text_weights(model: Any, folder: Path) -> None:
    """Load the weights of the text model in a Hugging Face folder. Raises InvalidInput if they cannot be used."""
    from transformers import AutoModel

    try:
        with no_foreign_code():
            found: nn.Module = AutoModel.from_pretrained(folder, local_files_only=True)
        weights, own = found.state_dict(), model.text.transformer.state_dict()
        model.text.transformer.load_state_dict({name: weights[name] for name in own})
    except Exception as error:  # transformers can raise anything for a broken folder
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{folder} does not contain the weights of a text model ({reason})") from error
