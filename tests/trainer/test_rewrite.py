from typing import Any

import pytest
import torch
from torch import nn

from searcher.trainer.rewrite import PatchProduct, PlainAttention, rewritten
from tests.models.towers import RESNET, VIT, small_model


@pytest.mark.parametrize("config", [VIT, RESNET], ids=["vit", "resnet"])
def test_a_rewritten_model_gives_the_same_results_and_is_restored_afterwards(config: dict[str, Any]) -> None:
    model = small_model(config)
    names = list(model.state_dict())
    images = torch.randn(3, 3, 64, 64)
    ids = torch.randint(0, 49407, (3, config["text_cfg"]["context_length"]))
    ids[:, 9] = 49407
    with torch.no_grad():
        expected = model.encode_image(images), model.encode_text(ids)
        with rewritten(model):
            kinds = {type(module) for module in model.modules()}
            assert PlainAttention in kinds
            assert (PatchProduct in kinds) == (config is VIT)
            found = model.encode_image(images), model.encode_text(ids)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert list(model.state_dict()) == names
    assert not any(isinstance(module, PlainAttention | PatchProduct) for module in model.modules())


def test_a_model_is_restored_after_an_error() -> None:
    model = small_model(VIT)
    with pytest.raises(RuntimeError, match="halfway"), rewritten(model):
        raise RuntimeError("halfway")
    assert not any(isinstance(module, PlainAttention | PatchProduct) for module in model.modules())


@pytest.mark.parametrize("kind", ["bool", "float", "none"])
def test_plain_attention_supports_the_masks_of_the_original(kind: str) -> None:
    torch.manual_seed(0)
    original = nn.MultiheadAttention(32, 4, batch_first=True).eval()
    x = torch.randn(2, 5, 32)
    above = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1)
    mask = {"bool": above, "float": torch.zeros(5, 5).masked_fill(above, -torch.inf), "none": None}[kind]
    with torch.no_grad():
        expected, _ = original(x, x, x, need_weights=False, attn_mask=mask)
        found, _ = PlainAttention(original)(x, x, x, need_weights=False, attn_mask=mask)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
        other = torch.randn(2, 7, 32)  # cross-attention uses the original
        expected, _ = original(x, other, other, need_weights=False)
        torch.testing.assert_close(PlainAttention(original)(x, other, other, need_weights=False)[0], expected)


def test_patches_are_cut_like_the_convolution_if_they_do_not_fill_the_image() -> None:
    torch.manual_seed(0)
    original = nn.Conv2d(3, 8, kernel_size=16, stride=16)
    image = torch.randn(2, 3, 70, 50)
    with torch.no_grad():
        torch.testing.assert_close(PatchProduct(original)(image), original(image), atol=1e-5, rtol=1e-4)
