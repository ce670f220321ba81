"""Import a model folder into the store.

The model is checked, tried out and quantised in a staging folder. It gets its name only after that.
"""

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
    """The result of an import: the model's folder in the store, and notices for the user."""

    name: str
    folder: ModelFolder
    notices: tuple[str, ...]


@contextmanager
def staging(name: str) -> Iterator[Path]:
    """Create an empty folder inside the store for a model that will be called `name`.

    The folder is deleted at the end unless the model was moved out of it. Raises ModelError if `name` is not
    a valid model name.
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
    """Whether `path` looks like a model folder. It may also contain an open_clip checkpoint."""
    return (path / CONFIG).is_file() or (path / MANIFEST).is_file()


def import_folder(source: Path, name: str, precision: str | None = None) -> Imported:
    """Copy a model folder to the store as `name`, create int8 encoders and choose the precision to use.

    `precision`: see `choose_precision`. Raises ModelError (one line) if the folder is broken. In that case
    nothing is left in the store.
    """
    ModelFolder.read(source)
    with staging(name) as partial:
        copy_model_files(source, partial)
        return finish(partial, name, precision, {"source": str(source.absolute())})


def finish(partial: Path, name: str, precision: str | None, facts: Mapping[str, Any]) -> Imported:
    """Check the model in a staging folder, choose its precision and move it into the store as `name`.

    `facts` (see `write_manifest`) are recorded only if the folder has no searcher.json of its own. Raises
    ModelError if the model is broken.
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
        # the message contains paths of the staging folder, which mean nothing to the user
        line = str(error).replace(f"model {partial}", f"model {name}").replace(f"{partial}/", "")
        raise ModelError(line) from error
    return Imported(name, ModelFolder.read(move_into_store(partial, name)), tuple(notices))


def try_out(model: Model) -> None:
    """Encode two photos and two texts. Raises ModelError if an encoder fails or returns unusable vectors."""
    for vectors in (model.encode_images(drift_photos()[:2]), model.encode_texts(["a photo of a cat", ""])):
        if not np.isfinite(vectors).all() or not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ModelError(f"model {model.folder}: an encoder returns vectors that are zero or not finite")


def check_external_data(encoder: Path) -> None:
    """Check the external data files of an ONNX file.

    They must be in the same folder as the ONNX file and be complete. Raises ModelError if they are not, or if
    `encoder` is not an ONNX file.
    """
    try:
        model = onnx.load(str(encoder), load_external_data=False)
    except Exception as error:  # protobuf's exceptions have no common base class
        raise ModelError(f"{encoder} is not an ONNX file") from error
    home = encoder.parent.resolve()
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entry = {item.key: item.value for item in tensor.external_data}
        location = entry.get("location", "")
        file = (encoder.parent / location).resolve()
        if not location or not file.is_relative_to(home):
            raise ModelError(f"{encoder} stores its weights outside its folder ({location}), which is not allowed")
        if not file.is_file():
            raise ModelError(f"{encoder} needs {location}, which is missing")
        if file.stat().st_size < int(entry.get("offset") or 0) + int(entry.get("length") or 0):
            raise ModelError(f"{encoder}: {location} is incomplete")
