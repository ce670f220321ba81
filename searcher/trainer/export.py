"""Export an open_clip model (torch) as a model folder for search (ONNX, no torch)."""

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
from open_clip.hf_model import HFTextEncoder
from open_clip.tokenizer import SimpleTokenizer
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE

import searcher.trainer.towers  # noqa: F401 (registers a model with timm)
from searcher.errors import InvalidInput, NotFound
from searcher.models.guess import guess_relevance
from searcher.models.layout import (
    CHECKPOINT_CONFIG,
    CONFIG,
    MANIFEST,
    PREPROCESS,
    SIDES,
    TEXT_CONFIG,
    TEXTUAL,
    TOKENIZER,
    TOKENIZER_SETTINGS,
    UNPADDED,
    VISUAL,
)
from searcher.models.manifest import write_manifest
from searcher.models.preprocess import Preprocess
from searcher.models.quantize import add_precision, keep_only
from searcher.models.tokenizer import DEFAULT_CONTEXT_LENGTH, use_clip_splitting
from searcher.trainer.checkpoint import create, load_weights
from searcher.trainer.config import (
    no_foreign_code,
    read_config,
    tokenizer_options,
    uses_hugging_face,
    write_text_config,
)
from searcher.trainer.rewrite import rewritten
from searcher.trainer.weights import record_places

