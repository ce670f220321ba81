"""Put a trained checkpoint into the package as the model in the box: install.py CHECKPOINT searcher/models/builtin

Weights are stored as int8, one scale an output channel, and computed in float32 (`compact`); the card is card.md.
A photo is looked at twice, as a whole and, from the other side, its middle (`look_twice`): more photos are named right.
What a photo has in common with all classes is halved: photos of nothing in particular come up for fewer queries.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from prepare import read_looks

from searcher.models.layout import CARD
from searcher.trainer.export import export_model, open_checkpoint

HERE = Path(__file__).parent
SIDE = 80  # pixels of the pictures that the model in the box takes
LIMIT = 25_000_000  # bytes, in every clone for ever


def look_twice(model: Any) -> None:
    """Let the image encoder look at the whole picture and at the mirror image of its middle, and give the mean of both.

    It takes pictures of SIDE pixels then. What was trained on random crops knows things larger than a whole picture
    shows them (Touvron et al. 2019).
    """
    encode, size = model.encode_image, model.visual.image_size
    margin = (SIDE - size[0]) // 2

    def encode_image(image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        whole = torch.nn.functional.interpolate(image, size, mode="bicubic", antialias=True)
        middle = image[..., margin:-margin, margin:-margin]
        features = encode(whole, normalize=True) + encode(middle.flip(-1), normalize=True)
        return torch.nn.functional.normalize(features, dim=-1) if normalize else features / 2

    model.encode_image = encode_image


@torch.inference_mode()
def halve_what_is_common(model: Any, tokenizer: Any) -> None:
    """Halve what photos have of the direction in which the names of the classes lie on average.

    Which name is nearest to a photo hardly changes, for all names have about as much of it; which photo is nearest to a
    name does: grey gravel has more of it than a photo of a thing.
    """
    classes = [name for name, looks in read_looks().items() if not looks.like]
    mean = model.encode_text(tokenizer(classes), normalize=True).mean(0)
    weight = model.visual.head.proj.weight  # [d, features]
    photos = torch.linalg.svd(weight, full_matrices=False).U
    common = torch.nn.functional.normalize(photos @ (photos.T @ mean), dim=0)
    weight -= torch.outer(common, common @ weight) / 2


def main(checkpoint: Path, folder: Path) -> None:
    model, tokenizer, config = open_checkpoint(checkpoint)
    halve_what_is_common(model, tokenizer)
    look_twice(model)
    export_model(
        model,
        model.visual.preprocess_cfg | {"size": (SIDE, SIDE)},
        tokenizer,
        config,
        folder,
        name="builtin",
        precision="compact",
        version="8",
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
