"""The model card: a Markdown file that describes a trained model to its users."""

from pathlib import Path
from typing import Any

from searcher.datasets import ClassFolder, Source
from searcher.errors import SearcherError
from searcher.evaluate import Retrieval, ZeroShot, retrieval, zero_shot
from searcher.models import Model
from searcher.models.layout import CARD


def write_card(
    folder: Path, config: dict[str, Any], run: dict[str, Any], sources: list[tuple[str, str]], measured: list[str]
) -> None:
    """Write `README.md` into a model folder.

    sources: (name, amount) of each source. run: setting → value. measured: Markdown lines with the results.
    Raises SearcherError if the model folder cannot be opened.
    """
    model = Model.open(folder)
    vision, text = config["vision_cfg"], config["text_cfg"]
    image_tower = vision.get("timm_model_name") or ("ResNet" if isinstance(vision["layers"], list) else "ViT")
    text_tower = (
        text.get("hf_model_name") or f"Transformer, {text.get('layers', 12)} layers of width {text.get('width', 512)}"
    )
    lines = [
        f"# {folder.absolute().name}",
        "",
        f"Image and text encoders (CLIP) with {model.dim}-dimensional embeddings, trained with `searcher train`.",
        "",
        f"- image encoder: {image_tower}, {model.image_size} × {model.image_size} pixels",
        f"- text encoder: {text_tower}, at most {text.get('context_length', 77)} tokens",
        "",
        "## Usage",
        "",
        "    searcher index ~/Pictures --model THIS_FOLDER --library NEW_LIBRARY",
        '    searcher search "a dog on the beach" --library NEW_LIBRARY',
        "",
        f"open_clip can load the same weights: `open_clip.create_model_and_transforms('local-dir:{folder.name}')`.",
        "",
        "## Training data",
        "",
        *(f"- {name}: {amount}" for name, amount in sources),
        "",
        "The model learned from these captions. It has the same gaps and errors.",
        "",
        "## Results",
        "",
        *(measured or ["Not measured, because `--val` was not given. Use `searcher evaluate` to measure it."]),
        "",
        "![training curves](curves.png)",
        "",
        "## Training settings",
        "",
        "| setting | value |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in run.items()),
    ]
    (folder / CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(folder: Path, data: ClassFolder | Source) -> list[str]:
    """Measure a model folder on `data`, as `searcher evaluate` does. Returns the results as Markdown lines."""
    try:
        model = Model.open(folder)
        found = zero_shot(model, data) if isinstance(data, ClassFolder) else retrieval(model, data)
    except SearcherError as error:
        return [f"Could not be measured: {error}"]
    return _zero_shot_table(found) if isinstance(found, ZeroShot) else _recall_table(found)


def _zero_shot_table(found: ZeroShot) -> list[str]:
    chance = 1 / len(found.labels)
    rows = [(f"{found.templates} prompts per class", found.top1, found.top5)]
    if found.bare:
        rows.append(("bare class names", *found.bare))
    return [
        f"Zero-shot: {found.n:,} images of `{found.dataset.name}`, {len(found.labels):,} classes (chance {chance:.1%})",
        "",
        "| | top-1 | top-5 |",
        "| --- | --- | --- |",
        *(f"| {name} | {top1:.1%} | {top5:.1%} |" for name, top1, top5 in rows),
    ]


def _recall_table(found: Retrieval) -> list[str]:
    ways = {"text → image": found.text_to_image, "image → text": found.image_to_text}
    return [
        f"Retrieval among {found.n:,} images and {found.captions:,} captions of `{found.dataset.name}`:",
        "",
        "| | recall@1 | @5 | @10 |",
        "| --- | --- | --- | --- |",
        *(f"| {way} | {r.r1:.1%} | {r.r5:.1%} | {r.r10:.1%} |" for way, r in ways.items()),
    ]