MODEL_PARTS = (*SIDES, CONFIG, MANIFEST)  # of a model folder, in the order in which they are replaced
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
    """Write `model` as a model folder at `folder`, and return the folder.

    The folder is created if needed. If it exists, only its model files are replaced.

    model: an open_clip model (CLIP, CustomTextCLIP) in memory. Its mode and dtype do not change.
    preprocess_cfg: open_clip's PreprocessCfg, or a dict of it. tokenizer: the result of `open_clip.get_tokenizer`.
    model_config: open_clip's model config (embed_dim, vision_cfg, text_cfg, …). precision: the only precision to
    write, "float32", "compact" or "int8" (see `models.quantize`). For the last two, the drift from float32 on sample
    photos and prompts is recorded. facts: see `write_manifest`. Logit scale and bias are read from the model unless
    they are given. Raises SearcherError if the model cannot be exported.
    """
    config = json.loads(json.dumps(dict(model_config)))
    config["text_cfg"].setdefault("context_length", DEFAULT_CONTEXT_LENGTH)
    preprocess = dict(preprocess_cfg) if isinstance(preprocess_cfg, Mapping) else asdict(preprocess_cfg)
    height, width = Preprocess.from_config(preprocess).size
    # The folder may also contain a checkpoint. Only the files of the model folder are replaced, at the end.
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".export.", dir=folder))
    try:
        for side in SIDES:
            (partial / side).mkdir()
        write_tokenizer(tokenizer, partial / TOKENIZER)
        if uses_hugging_face(config):
            write_text_config(model, partial / TEXT_CONFIG)
            for key in ("hf_model_name", "hf_tokenizer_name"):
                if Path(config["text_cfg"].get(key) or "").is_dir():
                    config["text_cfg"][key] = Path(TEXT_CONFIG).parent.name
        (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (partial / PREPROCESS).write_text(json.dumps(preprocess, indent=2) + "\n", encoding="utf-8")
        ids = torch.zeros(2, config["text_cfg"]["context_length"], dtype=torch.int32)
        ids[:, 0] = 1  # not only padding: towers that mask padding divide by the number of tokens
        with _evaluating(model), rewritten(model):
            export_onnx(_Image(model), torch.rand(2, 3, height, width), partial / VISUAL, "image")
            export_onnx(_Text(model), ids, partial / TEXTUAL, "text", unpadded=_masks_padding(model))
        write_manifest(partial, name=name, **{**_scale(model), **facts})
        guess_relevance(partial)
        if precision != "float32":
            add_precision(partial, precision)
            keep_only(partial, precision)
        for part in SIDES:
            shutil.rmtree(folder / part, ignore_errors=True)
        for part in MODEL_PARTS:
            (partial / part).replace(folder / part)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def open_checkpoint(checkpoint: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Load the model, tokenizer and model config of an open_clip checkpoint folder.

    The folder contains `open_clip_config.json` and weights, as open_clip's `local-dir:` expects. Weights are read from
    safetensors, or from a `.pt`/`.bin` file without unpickling objects. Raises SearcherError (one line) if open_clip
    cannot load the folder.
    """
    if not (checkpoint / CHECKPOINT_CONFIG).is_file():
        raise NotFound(f"{checkpoint} is not an open_clip checkpoint: {CHECKPOINT_CONFIG} is missing")
    if not any(file.suffix in WEIGHTS for file in checkpoint.iterdir()):
        raise NotFound(f"{checkpoint} is not an open_clip checkpoint: it contains no weights")
    found = read_config(checkpoint)
    config = found["model_cfg"]
    if not (uses_hugging_face(config) and (checkpoint / TEXT_CONFIG).is_file()):
        return *_open(f"local-dir:{checkpoint}", None, config), config
    # open_clip would look for the config of the text model where it was when the checkpoint was written.
    model, tokenizer = create(config)
    load_weights(model, checkpoint)
    model.visual.preprocess_cfg = open_clip.get_model_preprocess_cfg(model) | found["preprocess_cfg"]
    return model, tokenizer, config


def export_checkpoint(checkpoint: Path, folder: Path, *, name: str, **facts: Any) -> Path:
    """Export an open_clip checkpoint folder. Raises SearcherError (one line), as `open_checkpoint` does."""
    model, tokenizer, config = open_checkpoint(checkpoint)
    return export_model(model, model.visual.preprocess_cfg, tokenizer, config, folder, name=name, **facts)


def export_pretrained(architecture: str, tag: str, folder: Path, *, name: str, **facts: Any) -> Path:
    """Download the pretrained weights `tag` of an open_clip architecture, and export them.

    Raises SearcherError (one line) if the architecture or tag is unknown, or if there is no network.
    """
    if tag not in open_clip.list_pretrained_tags_by_model(architecture):
        known = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise NotFound(f"open_clip has no weights {tag!r} for {architecture} (available: {known})")
    config = open_clip.get_model_config(architecture)
    model, tokenizer = _open(architecture, tag, config)
    return export_model(model, model.visual.preprocess_cfg, tokenizer, config, folder, name=name, **facts)


def _open(model_name: str, tag: str | None, config: Mapping[str, Any]) -> tuple[Any, Any]:
    try:
        with no_foreign_code():
            # The checkpoint contains all weights, so do not download others for the towers.
            model = open_clip.create_model(model_name, tag, pretrained_text=False, weights_only=True)
            return model, open_clip.get_tokenizer(model_name, **tokenizer_options(config))
    except Exception as error:  # open_clip, timm and transformers can raise anything for a wrong value
        where = model_name.removeprefix("local-dir:")
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(f"open_clip cannot load {where} ({reason})") from error


class _evaluating:
    """Put the model into float32 evaluation mode on the CPU, with attention as plain operations.

    On exit, the earlier mode, dtype and device are restored.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        first = next(model.parameters())
        self.before = (model.training, first.dtype, first.device)
        self.fast = torch.backends.mha.get_fastpath_enabled()

    def __enter__(self) -> None:
        # In evaluation mode PyTorch uses a fused attention, which cannot be exported to ONNX.
        torch.backends.mha.set_fastpath_enabled(False)
        self.model.eval().to(dtype=torch.float32, device="cpu")

    def __exit__(self, *_: object) -> None:
        torch.backends.mha.set_fastpath_enabled(self.fast)
        training, dtype, device = self.before
        self.model.train(training).to(dtype=dtype, device=device)


def _masks_padding(model: torch.nn.Module) -> bool:
    """Whether padding does not change the features of a text. Then a text encoder needs none, and is faster."""
    return isinstance(getattr(model, "text", None), HFTextEncoder)


def export_onnx(
    module: torch.nn.Module, example: torch.Tensor, path: Path, input_name: str, *, unpadded: bool = False
) -> None:
    """Write `module` (one input, one output) to an ONNX file with a variable batch size.

    unpadded: the second axis is variable too. The length of the example is the maximum. Raises SearcherError (one line)
    if the module cannot be exported.
    """
    axes = {0: torch.export.Dim("batch", min=1, max=65536)}
    if unpadded:
        axes[1] = torch.export.Dim(UNPADDED, min=2, max=example.shape[1])
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=(axes,),
                input_names=[input_name],
                output_names=["features"],  # text towers already use the name "embedding" inside
                opset_version=20,
                optimize=False,
                verbose=False,
            )
            assert program is not None
            _optimize(program)
    except Exception as error:
        # torch puts two paragraphs of advice before the actual error.
        reason = " ".join(str(error).split("## Exception summary")[-1].split())[:200]
        raise InvalidInput(f"this model cannot be exported to ONNX ({reason})") from error
    for node in program.model.graph.all_nodes():
        # Remove the stack traces of this machine: nobody needs them, and they make the files differ.
        node.metadata_props.clear()
    program.model.metadata_props.clear()
    record_places(program, visual=input_name == "image")
    # A single file is easier to handle, but protobuf is limited to 2 GB.
    size = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    program.save(str(path), external_data=size > 1_900_000_000)


def _optimize(program: Any) -> None:
    """Let the exporter simplify the graph, but keep the batch norms, so that training can start from the weights.

    The exporter would multiply them into the convolutions. ONNX Runtime does that when it opens the file.
    """
    norms = [node for node in program.model.graph.all_nodes() if node.op_type == "BatchNormalization"]
    for node in norms:
        node.domain = "kept"  # an unknown operator, which the exporter does not touch
    program.optimize()
    for node in norms:
        node.domain = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's log messages and warnings, which do not help users."""
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
    """Write `tokenizer.json`, and `tokenizer_config.json` next to it, for a tokenizer of open_clip.

    Raises SearcherError if the tokenizer is neither open_clip's own nor a fast one of Hugging Face.
    """
    if isinstance(tokenizer, SimpleTokenizer):
        found = json.loads(clip_tokenizer(tokenizer).to_str())
        # Merges as "a b", not ["a", "b"]: older readers need this, and it is read a fifth faster.
        found["model"]["merges"] = [" ".join(pair) for pair in found["model"]["merges"]]
        path.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        settings = {
            "tokenizer_class": "CLIPTokenizer",
            "bos_token": "<start_of_text>",
            "eos_token": "<end_of_text>",
            "unk_token": "<end_of_text>",
            "pad_token": "!",  # id 0, as open_clip pads
            "model_max_length": tokenizer.context_length,
        }
        path.with_name(Path(TOKENIZER_SETTINGS).name).write_text(json.dumps(settings, indent=2) + "\n")
        return
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is None or not inner.is_fast:
        raise InvalidInput(f"a tokenizer of type {type(tokenizer).__name__} cannot be exported")
    with tempfile.TemporaryDirectory() as scratch:
        inner.save_pretrained(scratch)
        for name in (Path(TOKENIZER).name, Path(TOKENIZER_SETTINGS).name):
            shutil.copyfile(Path(scratch) / name, path.with_name(name))


def clip_tokenizer(simple: SimpleTokenizer) -> Tokenizer:
    """Convert open_clip's byte-pair encoding to the `tokenizers` library.

    It gives the same ids as open_clip if the text has already been cleaned.
    """
    model = BPE(vocab=dict(simple.encoder), merges=list(simple.bpe_ranks), end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    use_clip_splitting(tokenizer)
    specials = [simple.decoder[i] for i in simple.all_special_ids]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    return tokenizer
