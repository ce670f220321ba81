"""`searcher models …`: the models on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searcher.commands.common import json_option, note, print_json, show_bytes, show_path

if TYPE_CHECKING:
    from types import ModuleType

    from searcher.models.folder import ModelFolder
    from searcher.models.importing import Imported


TRYING = "Trying the model in each of its precisions …"
EXPORTING = "Exporting the model, then trying it in each of its precisions …"


@click.group()
def command() -> None:
    """Look at the models on this machine, and add or remove one."""


@command.command("list")
@click.option("--available", is_flag=True, help="List what can be pulled instead.")
@json_option
def list_command(available: bool, as_json: bool) -> None:
    """List the built-in model and those that were imported or pulled; * is the default."""
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
        click.echo("No model yet: see searcher models pull, searcher models import.")
        return
    width = max(len(row["name"]) for row in rows)
    click.echo(f"  {'name':<{width}}  {'dims':>5}  {'pixels':>6}  {'precision':<9}  {'size':>9}")
    for row in rows:
        mark = "*" if row["default"] else " "
        click.echo(
            f"{mark} {row['name']:<{width}}  {row['dim']:>5}  {row['image_size']:>6}  "
            f"{row['precision']:<9}  {show_bytes(row['bytes']):>9}"
        )


def _list_available(as_json: bool) -> None:
    from searcher.models.available import available_models

    rows = available_models()
    if as_json:
        print_json(rows)
        return
    click.echo("Ready to pull; ImageNet is the published zero-shot accuracy.\n")
    sections = (("Without torch", True), ("With the train extra (exported here)", False))
    head = f"{'params':>7} {'pixels':>6} {'dims':>5} {'languages':>9} {'ImageNet':>8}"
    for title, wanted in sections:
        click.echo(f"{title:<62}{head}")
        for row in rows:
            if (row["hub"] is not None) is not wanted:
                continue
            millions = f"{row['millions']} M" if row["millions"] else "?"
            accuracy = f"{row['imagenet']:.1%}" if row["imagenet"] else "?"
            languages = ",".join(row["languages"]) if row["languages"] else "many"
            click.echo(
                f"{'':4}{row['hub'] or row['name']:<58}{millions:>7} {row['image_size']:>6} {row['dim']:>5} "
                f"{languages:>9} {accuracy:>8}"
            )
        click.echo()


@command.command("info")
@click.argument("name", default="builtin")
@click.option(
    "--verify", is_flag=True, help="Compare every file with its recorded digest (exit code 1 if one differs)."
)
@json_option
def info_command(name: str, verify: bool, as_json: bool) -> None:
    """Say what is known about the model NAME (or in the folder NAME), and print its card."""
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
        used = f"scale {scale:g} and bias {bias:g}, published for its family, are used"
        click.echo(f"{'logit scale':<12}unknown: {used}")
    if verify:
        click.echo(f"{'files':<12}all as recorded")
    if folder.card:
        click.echo(f"\n{folder.card.strip()}")


def _facts(folder: "ModelFolder") -> dict[str, Any]:
    manifest = folder.manifest
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
    return show_path(str(value))


precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "int8"]),
    help="Use this one (default: int8 unless it strays from float32).",
)


@command.command("import")
@click.argument("path")
@click.option("--name", help="Its name here (default: the folder's).")
@precision_option
@json_option
def import_command(path: str, name: str | None, precision: str | None, as_json: bool) -> None:
    """Make a model ready for search: a trained folder, an open_clip checkpoint folder, or a model folder.

    An open_clip checkpoint is exported first, which needs the train extra; the others do not.
    """
    from searcher.errors import SearcherError
    from searcher.models.importing import finish, import_folder, is_model_folder, staging

    folder = Path(path.removeprefix("local-dir:")).expanduser()
    if folder.is_file() and (folder.parent / "open_clip_config.json").is_file():
        folder = folder.parent
    if not folder.is_dir():
        problem = "is a file, not a model folder" if folder.exists() else "does not exist"
        raise SearcherError(f"{folder} {problem}")
    name = name or folder.resolve().name
    if is_model_folder(folder):
        note(TRYING, quiet=as_json)
        _print_imported(import_folder(folder, name, precision), as_json)
        return
    export = _trainer_export(f"{folder} is not exported yet")
    with staging(name) as partial:
        note(EXPORTING, quiet=as_json)
        export.export_checkpoint(folder, partial, name=name, source=str(folder.absolute()))
        _print_imported(finish(partial, name, precision, {}), as_json)


def _trainer_export(why: str) -> "ModuleType":
    """`searcher.trainer.export`, or one line where torch is not installed."""
    from importlib import import_module

    from searcher.errors import SearcherError

    try:
        return import_module("searcher.trainer.export")
    except ModuleNotFoundError as error:
        raise SearcherError(f'{why}; that needs torch: pip install "searcher[train]"') from error


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
@click.argument("model")
@click.option("--name", help="Its name here (default: the repository's, or ARCHITECTURE__TAG).")
@click.option("--revision", help="A branch, tag or commit of the repository.")
@precision_option
@json_option
def pull_command(model: str, name: str | None, revision: str | None, precision: str | None, as_json: bool) -> None:
    """Download MODEL and make it ready for search: the only command that uses the network.

    MODEL is a hub repository in the layout that Immich publishes (immich-app/ViT-B-32__openai), or with the
    train extra one of open_clip's ARCHITECTURE/TAG (ViT-B-32/laion2b_s34b_b79k), or a hub repository that
    holds an open_clip checkpoint. An interrupted download goes on where it stopped.
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
    from searcher.models.importing import Imported, finish, staging
    from searcher.models.store import copy_model_files, models_dir

    if as_json or not sys.stderr.isatty():
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
    name = name or repo.split("/")[-1]
    found = Repository(repo, revision)
    if already_here(name, found.source) and precision is None:
        here = ModelFolder.read(models_dir() / name)
        _print_imported(Imported(name, here, ("this version is here already",)), as_json)
        return
    export = _trainer_export(f"{repo} is not exported yet") if found.is_checkpoint else None
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
    from searcher.models.importing import finish, staging

    architecture, _, tag = model.partition("/")
    if not tag:
        raise click.UsageError(f"Say which weights of {architecture}: see searcher models list --available.")
    other = (find_available(model) or {}).get("hub")
    hint = f" (searcher models pull {other} brings the same weights without torch)" if other else ""
    export = _trainer_export(f"{model} has to be exported{hint}")
    name = name or f"{architecture}__{tag}"
    with staging(name) as partial:
        source = f"open_clip:{model}"
        note(EXPORTING, quiet=as_json)
        export.export_pretrained(architecture, tag, partial, name=name, source=source, **facts_of(model))
        _print_imported(finish(partial, name, precision, {}), as_json)


