"""Stores the examples of a label: `taught` makes its classifier from them."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from searcher.catalog import Catalog
from searcher.catalog.rows import Example
from searcher.errors import InvalidInput, NotFound
from searcher.progress import SILENT, Progress
from searcher.tagger.context import Context
from searcher.tagger.question import label_name
from searcher.tagger.taught import classifier

PICTURE_SIDE = 512  # shorter side in pixels of a stored example; the largest encoders use this size


def teach(
    context: Context, name: str, examples: Sequence[Path], against: Sequence[Path], progress: Progress = SILENT
) -> tuple[int, int]:
    """Make or replace the label `name`, from photos that show it and photos `against` it, which do not.

    The photos can be anywhere. A small copy of each is stored in the catalog. Returns the numbers of different
    examples and of different photos against it.

    Raises InvalidInput if the name is blank or invalid, if there are no examples, or if a photo cannot be read or is
    on both sides. Raises SearcherError if the catalog cannot be written.
    """
    name = label_name(name)
    if not examples:
        raise InvalidInput(f"no example photos for {name!r}; give at least one")
    with context.catalog.read() as view:
        if not view.embeddings.any_after(context.row.id, 0):
            raise NotFound("the library holds no photos to compare examples with: index some first")
    total = len(examples) + len(against)
    chosen: dict[bytes, Example] = {}
    for done, path in enumerate(examples):
        progress.advance(done, total)
        row = _read(path, True)
        chosen[row.digest] = row
    for done, path in enumerate(against, len(examples)):
        progress.advance(done, total)
        row = _read(path, False)
        if row.digest in chosen and chosen[row.digest].positive:
            raise InvalidInput(f"{path} is both an example and a counterexample of {name!r}; remove one of the two")
        chosen[row.digest] = row
    with context.catalog.write(progress) as change:
        change.tags.set_examples(change.tags.add_labels({name: None})[name], chosen.values())
    classifier(context, name, store=True, progress=progress)
    positive = sum(row.positive for row in chosen.values())
    return positive, len(chosen) - positive


def forget(catalog: Catalog, name: str, progress: Progress = SILENT) -> None:
    """Delete the examples of a taught label. The tags that it gave stay until they are cleared.

    Raises NotFound if the label was never taught, InvalidInput if the name is blank or invalid.
    """
    name = label_name(name)
    with catalog.write(progress) as change:
        tags = change.view.tags
        if name not in tags.taught():
            raise NotFound(f"the label {name!r} was never taught")
        change.tags.set_examples(tags.label_ids([name])[name], [])


def _read(path: Path, positive: bool) -> Example:
    """Read a photo as it will be stored: its digest and a small JPEG. Raises InvalidInput if it cannot be read."""
    from searcher.photos.decode import PhotoError, content_digest, decode_guarded, read_bytes

    try:
        data = read_bytes(os.fsencode(path))
        image = decode_guarded(data, PICTURE_SIDE).image
    except PhotoError as error:
        raise InvalidInput(f"{path}: {error}") from error
    ratio = PICTURE_SIDE / min(image.size)
    if ratio < 1:
        image = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return Example(content_digest(data), positive, file.getvalue())
