"""Import a model folder into the store.

The model is checked, tried out and quantised in a staging folder. It gets its name only after that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searcher.models.drift import drift_photos
from searcher.models.encoder import DualEncoder
from searcher.models.external_data import check_external_data
from searcher.models.folder import ModelFolder
from searcher.models.guess import guess_relevance
from searcher.models.layout import CONFIG, MANIFEST, ModelError, model_digest, model_files
from searcher.models.manifest import FACTS, update_manifest, write_manifest
from searcher.models.model import Model
from searcher.models.quantize import choose_precision
from searcher.models.store import copy_model_files, move_into_store, staging


@dataclass(frozen=True)
class Imported:
    """The result of an import: the model's folder in the store, and notices for the user."""

    name: str
    folder: ModelFolder
    notices: tuple[str, ...]


def is_model_folder(path: Path) -> bool:
    """Whether `path` looks like a model folder. It may also contain an open_clip checkpoint."""
    return (path / CONFIG).is_file() or (path / MANIFEST).is_file()


def import_folder(source: Path, name: str, precision: str | None = None) -> Imported:
    """Copy a model folder to the store as `name`, create int8 encoders and choose the precision to use.

    `precision`: see `choose_precision`. Raises NotFound if there is no folder, and ModelError (one line) if it is
    broken. In that case nothing is left in the store.
    """
    ModelFolder.read(source)
    with staging(name) as partial:
        copy_model_files(source, partial)
        return finish(partial, name, precision, {"source": str(source.absolute())})


def finish(partial: Path, name: str, precision: str | None, facts: Mapping[str, Any]) -> Imported:
    """Check the model in a staging folder, choose its precision and move it into the store as `name`.

    `facts` (see `write_manifest`) are recorded only if the folder has no searcher.json that lists its files. Raises
    ModelError if the model is broken.
    """
    try:
        folder = ModelFolder.read(partial)
        for encoder in {path for files in folder.precisions.values() for path in files.values()}:
            check_external_data(partial / encoder)
        _record(folder, name, facts)
        folder = ModelFolder.read(partial)
        for each in folder.precisions:
            try_out(Model(folder, precision=each))
        guess_relevance(partial)
        notices = choose_precision(partial, precision)
    except ModelError as error:
        # the message contains paths of the staging folder, which mean nothing to the user
        line = str(error).replace(f"model {partial}", f"model {name}").replace(f"{partial}/", "")
        raise ModelError(line) from error
    return Imported(name, ModelFolder.read(move_into_store(partial, name)), tuple(notices))


def _record(folder: ModelFolder, name: str, facts: Mapping[str, Any]) -> None:
    """Write the manifest of a folder that has none, or check the one that it has and give it its new name."""
    manifest = folder.manifest
    if not manifest.files:
        own = {key: value for key, value in manifest.as_dict().items() if key in FACTS and value is not None}
        write_manifest(folder.path, name=name, precision=manifest.precision, **{**facts, **own, "digest": None})
        return
    problems = folder.verify()
    # Without the float32 encoders, the digest cannot be computed again.
    if not problems and "float32" in manifest.precisions:
        known = {path: record.sha256 for path, record in manifest.files.items()}
        if manifest.digest not in (None, model_digest(folder.path, known)):
            problems = [f"the digest in {MANIFEST} does not match the files"]
    if problems:
        raise ModelError(f"model {folder.path}: {'; '.join(problems)}")
    unlisted = {file.relative_to(folder.path).as_posix() for file in model_files(folder.path)} - manifest.files.keys()
    # `precisions` makes it record all files again
    update_manifest(folder.path, name=name, **({"precisions": manifest.precisions} if unlisted else {}))


def try_out(model: DualEncoder) -> None:
    """Encode two photos and two texts. Raises ModelError if an encoder fails or returns unusable vectors."""
    for vectors in (model.encode_images(drift_photos()[:2]), model.encode_texts(["a photo of a cat", ""])):
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ModelError(f"model {model.folder}: an encoder returns vectors of zeros")