@command.command("default")
@click.argument("name")
def default_command(name: str) -> None:
    """Use the model NAME for new libraries unless another is said."""
    from searcher.models.store import set_default

    set_default(name)
    click.echo(f"New libraries use {name}.")


@command.command("remove")
@click.argument("name")
def remove_command(name: str) -> None:
    """Delete the model NAME from this machine. A library made with it cannot be searched until it is back."""
    from searcher.models.store import remove_model

    remove_model(name)
    click.echo(f"Removed {name}.")


@command.command("bench")
@click.argument("name", default="builtin")
@click.option("--threads", default=0, type=click.IntRange(min=0), help="Threads (default: one a physical core).")
@json_option
def bench_command(name: str, threads: int, as_json: bool) -> None:
    """Measure the model NAME on this machine: images a second and milliseconds a query."""
    from searcher.models.bench import bench
    from searcher.models.folder import ModelFolder
    from searcher.models.store import find_model

    folder = ModelFolder.read(find_model(name))
    timings = bench(folder, threads=threads)
    if as_json:
        print_json([timing.as_dict() for timing in timings])
        return
    click.echo(f"{'precision':<10}{'provider':<10}{'images/s':>9}{'ms/query':>10}{'ms to open':>12}")
    for timing in timings:
        head = f"{timing.precision:<10}{timing.provider:<10}"
        if timing.error is not None:
            click.echo(f"{head}{timing.error}")
            continue
        click.echo(f"{head}{timing.images_per_second:>9.1f}{timing.query_ms:>10.1f}{timing.open_ms:>12.1f}")
