"""`searcher train`: contrastive training on (image, caption) pairs."""

import sys
from pathlib import Path
from typing import Any

import click

from searcher.commands.common import quiet_option
from searcher.errors import SearcherError


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where the model goes.")
@click.option("--model", default="resnet18-48", show_default=True, help="An open_clip config name, or a JSON file.")
@click.option("--weights", default="", help="How often an epoch takes each source's records: 1,1,0.5 (default: 1).")
@click.option("--init", type=click.Path(path_type=Path), help="Start from this open_clip checkpoint.")
@click.option("--freeze", type=click.Choice(["image", "text"]), help="Do not train this tower.")
@click.option("--val", type=click.Path(path_type=Path), help="Class folders to measure zero-shot accuracy on.")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=2), default=256, show_default=True)
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.05, show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=200, show_default=True, help="Steps.")
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

    SOURCES are CSV, TSV or JSON-lines files of (image, caption), folders of images with a .txt beside each, or folders
    of class folders. The result is an open_clip checkpoint and, in the same folder, the model that search uses.
    """
    try:
        numbers = tuple(float(part) for part in weights.split(",") if part.strip())
    except ValueError as error:
        raise click.UsageError(f"--weights wants numbers with commas between them, not {weights!r}") from error
    try:
        from searcher.trainer.loop import Settings, train
    except ImportError as error:
        raise SearcherError(f'training needs more packages: pip install "searcher[train]" ({error})') from error

    def report(line: dict[str, Any]) -> None:
        if quiet:
            return
        minutes, seconds = divmod(line["seconds_left"], 60)
        accuracy = f"  zero-shot {line['zero_shot']:.1%}" if "zero_shot" in line else ""
        click.echo(
            f"step {line['step']}  epoch {line['epoch']:.2f}  loss {line['loss']:.4f}  {line['per_second']:.0f}/s  "
            f"{minutes}:{seconds:02d} left{accuracy}",
            err=True,
        )

    folder = train(Settings(weights=numbers, **options), report)
    if not quiet:
        click.echo(f"the model is in {folder.absolute()}", file=sys.stderr)
        from searcher.models.drift import describe
        from searcher.models.folder import ModelFolder

        for precision, drift in (ModelFolder.read(folder).manifest.get("drift") or {}).items():
            click.echo(f"{precision} against float32: {describe(drift)}", file=sys.stderr)
