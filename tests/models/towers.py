"""Small open_clip models with random weights, and real photos to test them with."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.trainer.export import export_model

RESNET: dict[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
VIT: dict[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
CONFIGS = {"resnet": RESNET, "vit": VIT}


def small_model(config: dict[str, Any]) -> CLIP:
    """Create a CLIP model from `config`.

    The weights are the same on every call. The batch norm values are random, so that embeddings differ.
    """
    torch.manual_seed(0)
    model = CLIP(**config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


def export_small(config: dict[str, Any], folder: Path, **facts: Any) -> CLIP:
    """Export `small_model(config)` to `folder` and return it."""
    model = small_model(config)
    preprocess = PreprocessCfg(size=config["vision_cfg"]["image_size"])
    tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    export_model(model, preprocess, tokenizer, config, folder, name="small", **facts)
    return model


def real_photos() -> list[Image.Image]:
    """The sample photos, as PIL RGB images."""
    return [Image.open(path).convert("RGB") for path in sample_photos()]


def torch_images(model: Any, photos: list[Image.Image], config: PreprocessCfg) -> np.ndarray:
    """Embed photos with open_clip and its own transform."""
    transform = image_transform_v2(config, is_train=False)
    with torch.no_grad():
        found: np.ndarray = model.encode_image(
            torch.stack([transform(photo) for photo in photos]), normalize=True
        ).numpy()
    return found


def torch_texts(model: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """Embed texts with open_clip."""
    with torch.no_grad():
        found: np.ndarray = model.encode_text(tokenizer(texts), normalize=True).numpy()
    return found
