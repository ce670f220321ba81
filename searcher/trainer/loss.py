"""The losses of the contrastive trainer.

The rows of each tensor are those of this process. `gather` concatenates them with the rows of all other processes, in
the same order everywhere (see `Processes.gather`; the default is for one process). The mean of a loss over all
processes is the loss of the whole batch. The mean of the gradients is likewise the gradient of the whole batch.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Gather = Callable[[Tensor], Tensor]


def alone(tensor: Tensor) -> Tensor:
    """The `gather` of a single process: returns the tensor unchanged."""
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

    image_features, text_features: [n, d], unit length. Row i of one matches row i of the other. logit_scale: a scalar
    that multiplies the cosines. ids: integers [n, k]. Rows that share an id in one of the k columns describe the same
    thing (the same caption or the same class). They are positives of each other, and the target is spread evenly over
    them. Without ids, which works with one process only, this equals open_clip's ClipLoss.
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
    """Binary classification of each pair of an image and a text (Zhai et al. 2023, SigLIP).

    The arguments are those of `clip_loss`. logit_bias: a scalar that is added to the logits. Rows that share an id are
    positive pairs. Without ids, which works with one process only, this equals open_clip's SigLipLoss.
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
    """Cross-entropy of images against the mean captions of all classes, not only of those in the batch.

    image_features: [n, d], unit length. prototypes: [k, d], unit length, from the frozen text tower. classes: integers
    [n]. An image with class -1 has no class and does not count. rivals: bool [n, k], the classes that each image is
    compared with.
    """
    logits = (logit_scale * image_features @ prototypes.T).masked_fill(~rivals, -1e4)
    return _mean_of(F.cross_entropy(logits, classes, ignore_index=-1, reduction="none"), classes >= 0, gather)


def posterior_loss(image_features: Tensor, names: Tensor, logit_scale: Tensor, posterior: Tensor) -> Tensor:
    """Half the mean Kullback-Leibler divergence of the classes' names from a classifier's posterior.

    So images keep answering to the names that the classifier knows, whatever their captions say. image_features:
    [n, d], unit length. names: [k, d], the text embeddings of the classes. posterior: [n, k], which sums to 1.
    """
    predicted = (logit_scale * image_features @ names.T).log_softmax(-1)
    return F.kl_div(predicted, posterior, reduction="batchmean") / 2


def distillation_loss(features: Tensor, teacher: Tensor, *, gather: Gather = alone) -> Tensor:
    """Mean of 1 - cosine similarity between features and a teacher's embeddings of the same items, both [n, d].

    A row of zeros in `teacher` does not count.
    """
    distance = 1 - F.cosine_similarity(features.float(), teacher.float(), dim=-1)
    return _mean_of(distance, teacher.any(-1), gather)


def _same(ids: Tensor, gather: Gather) -> Tensor:
    """[n, k] → bool [n, N]: whether a row of this process and a row of all processes describe the same thing."""
    return (ids[:, None, :] == gather(ids)[None, :, :]).any(-1)


def _mean_of(values: Tensor, counts: Tensor, gather: Gather) -> Tensor:
    """This process's part of the mean over those rows of all processes that count."""
    everyone = gather(counts.to(values.dtype))
    return (values * counts).sum() / everyone.sum().clamp(min=1) * (len(everyone) / len(counts))
