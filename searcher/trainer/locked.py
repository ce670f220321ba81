"""Lock a tower of an open_clip model, so that it is not trained (locked-image tuning, Zhai et al. 2022)."""

import hashlib
from typing import Any, cast

import torch
from open_clip.timm_model import TimmModel
from torch import Tensor, nn

from searcher.errors import InvalidInput
from searcher.trainer.weights import SCALARS


class ImageTrunk(nn.Module):
    """The part of an image tower that `--freeze image` locks: everything before its head."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) → the features that the head takes, (n, f)."""
        visual = cast(Any, self.visual)
        if not isinstance(visual, TimmModel):
            features = visual(images)
        elif has_parameters(visual.head):
            features = visual.trunk(images)
        else:  # timm's own classifier is the head
            features = visual.trunk.forward_head(visual.trunk.forward_features(images), pre_logits=True)
        return cast(Tensor, features)


def image_head(visual: nn.Module) -> nn.Module:
    """The part of an image tower that is trained behind a locked trunk: features (n, f) → embeddings (n, d).

    It is open_clip's projection of a timm model, or else timm's own classifier. Other towers of open_clip are locked
    as a whole, as `lock_image_tower` does it, and have no head.
    """
    if not isinstance(visual, TimmModel):
        return nn.Identity()
    head = visual.head if has_parameters(visual.head) else visual.trunk.get_classifier()
    return cast(nn.Module, head)


def has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def freeze(model: Any, sides: tuple[str, ...]) -> None:
    """Lock these towers: they get no gradients, and their running statistics and dropout are as in evaluation mode.

    "image": the trunk of the image tower, but not its head. "text": all of the text tower. Raises InvalidInput if
    nothing would be left to train.
    """
    model.train()
    head = image_head(model.visual)
    image, trained = set(model.visual.parameters()), set(head.parameters())
    for name, parameter in model.named_parameters():
        side = "image" if parameter in image else "text"
        if side in sides and parameter not in trained and name not in SCALARS:
            parameter.requires_grad_(False)
    if "image" in sides:
        model.visual.eval()
        head.train()
    if "text" in sides:
        for name, child in model.named_children():
            if name != "visual":
                child.eval()
    if not any(parameter.requires_grad for name, parameter in model.named_parameters() if name not in SCALARS):
        raise InvalidInput(f"--freeze {','.join(sides)} leaves nothing to train: this image tower has no head")


@torch.no_grad()
def trunk_digest(visual: nn.Module) -> str:
    """A hex digest of all that decides a trunk's features: its weights, running statistics and layers."""
    head = {tensor.data_ptr() for tensor in image_head(visual).state_dict().values()}
    digest = hashlib.blake2b(str(cast(Any, visual).trunk if isinstance(visual, TimmModel) else visual).encode())
    for name, tensor in visual.state_dict().items():
        if tensor.data_ptr() not in head:
            digest.update(f"{name} {tuple(tensor.shape)} ".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
