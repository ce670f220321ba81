"""A model folder from elsewhere → the store: checked, tried, made faster, and only then given its name."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from searcher.models.drift import drift_photos
from searcher.models.folder import CONFIG, FACTS, MANIFEST, ModelError, ModelFolder, write_manifest
from searcher.models.model import Model
from searcher.models.quantize import choose_precision
from searcher.models.store import check_name, copy_model_files, models_dir, move_into_store


@dataclass(frozen=True)
class Imported:
    """What became of an import: the model's folder in the store, and what a person should know."""

    name: str
    folder: ModelFolder
    notices: tuple[str, ...]


@contextmanager
def staging(name: str) -> Iterator[Path]:
    """An empty folder inside the store for a model that will be called `name`; gone again if anything
    fails.
    """
    check_name(name)
    store = models_dir()
    store.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=store))
    partial.chmod(0o755)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def is_model_folder(path: Path) -> bool:
    """Whether `path` looks like a model folder (not, or not only, an open_clip checkpoint)."""
    return (path / CONFIG).is_file() or (path / MANIFEST).is_file()


def import_folder(source: Path, name: str, precision: str | None = None) -> Imported:
    """Copy a model folder to the store as `name`, make int8 encoders of it and decide what to use.

    `precision`: see `choose_precision`. Raises ModelError (one line) for a broken folder; nothing is left
    then.
    """
    ModelFolder.read(source)
    with staging(name) as partial:
        copy_model_files(source, partial)
        return finish(partial, name, precision, {"source": str(source.absolute())})


def finish(partial: Path, name: str, precision: str | None, facts: Mapping[str, Any]) -> Imported:
    """Check the model in a staging folder, choose its precision and move it into the store as `name`.

    `facts` (see `write_manifest`) are recorded where the folder brings no searcher.json of its own.
    """
    try:
        folder = ModelFolder.read(partial)
        for encoder in {path for files in folder.precisions.values() for path in files.values()}:
            check_external_data(partial / encoder)
        manifest = dict(folder.manifest)
        if not manifest:
            write_manifest(partial, name=name, **facts)
        elif problems := folder.verify():
            raise ModelError(f"{partial}: {'; '.join(problems)}")
        elif manifest.get("name") != name:
            known = {key: manifest.get(key) for key in FACTS}
            write_manifest(partial, name=name, precision=folder.precision, **known)
        try_out(Model(ModelFolder.read(partial)))
        notices = choose_precision(partial, precision)
    except ModelError as error:
        # the message names files of the staging folder, which the user never sees
        line = str(error).replace(f"model {partial}", f"model {name}").replace(f"{partial}/", "")
        raise ModelError(line) from error
    return Imported(name, ModelFolder.read(move_into_store(partial, name)), tuple(notices))


def try_out(model: Model) -> None:
    """Encode a photo and a text. Raises ModelError where the folder does not work, or returns what is no
    vector.
    """
    for vectors in (model.encode_images(drift_photos()[:2]), model.encode_texts(["a photo of a cat", ""])):
        if not np.isfinite(vectors).all() or not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ModelError(f"model {model.folder}: an encoder returns no numbers that make a vector")


def check_external_data(encoder: Path) -> None:
    """Weights that an ONNX file keeps in other files must lie in its own folder and be all there
    (ModelError).
    """
    try:
        model = onnx.load(str(encoder), load_external_data=False)
    except Exception as error:  # protobuf's errors share no base with anything
        raise ModelError(f"{encoder} is no ONNX file") from error
    home = encoder.parent.resolve()
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entry = {item.key: item.value for item in tensor.external_data}
        location = entry.get("location", "")
        file = (encoder.parent / location).resolve()
        if not location or not file.is_relative_to(home):
            raise ModelError(f"{encoder} keeps its weights outside of its folder ({location}): refused")
        if not file.is_file():
            raise ModelError(f"{encoder} needs {location}, which is missing")
        if file.stat().st_size < int(entry.get("offset") or 0) + int(entry.get("length") or 0):
            raise ModelError(f"{encoder}: {location} is incomplete")
