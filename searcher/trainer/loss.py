"""Losses of the contrastive trainer, and nothing else.

Rows are those of this process; `gather` joins a tensor with the rows of all other processes, in the same order on each
(`Processes.gather`; the default is for one process). The mean of a loss over all processes is the loss of the joined
batch, and so are the sums of gradients divided by their number.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Gather = Callable[[Tensor], Tensor]


def alone(tensor: Tensor) -> Tensor:
    return tensor


def clip_loss(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor,
    ids: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    gather: Gather = alone,
) -> Tensor:
    """Symmetric InfoNCE over a batch (Radford et al. 2021, figure 3).

    image_features, text_features: [n, d], unit length, row i of one matches row i of the other.
    logit_scale: the scalar that multiplies cosines. ids: [n, k] integers; rows that share an id in one of the k
    columns describe the same thing (the same caption, the same class), so each is a positive of the other and the
    target is spread evenly over them. Without ids (one process only) this equals open_clip's ClipLoss.
    """
    image_to_text = logit_scale * image_features @ gather(text_features).T
    text_to_image = logit_scale * text_features @ gather(image_features).T
    if ids is None:
        target = torch.arange(len(image_to_text), device=image_to_text.device)
    else:
        same = _same(ids, gather).to(image_to_text.dtype)
        target = same / same.sum(1, keepdim=True)
    return (
        F.cross_entropy(image_to_text, target, label_smoothing=label_smoothing)
        + F.cross_entropy(text_to_image, target, label_smoothing=label_smoothing)
    ) / 2


def sigmoid_loss(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor,
    logit_bias: Tensor,
    ids: Tensor | None = None,
    *,
    gather: Gather = alone,
) -> Tensor:
    """Each pair of an image and a text is one yes-or-no question (Zhai et al. 2023, SigLIP).

    Arguments as of `clip_loss`; logit_bias: the scalar added to the logits. Rows that share an id are a yes. Without
    ids (one process only) this equals open_clip's SigLipLoss.
    """
    logits = logit_scale * image_features @ gather(text_features).T + logit_bias
    same = torch.eye(len(logits), dtype=torch.bool, device=logits.device) if ids is None else _same(ids, gather)
    return -F.logsigmoid(torch.where(same, logits, -logits)).sum() / len(logits)


def prototype_loss(
    image_features: Tensor,
    prototypes: Tensor,
    logit_scale: Tensor,
    classes: Tensor,
    rivals: Tensor,
    *,
    gather: Gather = alone,
) -> Tensor:
    """Cross-entropy of images against the mean caption of every class, not only of those in the batch.

    image_features: [n, d]; prototypes: [k, d], the frozen text tower's, unit length; classes: integers [n], -1 for an
    image of no class, which does not count; rivals: bool [n, k], the classes among which an image is told.
    """
    logits = (logit_scale * image_features @ prototypes.T).masked_fill(~rivals, -1e4)
    return _mean_of(F.cross_entropy(logits, classes, ignore_index=-1, reduction="none"), classes >= 0, gather)


def distillation_loss(features: Tensor, teacher: Tensor, *, gather: Gather = alone) -> Tensor:
    """Mean 1 - cosine between features and a teacher's embeddings of the same, both [n, d].

    A row of zeros in `teacher` does not count.
    """
    distance = 1 - F.cosine_similarity(features.float(), teacher.float(), dim=-1)
    return _mean_of(distance, teacher.any(-1), gather)


def _same(ids: Tensor, gather: Gather) -> Tensor:
    """[n, k] → bool [n, N]: which row of all processes describes the same thing as each row of this one."""
    return (ids[:, None, :] == gather(ids)[None, :, :]).any(-1)


def _mean_of(values: Tensor, counts: Tensor, gather: Gather) -> Tensor:
    """The mean over the rows that count among all processes' rows, as this process's part of it."""
    everyone = gather(counts.to(values.dtype))
    return (values * counts).sum() / everyone.sum().clamp(min=1) * (len(everyone) / len(counts))
