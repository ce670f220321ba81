"""Cache the features of a text tower that is not trained."""

from typing import Any

import torch
from torch import Tensor, nn

REMEMBERED = 500_000  # the maximum number of cached captions, at 400 to 2000 bytes per caption


class FrozenText:
    """Features of captions and of classes from a locked text tower. They are computed once and cached.

    captions_of: the captions of each class, in the order of the class numbers. It is empty if there are no classes.
    """

    @torch.no_grad()
    def __init__(self, model: Any, tokenizer: Any, captions_of: dict[str, tuple[str, ...]]) -> None:
        self.model, self.known = model, dict[int, Tensor]()
        self.prototypes: Tensor | None = None  # float32 [classes, d], unit length
        if len(captions_of) > 1:
            device = model.logit_scale.device
            means = [self._encode(tokenizer(list(captions)).to(device)).mean(0) for captions in captions_of.values()]
            self.prototypes = nn.functional.normalize(torch.stack(means), dim=-1)

    @torch.no_grad()
    def features(self, batch: dict[str, Tensor]) -> Tensor:
        """The text features of a batch, float32 [n, d]. Captions that are not cached yet are encoded."""
        captions = batch["ids"][:, 0].tolist()
        new = {caption: row for row, caption in enumerate(captions) if caption not in self.known}
        if new:
            if len(self.known) > REMEMBERED:
                self.known.clear()
                new = {caption: row for row, caption in enumerate(captions)}
            features = self._encode(batch["texts"][list(new.values())])
            self.known.update(zip(new, features, strict=True))
        return torch.stack([self.known[caption] for caption in captions])

    def _encode(self, tokens: Tensor) -> Tensor:
        """Tokens [n, context length] → float32 [n, d], unit length."""
        features: Tensor = self.model.encode_text(without_padding(self.model, tokens), normalize=True)
        return features.float()


def without_padding(model: Any, tokens: Tensor) -> Tensor:
    """Tokens [n, context length] without the columns that are padding in all rows.

    Only a text tower of Hugging Face ignores padding. For other towers, the tokens are returned as they are.
    """
    config = getattr(getattr(model, "text", None), "config", None)
    if config is None:
        return tokens
    used = (tokens != config.pad_token_id).any(0).nonzero()
    return tokens[:, : int(used.max()) + 1]
