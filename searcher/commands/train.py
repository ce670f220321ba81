"""`searcher train`: trains image and text encoders on (image, caption) pairs, with a contrastive loss."""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from searcher.commands.common import FilePath, PathOrUri, Terminal, printable, quiet_option
from searcher.errors import Interrupted, SearcherError

SAY_EVERY = 10  # seconds


class TrainingProgress(Terminal):
    """Prints the numbers of a step as a line, on stderr. So does it with the computation of features."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet)
        self._said = time.monotonic()

    def advance(self, done: int, total: int | None) -> None:
        if not self.quiet and time.monotonic() - self._said > SAY_EVERY:
            self._said = time.monotonic()
            click.echo(f"features of {done:,} of {total:,} photos", err=True)

    def metrics(self, values: Mapping[str, Any]) -> None:
        if self.quiet:
            return
        minutes, seconds = divmod(values["seconds_left"], 60)
        reached = f"  zero-shot {values['zero_shot']:.1%}" if "zero_shot" in values else ""
        if "text_to_image_r1" in values:
            reached = (
                f"  recall@1 {values['text_to_image_r1']:.1%} text to image, "
                f"{values['image_to_text_r1']:.1%} image to text"
            )
        bad = f"  {values['bad']} unusable" if values["bad"] else ""
        click.echo(
            f"step {values['step']}  epoch {values['epoch']:.2f}  loss {values['loss']:.4f}  "
            f"{values['per_second']:.0f}/s  {minutes}:{seconds:02d} left{reached}{bad}",
            err=True,
        )


@click.command()
@click.argument("sources", nargs=-1, required=True, type=PathOrUri())
@click.option("--out", required=True, type=FilePath(file_okay=False), help="Write the model to this folder.")
@click.option("--model", help="Config name of open_clip, or a JSON file.  [default: from --init, or resnet18-64]")
@click.option(
    "--weights",
    default="",
    help="How often an epoch uses each record: one number per source, such as 1,1,0.5 (default: 1 for all).",
)
@click.option("--init", type=FilePath(), help="Start from this open_clip checkpoint, or from `builtin`.")
@click.option("--image-tower", metavar="NAME", help="Image encoder: a model of timm, in place of that of --model.")
@click.option("--image-weights", type=FilePath(), help="Pretrained weights of --image-tower: safetensors or .pth.")
@click.option("--text-tower", type=FilePath(), help="Text encoder with its weights: a Hugging Face folder.")
@click.option(
    "--freeze",
    default="",
    metavar="[image|text|image,text]",
    help="Do not train the image encoder before its head, the text encoder, or both.",
)
@click.option(
    "--views",
    default="whole,middle",
    show_default=True,
    help="With --freeze image: the views of each photo that are trained on. Add -mirrored for the other side.",
)
@click.option(
    "--interpolate",
    type=click.FloatRange(0, 1),
    help="Average the result with the model of --init. The value is the share of the result, such as 0.5.",
)
@click.option("--val", type=FilePath(), help="Class folders or pairs to measure the model on during training.")
@click.option(
    "--val-split",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    help="Without --val: the share of the photos that is held out to measure the model on. 0: none.",
)
@click.option(
    "--loss",
    type=click.Choice(["softmax", "sigmoid"]),
    default="softmax",
    show_default=True,
    help="Loss of CLIP (softmax) or SigLIP (sigmoid).",
)
@click.option(
    "--label-smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Label smoothing of the softmax loss.",
)
@click.option(
    "--epochs", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="Number of epochs."
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=2),
    default=256,
    show_default=True,
    help="Total batch size of all processes.",
)
@click.option(
    "--accumulate",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Encode each batch in this many parts. Negatives still span the whole batch.",
)
@click.option(
    "--lr", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True, help="Highest learning rate."
)
@click.option(
    "--weight-decay", type=click.FloatRange(min=0), default=0.05, show_default=True, help="Weight decay of AdamW."
)
@click.option("--warmup", type=click.IntRange(min=0), default=200, show_default=True, help="Number of warm-up steps.")
@click.option(
    "--average",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Decay of a moving average of the weights, such as 0.999. The average becomes the result. 0 turns it off.",
)
@click.option(
    "--min-area",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Smallest share of an image that a random crop keeps.",
)
@click.option(
    "--grayscale",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of images whose colours are removed.",
)
@click.option("--workers", type=click.IntRange(min=0), default=1, show_default=True, help="Number of loader processes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "int8", "compact"]),
    default="float32",
    show_default=True,
    help="Precision of the weights in the model folder.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last checkpoint. Ctrl-C saves one.")
@quiet_option
@click.pass_context
def command(context: click.Context, /, weights: str, freeze: str, views: str, quiet: bool, **options: Any) -> None:
    """Train aligned image and text encoders.

    SOURCES can be:

    \b
    - CSV, TSV or JSON-lines files of (image, caption)
    - folders of images with a .txt file next to each image
    - folders of class folders
    - WebDataset shards, such as photos-{000..031}.tar or
      s3://bucket/photos-{000..031}.tar

    The output folder is an open_clip checkpoint, and also a model folder for searching. It contains a model card.

    To use several processes, run `torchrun … -m searcher train …`.
    """
    try:
        numbers = tuple(float(part) for part in weights.split(",") if part.strip())
    except ValueError as error:
        raise click.UsageError(f"--weights must be numbers separated by commas, not {weights!r}.") from error
    locked = tuple(side.strip() for side in freeze.split(",") if side.strip())
    if not set(locked) <= {"image", "text"} or len(set(locked)) < len(locked):
        raise click.UsageError(f"--freeze must be image, text or image,text, not {freeze!r}.")
    given = {name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    for name in ("min_area", "grayscale"):
        if "image" in locked and name in given:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option} cannot be used with --freeze image: its views are fixed. See --views.")
    options |= {"freeze": locked, "views": tuple(view.strip() for view in views.split(","))}
    try:
        from searcher.trainer.loop import Settings, train
    except ImportError as error:
        raise SearcherError(f'training needs additional packages: pip install "searcher[train]" ({error})') from error

    first = os.environ.get("RANK", "0") == "0"
    quiet = quiet or not first
    try:
        folder = train(Settings(weights=numbers, **options), TrainingProgress(quiet))
    except Interrupted:
        if not first:  # the first process says it for all
            sys.exit(130)
        raise
    if not quiet:
        click.echo(f"The model is in {printable(str(folder.absolute()))}", file=sys.stderr)
        from searcher.models.drift import describe
        from searcher.models.folder import ModelFolder

        for precision, drift in ModelFolder.read(folder).manifest.drift.items():
            click.echo(f"{precision} compared with float32: {describe(drift)}", file=sys.stderr)
