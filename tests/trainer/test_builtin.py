"""The built-in model as a checkpoint to start training from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from searcher.commands import main
from searcher.datasets.samples import sample_photos
from searcher.models import Model
from searcher.trainer import checkpoint

BUILTIN = Path("builtin")


def test_the_weights_read_back_give_the_embeddings_of_the_built_in_model() -> None:
    ours = Model.open("builtin")
    theirs: Any
    theirs, tokenizer = checkpoint.create(checkpoint.config_of_checkpoint(BUILTIN)["model_cfg"])
    checkpoint.load_weights(theirs.eval(), BUILTIN)
    texts = ["a cat", "a photo of an old temple", "two people walking a dog on the beach at sunset"]
    pictures = [Image.open(photo).convert("RGB") for photo in sample_photos()[:4]]
    pixels = torch.from_numpy(np.stack([ours.preprocess(picture) for picture in pictures]))
    with torch.no_grad():
        text = theirs.encode_text(tokenizer(texts), normalize=True).numpy()
        image = theirs.encode_image(pixels, normalize=True).numpy()
    assert np.abs(text - ours.encode_texts(texts)).max() < 1e-4
    assert np.abs(image - ours.encode_pixels(pixels.numpy())).max() < 1e-4
    assert theirs.logit_scale.exp().item() == pytest.approx(ours.scale_and_bias[0], rel=1e-4)


def test_another_architecture_is_refused(folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder / "pairs.csv"), "--init", "builtin", "--model", "vit-64", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "Error: builtin does not contain the weights of this architecture"
