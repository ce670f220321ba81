"""The gradient of a batch is the same for the whole batch, for several parts and for several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from safetensors.torch import load_file
from torch import nn

from searcher.progress import SILENT
from searcher.trainer import checkpoint
from searcher.trainer.distributed import Processes
from searcher.trainer.locked import freeze
from searcher.trainer.step import Objective, backward
from searcher.trainer.text import FrozenText
from tests.trainer.conftest import CONFIGS, TEXT

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


def run_on_two_processes(program: str, tmp_path: Path) -> None:
    """Run `program` with torchrun on two CPU processes."""
    script = tmp_path / "program.py"
    script.write_text(program)
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(tmp_path: Path) -> None:
    run_on_two_processes(
        """
import json
from dataclasses import replace
import torch
from safetensors.torch import save_file
from searcher.trainer.distributed import join
from searcher.trainer.locked import freeze
from searcher.trainer.step import Objective, backward
from searcher.trainer.text import FrozenText
from tests.trainer.test_step import batch_of, cut, gradients, model_of, teacher_and_classes, words

with join() as processes:
    assert processes.count == 2
    exact = replace(processes, dtype=None)
    for loss in ("softmax", "sigmoid", "locked"):
        model = model_of("vit", init_logit_bias=-5.0)
        frozen = None
        if loss == "locked":
            freeze(model, ("text",))
            frozen = FrozenText(model, words, {"a": ("x", "y"), "b": ("z",)})
        share = cut(batch_of(16, **teacher_and_classes(16)), 2)[processes.rank]
        objective = Objective(model, exact, loss.replace("locked", "softmax"), 0.1 * (loss == "softmax"), frozen)
        terms = backward(objective, cut(share, 2))
        save_file(gradients(model), f"{loss} {processes.rank}.safetensors")
        if processes.first:
            open(f"{loss}.json", "w").write(json.dumps({name: term.item() for name, term in terms.items()}))
""",
        tmp_path,
    )
    for loss in ("softmax", "sigmoid", "locked"):
        model = model_of("vit", init_logit_bias=-5.0)
        frozen = None
        if loss == "locked":
            freeze(model, ("text",))
            frozen = FrozenText(model, words, {"a": ("x", "y"), "b": ("z",)})
        batch = batch_of(16, **teacher_and_classes(16))
        name = loss.replace("locked", "softmax")
        terms = backward(Objective(model, EXACT, name, 0.1 * (loss == "softmax"), frozen), [batch])
        expected = gradients(model)
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


@pytest.mark.slow
def test_a_run_with_two_processes_has_the_losses_of_a_run_with_one(folder: Path, tmp_path: Path) -> None:
    run_on_two_processes(
        f"""
import contextlib
from dataclasses import replace
from pathlib import Path
from searcher.trainer import loop
from tests.trainer.conftest import settings_for

loop.publish = lambda *arguments: None
loop.LOG_EVERY = 1
joined = loop.join


@contextlib.contextmanager
def exactly():
    with joined() as processes:
        yield replace(processes, dtype=None)


loop.join = exactly
folder = Path({str(folder)!r})
loop.train(settings_for(folder, Path("two"), model=str(folder / "vit.json"), val=folder / "classes"))
""",
        tmp_path,
    )
    lines = [json.loads(line) for line in (tmp_path / "two/metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 12
    assert "zero_shot" in lines[-1]
    assert len(lines) == 12
    run_alone(folder, tmp_path)
    # Compare losses, not weights: AdamW divides by the size of a gradient, which amplifies rounding if it is near zero.
    alone = [json.loads(line) for line in (tmp_path / "one/metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in alone], abs=1e-3)


def run_alone(folder: Path, tmp_path: Path) -> None:
    from searcher.trainer import loop
    from tests.trainer.conftest import settings_for

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "publish", lambda *arguments: None)
        patch.setattr(loop, "LOG_EVERY", 1)
        settings = settings_for(folder, tmp_path / "one", model=str(folder / "vit.json"))
        loop._train(settings, SILENT, EXACT)
