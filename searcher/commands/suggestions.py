"""What the options and arguments offer to a shell that completes a word. Each is a `shell_complete` of click."""

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Items = list[CompletionItem]


def labels(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Labels of the library."""
    from searcher.library.suggestions import known_labels

    return _starting(known_labels(_library(ctx)), incomplete)


def label_lists(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """What `--labels` takes: label sets, labels of the library separated by commas, or a file."""
    from searcher.datasets.labels import set_names

    if incomplete.startswith("@"):
        return _starting(set_names(), incomplete)
    head, comma, last = incomplete.rpartition(",")
    named = {name.strip() for name in head.split(",")}
    plain = (item for item in labels(ctx, param, last) if item.value not in named and not set(',"') & set(item.value))
    found = [CompletionItem(head + comma + item.value) for item in plain]
    return found or _files(incomplete)


def label_sets(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Label sets, or a file."""
    from searcher.datasets.labels import set_names

    return _starting(set_names(), incomplete) if incomplete.startswith("@") else _files(incomplete)


def indexed_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The indexed folders, or any folder if none begins with what was typed."""
    from searcher.library.suggestions import known_folders

    folders = [folder for folder in known_folders(_library(ctx)) if folder != incomplete.rstrip("/")]
    return [CompletionItem(folder) for folder in folders if folder.startswith(incomplete)] or folders_of_disk(
        ctx, param, incomplete
    )


def folders_of_disk(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Any folder."""
    return [CompletionItem(incomplete, type="dir")]


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Models on this machine."""
    from searcher.models.store import model_names

    return _starting(model_names(), incomplete)


def models_or_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Models on this machine, or a model folder."""
    return models(ctx, param, incomplete) or folders_of_disk(ctx, param, incomplete)


def models_or_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Models on this machine, or a file or folder."""
    return models(ctx, param, incomplete) or _files(incomplete)


def models_to_download(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Names that `models pull` takes."""
    from searcher.models.available import available_models

    return _starting([row["hub"] or row["name"] for row in available_models()], incomplete)


def formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Formats of photos."""
    from searcher.filters import FORMATS

    return _starting(["raw", *(name.lower() for name in FORMATS)], incomplete)


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Any file."""
    return _files(incomplete)


def _library(ctx: click.Context) -> Path | str | None:
    """The library that the line names so far."""
    place: Path | str | None = ctx.params.get("library_dir")
    return place


def _starting(names: Iterable[str], incomplete: str) -> Items:
    """The names that begin with what was typed, whatever their case."""
    return [CompletionItem(name) for name in names if name.casefold().startswith(incomplete.casefold())]


def _files(incomplete: str) -> Items:
    return [CompletionItem(incomplete, type="file")]
