"""`searcher models …`: manages the models on this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searcher.commands import suggestions
from searcher.commands.common import json_option, note, print_json, print_table, printable, show_bytes

if TYPE_CHECKING:
    from types import ModuleType

    from searcher.models.folder import ModelFolder
    from searcher.models.importing import Imported


TRYING = "Testing the model in each precision …"
EXPORTING = "Exporting the model, then testing it in each precision …"


@click.group(no_args_is_help=False)
def command() -> None:
    """Manage the models on this machine."""


@command.command("list")
@click.option("--available", is_flag=True, help="List models that can be downloaded instead.")
@json_option
def list_command(available: bool, as_json: bool) -> None:
    """List the models on this machine. A * marks the default.

    These are the built-in model and the models that were imported or downloaded.
    """
    if available:
        _list_available(as_json)
        return
    from searcher.models.store import list_models

    rows: list[dict[str, Any]] = [
        {
            "name": model.name,
            "dim": model.folder.dim,
            "image_size": model.folder.image_size,
            "precision": model.folder.precision,
            "bytes": model.folder.bytes,
            "default": model.default,
        }
        for model in list_models()
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("No models yet. Get one with `searcher models pull` or `searcher models import`.")
        return
    print_table(
        ("  name", "dims", "pixels", "precision", "size"),
        [
            (
                f"{'*' if row['default'] else ' '} {row['name']}",
                str(row["dim"]),
                str(row["image_size"]),
                row["precision"],
                show_bytes(row["bytes"]),
            )
            for row in rows
        ],
    )


def _list_available(as_json: bool) -> None:
    from searcher.models.available import available_models

    rows = available_models()
    if as_json:
        print_json(rows)
        return
    click.echo("Models to download with `searcher models pull`. ImageNet is the published zero-shot accuracy.\n")
    sections = (("Without PyTorch", True), ("With the train extra (exported on this machine)", False))
    for title, wanted in sections:
        found = [row for row in rows if (row["hub"] is not None) is wanted]
        print_table(
            (title, "params", "pixels", "dims", "languages", "ImageNet"), [_available_row(row) for row in found]
        )
        click.echo()


def _available_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["hub"] or row["name"],
        f"{row['millions']} M" if row["millions"] else "?",
        str(row["image_size"]),
        str(row["dim"]),
        ",".join(row["languages"]) if row["languages"] else "many",
        f"{row['imagenet']:.1%}" if row["imagenet"] else "?",
    )


@command.command("info")
@click.argument("name", default="builtin", shell_complete=suggestions.models_or_folders)
@click.option(
    "--verify", is_flag=True, help="Check every file against its recorded digest. Exits with code 1 if one differs."
)
@json_option
def info_command(name: str, verify: bool, as_json: bool) -> None:
    """Show the properties of the model NAME, and its model card. NAME can also be a model folder."""
    from searcher.errors import SearcherError
    from searcher.models.folder import ModelFolder
    from searcher.models.model import Model
    from searcher.models.store import find_model

    folder = ModelFolder.read(find_model(name))
    problems = folder.verify() if verify else []
    if problems:
        raise SearcherError(f"model {folder.path}: {'; '.join(problems)}")
    facts = _facts(folder)
    if as_json:
        print_json({**facts, "card": folder.card})
        return
    for key, value in facts.items():
        if value is not None:
            click.echo(f"{key.replace('_', ' '):<12}{_shown(value)}")
    if facts["logit_scale"] is None:
        scale, bias = Model(folder).scale_and_bias
        used = f"scale {scale:g} and bias {bias:g} are used, as published for its model family"
        click.echo(f"{'logit scale':<12}unknown; {used}")
    if verify:
        click.echo(f"{'files':<12}all match the recorded digests")
    if folder.card:
        click.echo("\n" + "\n".join(printable(line) for line in folder.card.strip().splitlines()))


def _facts(folder: "ModelFolder") -> dict[str, Any]:
    manifest = folder.manifest.as_dict()
    return {
        "name": folder.name,
        "folder": str(folder.path),
        "version": manifest.get("version"),
        "dim": folder.dim,
        "image_size": folder.image_size,
        "precision": folder.precision,
        "precisions": sorted(folder.precisions),
        "bytes": folder.bytes,
        "logit_scale": manifest.get("logit_scale"),
        "logit_bias": manifest.get("logit_bias"),
        "languages": manifest.get("languages"),
        "licence": manifest.get("licence"),
        "source": manifest.get("source"),
        "description": manifest.get("description"),
        "digest": folder.digest,
        "drift": manifest.get("drift"),
    }


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(item)}" for key, item in value.items() if item is not None)
    return printable(str(value))


precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "int8"]),
    help="Use this precision (default: int8, unless it differs too much from float32).",
)


@command.command("import")
@click.argument("path", shell_complete=suggestions.folders_of_disk)
@click.option("--name", help="Name of the model on this machine (default: the name of the folder).")
@precision_option
@json_option
def import_command(path: str, name: str | None, precision: str | None, as_json: bool) -> None:
    """Import a model from the folder PATH.

    PATH is a folder written by `searcher train`, an open_clip checkpoint folder, or a model folder. An open_clip
    checkpoint is exported first, which needs the train extra. The others do not need it.
    """
    from searcher.errors import SearcherError
    from searcher.models.importing import finish, import_folder, is_model_folder
    from searcher.models.layout import CHECKPOINT_CONFIG, CONFIG
    from searcher.models.store import staging

    folder = Path(os.path.expanduser(path.removeprefix("local-dir:")))
    if folder.is_file() and (folder.parent / CHECKPOINT_CONFIG).is_file():
        folder = folder.parent
    if not folder.is_dir():
        problem = "is a file, not a model folder" if folder.exists() else "does not exist"
        raise SearcherError(f"{folder} {problem}")
    name = name or folder.resolve().name
    if is_model_folder(folder):
        note(TRYING, quiet=as_json)
        _print_imported(import_folder(folder, name, precision), as_json)
        return
    if not (folder / CHECKPOINT_CONFIG).is_file():
        raise SearcherError(
            f"{folder} is not a model: it contains neither {CONFIG} (model folder) nor {CHECKPOINT_CONFIG} "
            "(open_clip checkpoint)"
        )
    export = _trainer_export(f"{folder} must be exported first")
    with staging(name) as partial:
        note(EXPORTING, quiet=as_json)
        export.export_checkpoint(folder, partial, name=name, source=str(folder.absolute()))
        _print_imported(finish(partial, name, precision, {}), as_json)


def _trainer_export(why: str) -> "ModuleType":
    """Import `searcher.trainer.export`. Raises SearcherError, which begins with `why`, if torch is not installed."""
    from importlib import import_module

    from searcher.errors import SearcherError

    try:
        return import_module("searcher.trainer.export")
    except ModuleNotFoundError as error:
        raise SearcherError(f'{why}; this needs PyTorch: pip install "searcher[train]"') from error


def _print_imported(imported: "Imported", as_json: bool) -> None:
    for notice in imported.notices:
        note(notice)
    facts = _facts(imported.folder) | {"name": imported.name}
    if as_json:
        print_json(facts)
        return
    click.echo(f"{imported.name}: {facts['dim']} dims, {facts['precision']}, {show_bytes(facts['bytes'])}")
    click.echo(f"Use it with: searcher index FOLDER --model {imported.name}")


@command.command("pull")
@click.argument("model", shell_complete=suggestions.models_to_download)
@click.option(
    "--name", help="Name of the model on this machine (default: the name of the repository, or ARCHITECTURE__TAG)."
)
@click.option("--revision", help="Branch, tag or commit of the repository.")
@precision_option
@json_option
def pull_command(model: str, name: str | None, revision: str | None, precision: str | None, as_json: bool) -> None:
    """Download MODEL and prepare it for searching.

    If a download is interrupted, run the same command again to continue it.

    MODEL is one of:

    \b
    - a Hugging Face repository in the layout that Immich publishes, such as
      immich-app/ViT-B-32__openai
    - one of open_clip's models as ARCHITECTURE/TAG, such as
      ViT-B-32/laion2b_s34b_b79k (needs the train extra)
    - a Hugging Face repository with an open_clip checkpoint
      (needs the train extra)
    """
    from searcher.models.available import known_architecture

    if known_architecture(model.split("/")[0]):
        _pull_tag(model, name, precision, as_json)
    else:
        _pull_repository(model, revision, name, precision, as_json)


def _pull_repository(repo: str, revision: str | None, name: str | None, precision: str | None, as_json: bool) -> None:
    import shutil
    import sys

    from searcher.models.available import facts_of
    from searcher.models.folder import ModelFolder
    from searcher.models.hub import Repository, already_here, waiting_folder
    from searcher.models.importing import Imported, finish
    from searcher.models.store import copy_model_files, models_dir, staging

    if as_json or not sys.stderr.isatty():
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
    name = name or repo.split("/")[-1]
    found = Repository(repo, revision)
    if already_here(name, found.source) and precision is None:
        here = ModelFolder.read(models_dir() / name)
        _print_imported(Imported(name, here, ("this version is already on this machine",)), as_json)
        return
    export = _trainer_export(f"{repo} must be exported first") if found.is_checkpoint else None
    waiting = waiting_folder(name)
    found.download(waiting)
    facts = {"source": found.source, **facts_of(repo)}
    with staging(name) as partial:
        note(TRYING if export is None else EXPORTING, quiet=as_json)
        if export is None:
            copy_model_files(waiting, partial)
        else:
            export.export_checkpoint(waiting, partial, name=name, **facts)
        imported = finish(partial, name, precision, facts)
    shutil.rmtree(waiting, ignore_errors=True)
    _print_imported(imported, as_json)


def _pull_tag(model: str, name: str | None, precision: str | None, as_json: bool) -> None:
    from searcher.models.available import facts_of, find_available
    from searcher.models.importing import finish
    from searcher.models.store import staging

    architecture, _, tag = model.partition("/")
    if not tag:
        raise click.UsageError(
            f"Give the weights too, as {architecture}/TAG. List them with: searcher models list --available."
        )
    other = (find_available(model) or {}).get("hub")
    hint = f" (to get the same weights without PyTorch, run: searcher models pull {other})" if other else ""
    export = _trainer_export(f"{model} must be exported first{hint}")
    name = name or f"{architecture}__{tag}"
    with staging(name) as partial:
        source = f"open_clip:{model}"
        note(EXPORTING, quiet=as_json)
        export.export_pretrained(architecture, tag, partial, name=name, source=source, **facts_of(model))
        _print_imported(finish(partial, name, precision, {}), as_json)


@command.command("default")
@click.argument("name", shell_complete=suggestions.models)
def default_command(name: str) -> None:
    """Use the model NAME for new libraries by default."""
    from searcher.models.store import set_default

    set_default(name)
    click.echo(f"New libraries use {name}.")


@command.command("remove")
@click.argument("name", shell_complete=suggestions.models)
def remove_command(name: str) -> None:
    """Delete the model NAME from this machine.

    A library that was made with this model cannot be searched until the model is back.
    """
    from searcher.models.store import remove_model

    remove_model(name)
    click.echo(f"Removed {name}.")


@command.command("bench")
@click.argument("name", default="builtin", shell_complete=suggestions.models_or_folders)
@click.option(
    "--threads", default=0, type=click.IntRange(min=0), help="Number of threads (default: one per physical core)."
)
@json_option
def bench_command(name: str, threads: int, as_json: bool) -> None:
    """Measure the speed of the model NAME on this machine.

    Prints images per second and milliseconds per query.
    """
    from searcher.models.bench import bench
    from searcher.models.folder import ModelFolder
    from searcher.models.store import find_model

    folder = ModelFolder.read(find_model(name))
    timings = bench(folder, threads=threads)
    if as_json:
        print_json([timing.as_dict() for timing in timings])
        return
    rows = [
        (timing.precision, timing.provider, timing.error or "", "", "")
        if timing.error is not None
        else (
            timing.precision,
            timing.provider,
            f"{timing.images_per_second:.1f}",
            f"{timing.query_ms:.1f}",
            f"{timing.open_ms:.1f}",
        )
        for timing in timings
    ]
    print_table(("precision", "provider", "images/s", "ms/query", "ms to open"), rows)
