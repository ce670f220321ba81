"""The gradient of one step: encode → loss → backward, for a batch in one or several parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from searcher.trainer.distributed import Processes
from searcher.trainer.locked import image_head
from searcher.trainer.loss import clip_loss, distillation_loss, posterior_loss, prototype_loss, sigmoid_loss
from searcher.trainer.text import FrozenText
from searcher.trainer.towers import PosteriorHead

Batch = dict[str, Tensor]
INPUTS = ("images", "features", "texts")  # of the encoders; all other tensors of a batch are for the loss


@dataclass(frozen=True)
class Objective:
    """Computes the features of a batch, and the losses from the features."""

    model: Any  # an open_clip model
    processes: Processes
    loss: str = "softmax"  # or "sigmoid"
    label_smoothing: float = 0.0
    frozen: FrozenText | None = None

    def encode(self, batch: Batch) -> Batch:
        """The features "image" and "text", or only "text" for sentences. Each is float32 [n, d] with unit length.

        The batch has "images", or "features" of a locked image trunk. With those, and a head that knows classes, there
        is also their "posterior", float32 [n, classes].
        """
        features = {}
        with self.processes.autocast():
            if "images" in batch:
                pixels = batch["images"].contiguous(memory_format=torch.channels_last)
                features["image"] = self.model.encode_image(pixels, normalize=True)
            elif "features" in batch:
                head = image_head(self.model.visual)
                features["image"] = nn.functional.normalize(head(batch["features"]), dim=-1)
                if isinstance(head, PosteriorHead):
                    features["posterior"] = head.posterior(batch["features"]).detach()
            if self.frozen:
                features["text"] = self.frozen.features(batch)
            else:
                features["text"] = self.model.encode_text(batch["texts"], normalize=True)
        return {side: tensor.float() for side, tensor in features.items()}

    def losses(self, features: Batch, batch: Batch) -> Batch:
        """The loss terms by name. Their sum is minimised.

        There is "contrastive" if there are images, "prototypes" if there are prototypes and classes, "posterior" if
        there is a posterior, and "distillation" if there is a teacher.
        """
        scale, gather = self.model.logit_scale.exp(), self.processes.gather
        terms = {}
        if "image" in features:
            pair = features["image"], features["text"], scale
            if self.loss == "sigmoid":
                terms["contrastive"] = sigmoid_loss(*pair, self.model.logit_bias, batch["ids"], gather=gather)
            else:
                smoothing = self.label_smoothing
                terms["contrastive"] = clip_loss(*pair, batch["ids"], label_smoothing=smoothing, gather=gather)
            if self.frozen and self.frozen.prototypes is not None and "classes" in batch:  # shards have no classes
                of_images = features["image"], self.frozen.prototypes, scale
                terms["prototypes"] = prototype_loss(*of_images, batch["classes"], batch["rivals"], gather=gather)
            if "posterior" in features:
                names = cast(PosteriorHead, image_head(self.model.visual)).names
                terms["posterior"] = posterior_loss(features["image"], names, scale, features["posterior"])
        if "teacher" in batch:
            student = features["image"] if "image" in features else features["text"]
            terms["distillation"] = distillation_loss(student, batch["teacher"], gather=gather)
        return terms


def backward(objective: Objective, parts: Sequence[Batch], draw: Sequence[int] = (0,)) -> Batch:
    """Compute the gradient of the whole batch's loss in the parameters. Returns the mean of each loss term.

    parts: this process's share of the batch. With several parts, the features are first computed without gradient.
    The loss of the whole batch then gives the gradient of each feature. Finally every part is encoded again to pass
    the gradient on (Gao et al. 2021). So the negatives come from the whole batch, as with open_clip's accum_freq, but
    only one part has to fit into memory.

    draw: numbers that seed the random draws of a tower (dropout), together with the rank and the part. So both passes
    draw the same.
    """
    rank = objective.processes.rank
    batch = {key: torch.cat([part[key] for part in parts]) for key in parts[0] if key not in INPUTS}
    if len(parts) == 1:
        seed_towers((*draw, rank, 0))
        terms = objective.losses(objective.encode(parts[0]), batch)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    else:
        cached = []
        with torch.no_grad():
            for number, part in enumerate(parts):
                seed_towers((*draw, rank, number))
                cached.append(objective.encode(part))
        features = {side: torch.cat([part[side] for part in cached]).requires_grad_() for side in cached[0]}
        terms = objective.losses(features, batch)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        start = 0
        for number, part in enumerate(parts):
            seed_towers((*draw, rank, number))
            rows = slice(start, start := start + len(part["texts"]))
            again = {side: tensor for side, tensor in objective.encode(part).items() if tensor.requires_grad}
            wanted: list[Any] = [features[side].grad for side in again]
            torch.autograd.backward(list(again.values()), [gradient[rows] for gradient in wanted])
    objective.processes.mean_gradients(objective.model.parameters())
    return {name: objective.processes.mean(term) for name, term in terms.items()}


def seed_towers(draw: Sequence[int]) -> None:
    """Seed torch, so that the random draws of a tower are a function of these numbers."""
    torch.manual_seed(int(np.random.SeedSequence(draw).generate_state(1)[0]))
