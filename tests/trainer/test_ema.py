"""The moving average of the weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from searcher.trainer.checkpoint import State
from searcher.trainer.ema import averaged
from searcher.trainer.locked import freeze
from tests.trainer.test_step import model_of


def test_the_average_follows_slowly_and_does_not_touch_constants() -> None:
    model = model_of("tiny")
    average: Any = averaged(model, decay=0.9)
    mask = model.attn_mask.clone()
    assert torch.isinf(mask).any()
    values, expected = [], None
    for step in range(30):
        with torch.no_grad():
            model.logit_scale.fill_(float(step))
            model.visual.bn1.running_mean.fill_(float(step))
        average.update_parameters(model)
        kept = min(0.9, (1 + step) / (10 + step))
        expected = float(step) if expected is None else kept * expected + (1 - kept) * step
        values.append(average.module.logit_scale.item())
        assert values[-1] == pytest.approx(expected, rel=1e-5)
        assert average.module.visual.bn1.running_mean[0].item() == pytest.approx(expected, rel=1e-5)
    assert values[-1] < 29 - 2
    assert torch.equal(average.module.attn_mask, mask)
    assert torch.equal(average.module.visual.conv1.weight, model.visual.conv1.weight)


def test_a_locked_tower_is_shared_and_not_averaged() -> None:
    model = model_of("tiny")
    freeze(model, ("text",))
    average: Any = averaged(model, decay=0.9)
    for _ in range(3):
        with torch.no_grad():
            model.visual.conv1.weight.add_(1.0)
        average.update_parameters(model)
    assert average.module.token_embedding.weight.data_ptr() == model.token_embedding.weight.data_ptr()
    assert average.module.visual.conv1.weight.data_ptr() != model.visual.conv1.weight.data_ptr()
    assert (average.module.visual.conv1.weight < model.visual.conv1.weight).all()


def test_the_state_of_a_run_with_a_locked_tower_and_an_average_can_be_reloaded(tmp_path: Path) -> None:
    states = []
    for _ in range(2):
        model = model_of("tiny")
        freeze(model, ("text",))
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
        states.append(State(model, optimizer, averaged(model, decay=0.9)))
    first: Any
    second: Any
    first, second = states
    for _ in range(3):
        with torch.no_grad():
            first.model.visual.conv1.weight.add_(1.0)
        first.average.update_parameters(first.model)
    first.save(tmp_path / "state", {"step": 3})
    second.load(tmp_path / "state")
    for one, two in ((first.model, second.model), (first.average, second.average)):
        expected, found = one.state_dict(), two.state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)
