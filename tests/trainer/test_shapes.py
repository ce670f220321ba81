"""A run of half a minute on a CPU learns combinations of colour, count and place that it never saw."""

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from searcher.datasets import Label, read_class_folder
from searcher.evaluate import zero_shot
from searcher.models import Model
from searcher.trainer.loop import Settings, train
from tests.trainer.shapes import ALL, HELD_OUT, SIDE, TEMPLATES, name_of, write

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
# One tower is enough: the gradients of a ViT are compared with those of open_clip in test_step.py.
TOWER = {"layers": [1, 1, 1, 1], "width": 16, "head_width": 32, "image_size": SIDE, "patch_size": None}
BATCH, STEPS, EACH = 64, 350, 80  # EACH: images per combination


@pytest.mark.slow
def test_combinations_held_out_of_training_are_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = tmp_path / "shapes"
    shapes.mkdir()
    write(shapes, each=EACH, held_out_each=20)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"embed_dim": 64, "vision_cfg": TOWER, "text_cfg": TEXT}))
    records = EACH * (len(ALL) - len(HELD_OUT))
    settings = Settings(
        sources=(shapes / "train.csv",), out=tmp_path / "run", model=str(config), epochs=STEPS * BATCH / records,
        batch_size=BATCH, lr=2e-3, warmup=50,
    )  # fmt: skip
    started = time.monotonic()
    out = train(settings)
    seconds = time.monotonic() - started
    labels = [Label(name_of(combination), (name_of(combination),)) for combination in ALL]
    data, model = read_class_folder(shapes / "held out"), Model.open(out)
    found, bare = (zero_shot(model, data, templates=words, labels=labels) for words in (TEMPLATES, ("{}",)))
    table = (
        f"\n{STEPS} steps of {BATCH} in {seconds:.0f} s:"
        f"\n{found.n} images of {len(HELD_OUT)} unseen combinations, among"
        f"\n{len(ALL)} (chance {1 / len(ALL):.1%})            top-1   top-5"
        f"\n  {found.templates} prompts each            {found.top1:7.1%} {found.top5:7.1%}"
        f"\n  bare names                {bare.top1:7.1%} {bare.top5:7.1%}\n"
    )
    with capsys.disabled():
        sys.stdout.write(table)
    assert found.top1 >= 0.9
    # The images of a combination are mostly all right or all wrong, so the combinations are the sample. The margin is
    # two standard errors of their mean. Another processor rounds differently, which changes the result as much.
    pictures = found.confusion.sum(axis=1)
    gains = ((found.confusion - bare.confusion).diagonal() / np.maximum(pictures, 1))[pictures > 0]
    assert gains.mean() >= -2 * gains.std(ddof=1) / math.sqrt(len(gains))
