"""`searcher train`: contrastive training on (image, caption) pairs."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from searcher.commands.common import note, quiet_option
from searcher.errors import SearcherError


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where the model goes.")
@click.option("--model", help="An open_clip config name, or a JSON file.  [default: that of --init, or resnet18-64]")
@click.option("--weights", default="", help="How often an epoch takes each source's records: 1,1,0.5 (default: 1).")
@click.option("--init", type=click.Path(path_type=Path), help="Start from this open_clip checkpoint, or from builtin.")
@click.option("--freeze", type=click.Choice(["image", "text"]), help="Do not train this tower.")
@click.option(
    "--interpolate",
    type=click.FloatRange(0, 1),
    help="Mix with the start: 0.5 is half of each; needs --init.",
)
@click.option("--val", type=click.Path(path_type=Path), help="Class folders or pairs that measure it meanwhile.")
@click.option("--loss", type=click.Choice(["softmax", "sigmoid"]), default="softmax", show_default=True)
@click.option("--label-smoothing", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True)
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=2), default=256, show_default=True, help="Over all processes.")
@click.option(
    "--accumulate",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Encode a batch in this many parts; negatives span the whole.",
)
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.05, show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=200, show_default=True, help="Steps.")
@click.option(
    "--average",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Decay of a moving average of the weights, which becomes the result: 0.999.",
)
@click.option(
    "--min-area",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="The smallest part of a picture that a random crop keeps.",
)
@click.option(
    "--grayscale",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="The share of pictures that lose their colours.",
)
@click.option("--workers", type=click.IntRange(min=0), default=1, show_default=True, help="Loader processes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["float32", "int8", "compact"]),
    default="float32",
    show_default=True,
    help="How the model folder stores its weights.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last checkpoint.")
@quiet_option
def command(weights: str, quiet: bool, **options: Any) -> None:
    """Train aligned image and text encoders.

    SOURCES are CSV, TSV or JSON-lines files of (image, caption), folders of images with a .txt beside each, folders of
    class folders, or WebDataset shards (photos-{000..031}.tar). The result is an open_clip checkpoint and, in the same
    folder, the model that search uses, with a model card. Under torchrun (-m searcher train …) several processes train
    together.
    """
    try:
        numbers = tuple(float(part) for part in weights.split(",") if part.strip())
    except ValueError as error:
        raise click.UsageError(f"--weights wants numbers with commas between them, not {weights!r}") from error
    try:
        from searcher.trainer.loop import Settings, train
    except ImportError as error:
        raise SearcherError(f'training needs more packages: pip install "searcher[train]" ({error})') from error

    first = os.environ.get("RANK", "0") == "0"
    quiet = quiet or not first

    def report(line: dict[str, Any]) -> None:
        if quiet:
            return
        minutes, seconds = divmod(line["seconds_left"], 60)
        reached = f"  zero-shot {line['zero_shot']:.1%}" if "zero_shot" in line else ""
        if "text_to_image_r1" in line:
            reached = f"  recall@1 {line['text_to_image_r1']:.1%} and {line['image_to_text_r1']:.1%}"
        bad = f"  {line['bad']} unusable" if line["bad"] else ""
        click.echo(
            f"step {line['step']}  epoch {line['epoch']:.2f}  loss {line['loss']:.4f}  {line['per_second']:.0f}/s  "
            f"{minutes}:{seconds:02d} left{reached}{bad}",
            err=True,
        )

    folder = train(Settings(weights=numbers, **options), report, lambda remark: note(remark, quiet))
    if not quiet:
        click.echo(f"the model is in {folder.absolute()}", file=sys.stderr)
        from searcher.models.drift import describe
        from searcher.models.folder import ModelFolder

        for precision, drift in (ModelFolder.read(folder).manifest.get("drift") or {}).items():
            click.echo(f"{precision} against float32: {describe(drift)}", file=sys.stderr)
