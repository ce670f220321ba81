"""An exponential moving average of the weights."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel


def averaged(model: Any, decay: float) -> AveragedModel:
    """The average of `model`'s weights and buffers; after each step call `update_parameters(model)`.

    The first steps count less than `decay` says, so that the average does not cling to the random start: after n steps
    it looks back over min(1 / (1 - decay), n / 9) of them, about.
    """

    def mixed(average: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        if not average.is_floating_point():
            return current
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        # What is equal stays as it is: a text tower's mask is a buffer of -inf, of which no mean can be taken.
        return torch.where(average == current, current, current.lerp(average, kept))

    return AveragedModel(model, avg_fn=mixed, use_buffers=True)
