"""The gradient of a batch is the same for the whole batch, for several parts and for several processes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from safetensors.torch import load_file, save_file
from torch import nn

from searcher.trainer import checkpoint, loop
from searcher.trainer.distributed import Processes, join
from searcher.trainer.locked import freeze
from searcher.trainer.step import Objective, backward
from searcher.trainer.text import FrozenText
from tests.trainer.conftest import CONFIGS, TEXT, settings_for, skip_results
from tests.trainer.processes import run_on_two

EXACT = Processes()


def model_of(name: str, **config: Any) -> Any:
    torch.manual_seed(0)
    model, _ = checkpoint.create({"embed_dim": 32, "vision_cfg": CONFIGS[name], "text_cfg": TEXT} | config)
    return model.train()


def batch_of(n: int, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    """Random images and texts. Rows 0 and n - 1 have the same caption."""
    generator = torch.Generator().manual_seed(7)
    texts = torch.randint(1, 49407, (n, 12), generator=generator)
    texts[:, 8] = 49407  # the end token
    texts[n - 1] = texts[0]
    ids = torch.arange(n)[:, None].repeat(1, 2) + torch.tensor([0, 1000])
    ids[n - 1, 0] = ids[0, 0]
    return {"images": torch.randn(n, 3, 32, 32, generator=generator), "texts": texts, "ids": ids, **more}


def cut(batch: dict[str, torch.Tensor], parts: int) -> list[dict[str, torch.Tensor]]:
    size = len(batch["texts"]) // parts
    return [{key: value[i * size : (i + 1) * size] for key, value in batch.items()} for i in range(parts)]


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_loss_and_gradients_of_a_model_equal_those_of_open_clip(loss: str) -> None:
    model = model_of("vit", init_logit_bias=-5.0)
    batch = batch_of(8)
    batch["ids"] = torch.arange(8)[:, None]
    found = backward(Objective(model, EXACT, loss), [batch])
    ours = gradients(model)
    model.zero_grad()
    image, text = model.encode_image(batch["images"], normalize=True), model.encode_text(batch["texts"], normalize=True)
    scale = model.logit_scale.exp()
    expected = (
        SigLipLoss()(image, text, scale, model.logit_bias) if loss == "sigmoid" else ClipLoss()(image, text, scale)
    )
    expected.backward()
    theirs = gradients(model)
    assert found["contrastive"].item() == pytest.approx(expected.item(), abs=1e-6)
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_a_batch_in_parts_has_the_gradients_of_the_whole_batch(loss: str) -> None:
    model = model_of("vit", init_logit_bias=-5.0)
    teacher = torch.randn(12, 32)
    teacher[3] = 0
    batch = batch_of(12, teacher=teacher)
    whole = backward(Objective(model, EXACT, loss, 0.1 * (loss == "softmax")), [batch])
    expected = gradients(model)
    model.zero_grad()
    found = backward(Objective(model, EXACT, loss, 0.1 * (loss == "softmax")), cut(batch, 3))
    assert found.keys() == whole.keys() == {"contrastive", "distillation"}
    for name in whole:
        torch.testing.assert_close(found[name], whole[name])
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-5, msg=name)


def test_random_draws_of_a_tower_are_repeated_in_the_second_pass() -> None:
    model = model_of("vit", vision_cfg=CONFIGS["vit"] | {"patch_dropout": 0.5})
    batch = batch_of(8)
    objective = Objective(model, EXACT)
    backward(objective, cut(batch, 2), (1, 2))
    one = gradients(model)
    model.zero_grad()
    torch.rand(5)  # draws elsewhere must not matter
    backward(objective, cut(batch, 2), (1, 2))
    assert all(torch.equal(one[name], gradient) for name, gradient in gradients(model).items())
    model.zero_grad()
    backward(objective, cut(batch, 2), (1, 3))
    assert not all(torch.equal(one[name], gradient) for name, gradient in gradients(model).items())


def test_a_locked_text_tower_gets_no_gradient_and_encodes_each_caption_once() -> None:
    model = model_of("tiny")
    freeze(model, ("text",))
    batch = batch_of(8, classes=torch.tensor([0, 1, 2, -1] * 2), rivals=torch.ones(8, 3, dtype=torch.bool))
    asked: list[int] = []
    encode = model.encode_text

    def counted(texts: torch.Tensor, normalize: bool) -> Any:
        asked.append(len(texts))
        return encode(texts, normalize=normalize)

    model.encode_text = counted

    def tokenizer(texts: list[str]) -> torch.Tensor:
        return batch["texts"][: len(texts)]

    frozen = FrozenText(model, tokenizer, {"a": ("x", "y"), "b": ("z",), "c": ("v", "w")})
    assert asked == [2, 1, 2]
    objective = Objective(model, EXACT, frozen=frozen)
    for _ in range(2):
        found = backward(objective, cut(batch, 2))
    assert found.keys() == {"contrastive", "prototypes"}
    assert sum(asked) - 5 == 7  # eight rows, two with the same caption
    trained = {name for name, _ in gradients(model).items()}
    assert trained == {name for name, _ in model.visual.named_parameters(prefix="visual")} | {"logit_scale"}


LOSSES = ("softmax", "sigmoid", "locked")


def objective_of(loss: str, processes: Processes) -> Objective:
    """The objective of a new model. "locked" is the softmax loss with a locked text tower."""
    model = model_of("vit", init_logit_bias=-5.0)
    if loss != "locked":
        return Objective(model, processes, loss, 0.1 * (loss == "softmax"))
    freeze(model, ("text",))
    return Objective(model, processes, frozen=FrozenText(model, words, {"a": ("x", "y"), "b": ("z",)}))


def save_gradients(folder: Path) -> None:
    """For one of two processes: write the gradients and terms of each loss."""
    with join() as processes:
        assert processes.count == 2
        for loss in LOSSES:
            objective = objective_of(loss, replace(processes, dtype=None))
            share = cut(batch_of(16, **teacher_and_classes(16)), 2)[processes.rank]
            terms = backward(objective, cut(share, 2))
            save_file(gradients(objective.model), folder / f"{loss} {processes.rank}.safetensors")
            if processes.first:
                values = {name: term.item() for name, term in terms.items()}
                (folder / f"{loss}.json").write_text(json.dumps(values))


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(tmp_path: Path) -> None:
    run_on_two(save_gradients, tmp_path)
    for loss in LOSSES:
        objective = objective_of(loss, EXACT)
        terms = backward(objective, [batch_of(16, **teacher_and_classes(16))])
        expected = gradients(objective.model)
        found = json.loads((tmp_path / f"{loss}.json").read_text())
        assert found == pytest.approx({name: term.item() for name, term in terms.items()}, abs=1e-5)
        for rank in (0, 1):
            theirs = load_file(tmp_path / f"{loss} {rank}.safetensors")
            assert theirs.keys() == expected.keys()
            for key in expected:
                torch.testing.assert_close(theirs[key], expected[key], atol=1e-5, rtol=0, msg=f"{loss} {key}")


def teacher_and_classes(n: int) -> dict[str, torch.Tensor]:
    """A teacher that lacks some rows, and classes that lack some, spread unevenly over the processes."""
    teacher = torch.randn(n, 32, generator=torch.Generator().manual_seed(1))
    teacher[:3] = 0
    classes = torch.arange(n) % 2
    classes[: n // 2 + 2] = -1
    return {"teacher": teacher, "classes": classes, "rivals": torch.ones(n, 2, dtype=torch.bool)}


def words(texts: list[str]) -> torch.Tensor:
    """A simple tokenizer for tests."""
    ids = torch.full((len(texts), 12), 49407)
    ids[:, 0] = torch.tensor([ord(text[0]) for text in texts])
    return ids


def train_exactly(folder: Path, out: Path) -> None:
    """Train in float32 on the CPU, with metrics at every step and no results."""

    @contextmanager
    def exactly() -> Iterator[Processes]:
        with join() as processes:
            yield replace(processes, dtype=None, device=EXACT.device)

    with pytest.MonkeyPatch.context() as patch:
        skip_results(patch)
        patch.setattr(loop, "LOG_EVERY", 1)
        patch.setattr(loop, "join", exactly)
        loop.train(settings_for(folder, out, model=str(folder / "vit.json"), val=folder / "classes"))


@pytest.mark.slow
def test_a_run_with_two_processes_has_the_losses_of_a_run_with_one(folder: Path, tmp_path: Path) -> None:
    run_on_two(partial(train_exactly, folder), tmp_path / "two")
    train_exactly(folder, tmp_path / "one")
    two, one = ([json.loads(line) for line in (tmp_path / name / "metrics.jsonl").open()] for name in ("two", "one"))
    assert two[-1]["step"] == 12
    assert "zero_shot" in two[-1]
    assert len(two) == 12
    # Compare losses, not weights: AdamW divides by the size of a gradient, which amplifies rounding if it is near zero.
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], abs=1e-3)
