"""What a text tower that is not trained says, computed once."""

from typing import Any

import torch
from torch import Tensor, nn

REMEMBERED = 500_000  # captions at most, 400 to 2000 bytes a caption


class FrozenText:
    """Features of each caption, and of each class as a whole, by a locked text tower.

    captions_of: the captions of each class, in the order of the classes' numbers; empty where there are no classes.
    """

    @torch.no_grad()
    def __init__(self, model: Any, tokenizer: Any, captions_of: dict[str, tuple[str, ...]]) -> None:
        self.model, self.known = model, dict[int, Tensor]()
        self.prototypes: Tensor | None = None  # float32 [classes, d], unit length
        if len(captions_of) > 1:
            device = model.logit_scale.device
            means = [
                model.encode_text(tokenizer(list(captions)).to(device), normalize=True).float().mean(0)
                for captions in captions_of.values()
            ]
            self.prototypes = nn.functional.normalize(torch.stack(means), dim=-1)

    @torch.no_grad()
    def features(self, batch: dict[str, Tensor]) -> Tensor:
        """Text features [n, d] of a batch: each caption is encoded once in a run."""
        captions = batch["ids"][:, 0].tolist()
        new = {caption: row for row, caption in enumerate(captions) if caption not in self.known}
        if new:
            if len(self.known) > REMEMBERED:
                self.known.clear()
                new = {caption: row for row, caption in enumerate(captions)}
            features = self.model.encode_text(batch["texts"][list(new.values())], normalize=True).float()
            self.known.update(zip(new, features, strict=True))
        return torch.stack([self.known[caption] for caption in captions])
