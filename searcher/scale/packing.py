"""A model folder as bytes, for machines that do not have it."""

import io
import tarfile
import tempfile
from pathlib import Path

from searcher.errors import SearcherError
from searcher.models import Model
from searcher.models.layout import MANIFEST, model_files
from searcher.scale.shards import Facts


def pack(folder: Path) -> bytes:
    """The files of a model, as a tar file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for file in [*model_files(folder), folder / MANIFEST]:
            if file.is_file():
                tar.add(file.resolve(), arcname=file.relative_to(folder).as_posix())
    return packed.getvalue()


def open_model(facts: Facts, threads: int, packed: bytes | None) -> Model:
    """Open the model of the shards: in its folder if that is there and the same, or else from `packed`.

    The encoder is opened, too, so no file is needed any more. threads: see `Model.open`. Raises SearcherError.
    """
    try:
        model = Model.open(Path(facts.folder), precision=facts.precision, threads=threads)
        if packed is None or model.digest == facts.digest:
            return model
    except SearcherError:
        if packed is None:
            raise
    with tempfile.TemporaryDirectory(prefix="searcher-model-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(folder, filter="data")
        model = Model.open(Path(folder), precision=facts.precision, threads=threads)
        _ = model.digest, model.on_cpu  # reads what is only read when it is needed
    return model
