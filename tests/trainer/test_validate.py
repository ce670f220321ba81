"""Validation during training measures as `searcher evaluate` does."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch

from searcher.datasets import ClassFolder, read_class_folder, read_source
from searcher.evaluate import retrieval, zero_shot
from searcher.models import Model
from searcher.models.preprocess import Preprocess
from searcher.trainer import validate
from searcher.trainer.distributed import Processes
from searcher.trainer.validate import TEMPLATES, TorchEncoder, Validation, thinned
from tests.models.towers import VIT, small_model
from tests.trainer.conftest import Recorder


def encoder_of(model: Any, **changes: Any) -> TorchEncoder:
    tokenizer = open_clip.SimpleTokenizer(context_length=VIT["text_cfg"]["context_length"])
    preprocess = Preprocess.from_config({"size": 64, "resize_mode": "squash"})
    values = {"model": model, "tokenizer": tokenizer, "preprocessing": preprocess, "processes": Processes()}
    return TorchEncoder(dim=VIT["embed_dim"], **(values | changes))


@pytest.mark.slow
def test_validation_equals_evaluate_on_the_exported_model(folder: Path, exported: Callable[..., Path]) -> None:
    model, searched = small_model(VIT).train(), Model.open(exported("vit"))
    encoder = encoder_of(model, preprocessing=searched.preprocessing)

    found = Validation(folder / "classes")(encoder)
    expected = zero_shot(searched, read_class_folder(folder / "classes"), templates=TEMPLATES)
    assert found["zero_shot"] == pytest.approx(expected.top1, abs=max(1e-3, 1.01 / expected.n))

    found = Validation(folder / "pairs.csv")(encoder)
    recalls = retrieval(searched, read_source(folder / "pairs.csv"))
    for way, recall in (("text_to_image", recalls.text_to_image), ("image_to_text", recalls.image_to_text)):
        for k, value in recall.as_dict().items():
            assert found[f"{way}_{k}"] == pytest.approx(value, abs=max(1e-3, 1.01 / recalls.n)), (way, k)
    assert model.training


def test_the_mode_of_each_layer_is_restored(folder: Path) -> None:
    model = small_model(VIT).train()
    model.visual.eval()
    before = [module.training for module in model.modules()]
    assert set(before) == {True, False}
    state = copy.deepcopy(model.state_dict())
    Validation(folder / "classes")(encoder_of(model))
    assert [module.training for module in model.modules()] == before
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_reduced_precision_gives_vectors_of_unit_length(folder: Path) -> None:
    encoder = encoder_of(small_model(VIT).eval(), processes=Processes(dtype=torch.bfloat16))
    with torch.no_grad(), encoder.processes.autocast():
        vectors = encoder.encode_texts([f"number {n}" for n in range(300)])
    assert vectors.shape == (300, VIT["embed_dim"])
    assert ((vectors**2).sum(1) ** 0.5 - 1).max() < 1e-5
    progress = Recorder([])
    assert "zero_shot" in Validation(folder / "classes")(encoder, progress), progress.notices


def test_data_without_readable_images_gives_a_notice_and_does_not_stop_the_run(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"no picture")
    progress = Recorder([])
    assert Validation(tmp_path)(encoder_of(small_model(VIT)), progress) == {}
    assert "no photo can be read" in progress.notices[0]


def test_at_most_a_fixed_number_of_images_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "IMAGES", 20)
    classes = thinned(read_class_folder(folder / "classes"))
    assert isinstance(classes, ClassFolder)
    assert [len(images) for images in classes.images] == [4, 4, 4, 4]
