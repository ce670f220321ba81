"""The image tower of the built-in model, which timm does not have.

Importing this module registers its name with timm, for `timm_model_name` in a model config.
"""

import math
from typing import Any, cast

import timm
import torch
from timm.models import generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional as F

POSTERIOR = "efficientnet_lite0_posterior"
WITH_HEAD = (POSTERIOR,)  # towers whose own head gives the embedding, so that open_clip adds no projection
CLASSES = 1000  # of ImageNet
STAGES = {4: 112, 2: 40}  # whose channels, pooled over the image, are features too
TEMPERATURE = 1.5  # of the posterior, so that similar classes count as well
SHARE = 3.5  # of the names, next to the learned vector

default_cfgs = generate_default_cfgs(
    {
        POSTERIOR: {"input_size": (3, 224, 224), "mean": (0.5,) * 3, "std": (0.5,) * 3, "classifier": "head"},
    }
)


class PosteriorHead(nn.Module):
    """The features of an ImageNet classifier → an embedding in the space of a text encoder.

    The embedding is the sum of two vectors. One is learned: a linear layer and a small network. The other is the mean
    of the text embeddings of the classes' names, weighted by the classifier's posterior (ConSE, Norouzi et al. 2014).
    It counts for more if the classifier is sure. So a thing is known by its name from the start, and everything else
    is learned. The classifier and the names are not trained.
    """

    names: Tensor  # [classes, dim]: the text embedding of each class's name, without the mean of all names

    def __init__(self, features: int, pooled: int, dim: int, hidden: int = 768, drop: float = 0.3) -> None:
        super().__init__()
        self.classifier = nn.Linear(pooled, CLASSES).requires_grad_(False)
        self.register_buffer("names", torch.zeros(CLASSES, dim))
        self.linear = nn.Linear(features, dim)
        self.mlp = nn.Sequential(
            nn.Linear(features, hidden), nn.GELU(), nn.Dropout(drop), nn.Linear(hidden, dim, bias=False)
        )
        nn.init.zeros_(cast(nn.Linear, self.mlp[-1]).weight)

    def posterior(self, features: Tensor) -> Tensor:
        """What the classifier takes the images for: (n, features) → probabilities (n, classes)."""
        logits = self.classifier(features[:, : self.classifier.in_features])
        return cast(Tensor, (logits / TEMPERATURE).softmax(-1))

    def forward(self, features: Tensor) -> Tensor:
        """(n, features) → (n, dim), not normalised. The classifier takes the first of the features."""
        posterior = self.posterior(features)
        sure = 1 + (posterior * posterior.clamp_min(1e-9).log()).sum(-1, keepdim=True) / math.log(CLASSES)
        named = F.normalize(posterior @ self.names, dim=-1)
        learned = F.normalize(self.linear(features) + self.mlp(features), dim=-1)
        return learned + SHARE * sure * named


class PosteriorTower(nn.Module):
    """timm's EfficientNet-Lite0 with a `PosteriorHead`, in the interface of a timm model."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        trunk: Any = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        self.trunk, self.default_cfg = trunk, trunk.default_cfg | {"classifier": "head"}
        self.num_features = trunk.num_features
        self.head = PosteriorHead(trunk.num_features + sum(STAGES.values()), trunk.num_features, dim)

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward_features(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) → the channels before the classifier and of two earlier stages, each pooled: (n, f)."""
        trunk = self.trunk
        x = trunk.bn1(trunk.conv_stem(images))
        stages = []
        for block in trunk.blocks:
            x = block(x)
            stages.append(x)
        last = trunk.bn2(trunk.conv_head(x))
        return torch.cat([level.mean((2, 3)) for level in (last, *(stages[stage] for stage in STAGES))], dim=-1)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        return features if pre_logits else cast(Tensor, self.head(features))

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


@register_model
def efficientnet_lite0_posterior(pretrained: bool = False, num_classes: int = 384, **options: Any) -> nn.Module:
    """The tower of the built-in model, for images of 224 × 224 pixels. `num_classes` is the width of the embedding."""
    return PosteriorTower(num_classes)
