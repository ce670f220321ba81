"""Real architectures with random weights: save them as open_clip checkpoints, then import them as a user would."""

import copy
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file
from timm.models import register_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, PreTrainedTokenizerFast

from searcher.commands import main
from searcher.models import Model
from tests.models.sentences import sentences
from tests.models.towers import VIT, real_photos

SENTENCES = sentences(2000)
ENCODED = SENTENCES[:40]  # token ids are compared for all sentences, but encoding all would take minutes
TIMM: dict[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {
        "timm_model_name": "resnet10t",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": 64,
    },
    "text_cfg": VIT["text_cfg"],
}


def siglip_tokenizer() -> PreTrainedTokenizerFast:
    """A small local replacement for SigLIP's tokenizer: unigrams, with an end token that is also the padding."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        SENTENCES, trainers.UnigramTrainer(vocab_size=31000, special_tokens=special, unk_token="<unk>")
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    new: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerFast = new(
        tokenizer_object=tokenizer, pad_token="</s>", eos_token="</s>", unk_token="<unk>"
    )
    return made


def bert_tokenizer() -> PreTrainedTokenizerFast:
    """A small local WordPiece tokenizer, like those of text towers from Hugging Face."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=2000, special_tokens=special))
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    new: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerFast = new(tokenizer_object=tokenizer, **names)
    return made


def bert_tower(folder: Path, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """A model config with a small BERT from Hugging Face as the text tower."""
    small: dict[str, Any] = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
    }
    BertConfig(vocab_size=len(tokenizer), max_position_embeddings=80, **small).save_pretrained(folder)
    text = {
        "hf_model_name": str(folder),
        "hf_tokenizer_name": str(folder),
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "mlp",
        "context_length": 77,
    }
    return {"embed_dim": 48, "vision_cfg": VIT["vision_cfg"], "text_cfg": text}


def save_checkpoint(config: dict[str, Any], tokenizer: Any, folder: Path) -> None:
    """Save random weights for `config` as an open_clip checkpoint folder."""
    torch.manual_seed(0)
    arguments = copy.deepcopy(config)
    custom = arguments.pop("custom_text", False) or "hf_model_name" in config["text_cfg"]
    if "hf_model_name" in config["text_cfg"]:
        arguments["text_cfg"]["hf_model_pretrained"] = False
    model = (CustomTextCLIP if custom else CLIP)(**arguments)
    for wanted in ("image_mean", "image_std"):
        setattr(model.visual, wanted, getattr(model.visual, wanted, None) or None)
    folder.mkdir()
    save_config_for_hf(model, folder / "open_clip_config.json", model_config=config)
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def config_of(name: str, folder: Path) -> tuple[dict[str, Any], Any]:
    """Return (open_clip model config, tokenizer) of an architecture. The tokenizer is None for CLIP's own."""
    if name == "timm":
        return TIMM, None
    if name == "hugging face":
        tokenizer = bert_tokenizer()
        return bert_tower(folder / "bert", tokenizer), tokenizer
    config: Any = open_clip.get_model_config(name)
    shorten(config)
    return config, siglip_tokenizer() if "SigLIP" in name else None


@register_model
def two_layers_of_siglip(pretrained: bool = False, **options: Any) -> torch.nn.Module:
    """The image tower of ViT-B-16-SigLIP, with two of its twelve layers."""
    return timm.create_model("vit_base_patch16_siglip_224", pretrained, depth=2, **options)


def shorten(config: dict[str, Any]) -> None:
    """Keep two layers of a tower, or one of each stage of a ResNet. The others are the same, and export slowly."""
    if config["vision_cfg"].get("timm_model_name") == "vit_base_patch16_siglip_224":
        config["vision_cfg"]["timm_model_name"] = two_layers_of_siglip.__name__
    for tower in (config["vision_cfg"], config["text_cfg"]):
        layers = tower.get("layers")  # not in a config of timm
        if layers:
            tower["layers"] = [1] * len(layers) if isinstance(layers, list) else 2


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Path, Model]]:
    """Save an architecture as a checkpoint and run `searcher models import` on it."""
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))

    def run(name: str) -> tuple[Path, Model]:
        checkpoint = tmp_path / "checkpoint"
        save_checkpoint(*config_of(name, tmp_path), checkpoint)
        gc.collect()
        with pytest.raises(SystemExit) as ended:
            main.main(
                args=[
                    "models",
                    "import",
                    f"local-dir:{checkpoint}",
                    "--name",
                    "mine",
                    "--precision",
                    "float32",
                ]
            )
        assert ended.value.code in (0, None)
        return checkpoint, Model.open("mine")

    return run


def compare(checkpoint: Path, model: Model) -> None:
    """Assert that embeddings equal those of open_clip to 1e-4, on photos and on sentences in many scripts."""
    source = f"local-dir:{checkpoint}"
    theirs, _, transform = open_clip.create_model_and_transforms(source, pretrained_text=False)
    theirs.eval()
    tokenizer = open_clip.get_tokenizer(source)
    np.testing.assert_array_equal(model.tokenizer(SENTENCES), tokenizer(SENTENCES).numpy())
    photos = real_photos()[:6]
    with torch.no_grad():
        images = theirs.encode_image(torch.stack([transform(photo) for photo in photos]), normalize=True)
        texts = theirs.encode_text(tokenizer(ENCODED), normalize=True)
    np.testing.assert_allclose(model.encode_images(photos), images.numpy(), atol=1e-4)
    np.testing.assert_allclose(model.encode_texts(ENCODED), texts.numpy(), atol=1e-4)
    # The embeddings must differ a little between inputs. Otherwise a constant would pass.
    assert np.ptp(images.numpy(), axis=0).max() > 1e-3
    assert np.ptp(texts.numpy(), axis=0).max() > 1e-2
    assert model.logit_bias == (None if theirs.logit_bias is None else pytest.approx(theirs.logit_bias.item()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm", "hugging face"])
def test_towers_of_timm_and_hugging_face_equal_open_clip(
    name: str, imported: Callable[[str], tuple[Path, Model]]
) -> None:
    compare(*imported(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RN50", "ViT-B-32-256", "ViT-B-16-SigLIP"])
def test_real_architectures_equal_open_clip(name: str, imported: Callable[[str], tuple[Path, Model]]) -> None:
    compare(*imported(name))
