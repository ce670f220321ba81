"""Losses of the contrastive trainer, and nothing else."""

import torch
import torch.nn.functional as F
from torch import Tensor


def clip_loss(image_features: Tensor, text_features: Tensor, logit_scale: Tensor, ids: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE over a batch (Radford et al. 2021, figure 3).

    image_features, text_features: [n, d], unit length, row i of one matches row i of the other.
    logit_scale: the scalar that multiplies cosines. ids: [n, k] integers or None; rows that share an id in one of the k
    columns describe the same thing (the same caption, the same class), so each is a positive of the other and the
    target is spread evenly over them. Without ids this equals open_clip's ClipLoss.
    """
    logits = logit_scale * image_features @ text_features.T
    if ids is None:
        target = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    same = (ids[:, None, :] == ids[None, :, :]).any(-1).to(logits.dtype)
    target = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def prototype_loss(image_features: Tensor, prototypes: Tensor, logit_scale: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of images against the mean caption of every class, not only of those in the batch.

    image_features: [n, d]; prototypes: [k, d], the frozen text tower's, unit length; classes: integers [n], -1 for an
    image of no class, which does not count.
    """
    if (classes < 0).all():
        return image_features.sum() * 0
    return F.cross_entropy(logit_scale * image_features @ prototypes.T, classes, ignore_index=-1)


def distillation_loss(text_features: Tensor, teacher: Tensor) -> Tensor:
    """Mean 1 - cosine between text features and a teacher's embeddings of the same sentences, both [n, d]."""
    return (1 - F.cosine_similarity(text_features.float(), teacher.float(), dim=-1)).mean()
