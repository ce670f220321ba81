"""From an open_clip model (torch) to the model folder that search uses (ONNX, no torch)."""

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE

import searcher.trainer.towers  # noqa: F401 (gives timm a name)
from searcher.errors import SearcherError
from searcher.models.folder import (
    CONFIG,
    PREPROCESS,
    TEXTUAL,
    TOKENIZER,
    TOKENIZER_SETTINGS,
    VISUAL,
    write_manifest,
)
from searcher.models.preprocess import Preprocess
from searcher.models.quantize import add_precision, keep_only
from searcher.models.tokenizer import DEFAULT_CONTEXT_LENGTH, use_clip_splitting
from searcher.trainer.rewrite import rewritten

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")


class _Image(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_image(image, normalize=True)
        return features


class _Text(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_text(text, normalize=True)
        return features


def export_model(
    model: torch.nn.Module,
    preprocess_cfg: Any,
    tokenizer: Any,
    model_config: Mapping[str, Any],
    folder: Path,
    *,
    name: str,
    precision: str = "float32",
    **facts: Any,
) -> Path:
    """Write `model` as a model folder at `folder` (made, or its model files replaced) and return it.

    `model`: an open_clip model (CLIP, CustomTextCLIP) in memory; its mode and dtype are left as they were.
    `preprocess_cfg`: open_clip's PreprocessCfg or a dict of it. `tokenizer`: what `open_clip.get_tokenizer`
    returned. `model_config`: open_clip's model config (embed_dim, vision_cfg, text_cfg, …). `precision`:
    "float32", or "compact" or "int8" (see `models.quantize`) to write that one alone, with its drift from
    float32 on sample photos and prompts recorded. `facts`: see `write_manifest`; logit scale and bias
    are read from the model unless given. Raises SearcherError where the model cannot be exported.
    """
    config = json.loads(json.dumps(dict(model_config)))
    config["text_cfg"].setdefault("context_length", DEFAULT_CONTEXT_LENGTH)
    preprocess = dict(preprocess_cfg) if isinstance(preprocess_cfg, Mapping) else asdict(preprocess_cfg)
    height, width = Preprocess.from_config(preprocess).size
    # A checkpoint folder may lie in the same place: only the files of the model folder are replaced, at the
    # end.
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".export.", dir=folder))
    try:
        for side in ("visual", "textual"):
            (partial / side).mkdir()
        write_tokenizer(tokenizer, partial / TOKENIZER)
        (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (partial / PREPROCESS).write_text(json.dumps(preprocess, indent=2) + "\n", encoding="utf-8")
        ids = torch.zeros(2, config["text_cfg"]["context_length"], dtype=torch.int32)
        ids[:, 0] = 1  # an all-padding text is no example: towers that mask padding divide by the number of tokens
        with _evaluating(model), rewritten(model):
            export_onnx(_Image(model), torch.rand(2, 3, height, width), partial / VISUAL, "image")
            export_onnx(_Text(model), ids, partial / TEXTUAL, "text")
        write_manifest(partial, name=name, **{**_scale(model), **facts})
        if precision != "float32":
            add_precision(partial, precision)
            keep_only(partial, precision)
        for part in ("visual", "textual"):
            shutil.rmtree(folder / part, ignore_errors=True)
        for part in ("visual", "textual", CONFIG, "searcher.json"):
            (partial / part).replace(folder / part)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def open_checkpoint(checkpoint: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Model, tokenizer and model config of an open_clip checkpoint folder.

    The folder holds `open_clip_config.json` and weights, as `local-dir:` takes it. Weights are read from safetensors,
    or from a `.pt`/`.bin` file without unpickling objects. Raises SearcherError (one line) for a folder that open_clip
    cannot load.
    """
    config_file = checkpoint / "open_clip_config.json"
    if not config_file.is_file():
        raise SearcherError(f"{checkpoint} is no open_clip checkpoint: open_clip_config.json is missing")
    if not any(file.suffix in WEIGHTS for file in checkpoint.iterdir()):
        raise SearcherError(f"{checkpoint} is no open_clip checkpoint: it holds no weights")
    try:
        config = dict(json.loads(config_file.read_text(encoding="utf-8"))["model_cfg"])
    except (ValueError, KeyError, TypeError) as error:
        raise SearcherError(f"{config_file} cannot be read as an open_clip config") from error
    return *_open(f"local-dir:{checkpoint}", None), config


def export_checkpoint(checkpoint: Path, folder: Path, *, name: str, **facts: Any) -> Path:
    """Export an open_clip checkpoint folder. Raises SearcherError (one line), as `open_checkpoint` does."""
    model, tokenizer, config = open_checkpoint(checkpoint)
    return export_model(model, model.visual.preprocess_cfg, tokenizer, config, folder, name=name, **facts)


def export_pretrained(architecture: str, tag: str, folder: Path, *, name: str, **facts: Any) -> Path:
    """Download the weights `tag` of one of open_clip's architectures, and export them.

    Raises SearcherError (one line) for an unknown architecture or tag, and where there is no network.
    """
    if tag not in open_clip.list_pretrained_tags_by_model(architecture):
        known = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise SearcherError(f"open_clip has no weights {tag!r} for {architecture} (it has: {known})")
    config = open_clip.get_model_config(architecture)
    model, tokenizer = _open(architecture, tag)
    return export_model(model, model.visual.preprocess_cfg, tokenizer, config, folder, name=name, **facts)


def _open(model_name: str, tag: str | None) -> tuple[Any, Any]:
    try:
        # weights come from the checkpoint: nothing else is to be fetched for either tower
        model = open_clip.create_model(model_name, tag, pretrained_text=False, weights_only=True)
        return model, open_clip.get_tokenizer(model_name)
    except Exception as error:
        where = model_name.removeprefix("local-dir:")
        reason = " ".join(str(error).split())[:200]
        raise SearcherError(f"open_clip cannot load {where} ({reason})") from error


class _evaluating:
    """The model in float32 evaluation mode on the CPU, with attention as plain operations; undone
    afterwards.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        first = next(model.parameters())
        self.before = (model.training, first.dtype, first.device)
        self.fast = torch.backends.mha.get_fastpath_enabled()

    def __enter__(self) -> None:
        # PyTorch's fused attention of evaluation mode has no ONNX counterpart
        torch.backends.mha.set_fastpath_enabled(False)
        self.model.eval().to(dtype=torch.float32, device="cpu")

    def __exit__(self, *_: object) -> None:
        torch.backends.mha.set_fastpath_enabled(self.fast)
        training, dtype, device = self.before
        self.model.train(training).to(dtype=dtype, device=device)


def export_onnx(module: torch.nn.Module, example: torch.Tensor, path: Path, input_name: str) -> None:
    """Write `module` (one input, one output) to an ONNX file whose batch size is free."""
    batch = {0: torch.export.Dim("batch", min=1, max=65536)}
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=(batch,),
                input_names=[input_name],
                output_names=["features"],  # "embedding" is a name that text towers use inside
                opset_version=20,
                optimize=True,
                verbose=False,
            )
    except Exception as error:
        # torch puts what went wrong below two paragraphs of advice
        reason = " ".join(str(error).split("## Exception summary")[-1].split())[:200]
        raise SearcherError(f"this model cannot be exported to ONNX ({reason})") from error
    assert program is not None
    for node in program.model.graph.all_nodes():
        # stack traces of this machine: no reader needs them, and files would differ
        node.metadata_props.clear()
    program.model.metadata_props.clear()
    # one file is easier to keep whole; protobuf holds no more than 2 GB
    size = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    program.save(str(path), external_data=size > 1_900_000_000)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks about itself, which mean nothing to the person who waits."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _scale(model: torch.nn.Module) -> dict[str, float | None]:
    scale = getattr(model, "logit_scale", None)
    bias = getattr(model, "logit_bias", None)
    return {
        "logit_scale": None if scale is None else round(float(scale.detach().exp()), 4),
        "logit_bias": None if bias is None else round(float(bias.detach()), 4),
    }


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write `tokenizer.json` (and `tokenizer_config.json` beside it) for one of open_clip's tokenizers."""
    if isinstance(tokenizer, SimpleTokenizer):
        found = json.loads(clip_tokenizer(tokenizer).to_str())
        # merges as "a b", not ["a", "b"]: what older readers take, too, and a fifth faster to read
        found["model"]["merges"] = [" ".join(pair) for pair in found["model"]["merges"]]
        path.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        settings = {
            "tokenizer_class": "CLIPTokenizer",
            "bos_token": "<start_of_text>",
            "eos_token": "<end_of_text>",
            "unk_token": "<end_of_text>",
            "pad_token": "!",  # id 0, which is what open_clip pads with
            "model_max_length": tokenizer.context_length,
        }
        path.with_name(Path(TOKENIZER_SETTINGS).name).write_text(json.dumps(settings, indent=2) + "\n")
        return
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is None or not inner.is_fast:
        raise SearcherError(f"a tokenizer of the kind {type(tokenizer).__name__} cannot be exported")
    with tempfile.TemporaryDirectory() as scratch:
        inner.save_pretrained(scratch)
        for name in (Path(TOKENIZER).name, Path(TOKENIZER_SETTINGS).name):
            shutil.copyfile(Path(scratch) / name, path.with_name(name))


def clip_tokenizer(simple: SimpleTokenizer) -> Tokenizer:
    """open_clip's byte-pair encoding for the `tokenizers` library: the same ids for text that is cleaned
    already.
    """
    model = BPE(vocab=dict(simple.encoder), merges=list(simple.bpe_ranks), end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    use_clip_splitting(tokenizer)
    specials = [simple.decoder[i] for i in simple.all_special_ids]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    return tokenizer
