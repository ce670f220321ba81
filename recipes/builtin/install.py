"""Put a trained checkpoint into the package as the model in the box: install.py CHECKPOINT searcher/models/builtin

Weights are stored as int8, one scale an output channel, and computed in float32 (`compact`); the card is card.md.
A photo's embedding is the mean of its own and its mirror image's: more photos are named right, for twice the computing.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from searcher.models.folder import CARD
from searcher.trainer.export import export_model, open_checkpoint

HERE = Path(__file__).parent
LIMIT = 25_000_000  # bytes, in every clone for ever


def from_both_sides(model: Any) -> Any:
    """Let the image encoder look at a picture and at its mirror image: it then gives the mean of both embeddings."""
    encode = model.encode_image

    def encode_image(image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        features = encode(image, normalize=True) + encode(image.flip(-1), normalize=True)
        return torch.nn.functional.normalize(features, dim=-1) if normalize else features / 2

    model.encode_image = encode_image
    return model


def main(checkpoint: Path, folder: Path) -> None:
    model, tokenizer, config = open_checkpoint(checkpoint)
    export_model(
        from_both_sides(model),
        model.visual.preprocess_cfg,
        tokenizer,
        config,
        folder,
        name="builtin",
        precision="compact",
        version="6",
        description="A small pair of encoders, trained from nothing on public photos by recipes/builtin.",
        source="recipes/builtin",
        languages=["en"],
        licence="Apache-2.0 (see the card for the data)",
    )
    shutil.copyfile(HERE / "card.md", folder / CARD)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB")
    if size > LIMIT:
        sys.exit(f"more than {LIMIT / 1e6:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
