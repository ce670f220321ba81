"""An image tower that timm does not have: a ResNet for images of 64 × 64 pixels.

Importing this module registers the name `resnet_64px` with timm, for `timm_model_name` in a model config.
"""

from typing import Any, cast

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

default_cfgs = generate_default_cfgs({"resnet_64px": {"input_size": (3, 64, 64), "first_conv": "conv1.0"}})


@register_model
def resnet_64px(pretrained: bool = False, **options: Any) -> nn.Module:
    """A ResNet of basic blocks with narrow first layers and no pooling in its stem. It has 4.3 million parameters.

    The usual ResNet halves an image five times. That leaves 2 of 64 pixels, too few to locate things. This one halves
    the image four times and takes no more time. There are no pretrained weights.
    """
    shape: dict[str, Any] = {"layers": (1, 2, 2, 2), "channels": (32, 64, 160, 320)}
    stem: dict[str, Any] = {"stem_type": "deep", "stem_width": 16}
    model: Any = build_model_with_cfg(ResNet, "resnet_64px", pretrained, block=BasicBlock, **shape, **stem, **options)
    model.maxpool = nn.Identity()
    return cast(nn.Module, model)
