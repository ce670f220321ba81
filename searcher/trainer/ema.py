"""An exponential moving average of the weights."""

from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel


def averaged(model: Any, decay: float) -> AveragedModel:
    """Average the weights and running statistics of `model`. Call `update_parameters(model)` after each step.

    The effective decay is lower during the first steps, so that the average soon forgets the random start. After n
    steps, the average covers about the last min(1 / (1 - decay), n / 9) steps. Locked weights and constants (such as
    the mask of a text tower) do not change, so they are not averaged. They share memory with the model.
    """

    def mix(averages: Any, currents: Any, steps: Tensor | int) -> None:
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        for average, current in zip(averages, currents, strict=True):
            if average.data_ptr() == current.data_ptr():
                continue
            if average.is_floating_point():
                average.lerp_(current, 1 - kept)
            else:
                average.copy_(current)

    average = AveragedModel(model, multi_avg_fn=mix, use_buffers=True)
    for mine, theirs in zip(average.module.parameters(), model.parameters(), strict=True):
        if not theirs.requires_grad:
            mine.data = theirs.data
    for ours, module in zip(average.module.modules(), model.modules(), strict=True):
        if not isinstance(module, _BatchNorm):
            for name, buffer in module.named_buffers(recurse=False):
                setattr(ours, name, buffer)
    return average
