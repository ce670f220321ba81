"""An image tower that timm does not have: a ResNet for pictures of 64 pixels.

Importing this module gives timm the name `resnet_64px`, for `timm_model_name` in a model config.
"""

from typing import Any, cast

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

default_cfgs = generate_default_cfgs({"resnet_64px": {"input_size": (3, 64, 64), "first_conv": "conv1.0"}})


@register_model
def resnet_64px(pretrained: bool = False, **options: Any) -> nn.Module:
    """A ResNet of basic blocks, narrow at first, without the pooling of its stem: 4.3 million parameters.

    The usual ResNet halves a picture five times: of 64 pixels two remain, too few to tell where things are. This one
    halves it four times and takes no more time for it. There are no weights to be had.
    """
    shape: dict[str, Any] = {"layers": (1, 2, 2, 2), "channels": (32, 64, 160, 320)}
    stem: dict[str, Any] = {"stem_type": "deep", "stem_width": 16}
    model: Any = build_model_with_cfg(ResNet, "resnet_64px", pretrained, block=BasicBlock, **shape, **stem, **options)
    model.maxpool = nn.Identity()
    return cast(nn.Module, model)
