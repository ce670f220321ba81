"""Check a library for damage and repair it."""

from typing import TYPE_CHECKING

from searcher import vector_index
from searcher.catalog.reader import Reader
from searcher.library.reports import CheckReport
from searcher.library.vectors import Vectors

if TYPE_CHECKING:
    from searcher.catalog.writer import Writer

NORM_TOLERANCE = 0.01  # rounding to float16 changes the length of a unit vector by far less


def find_problems(reader: Reader, vectors: Vectors) -> CheckReport:
    """Return the problems with the embeddings and the FAISS file. The catalog itself must be intact."""
    problems = []
    if without := reader.images_without_embedding(vectors.model.id):
        problems.append(f"catalog: {without} photos have no embedding")
    if wrong := len(bad_embeddings(reader, vectors)):
        problems.append(f"catalog: {wrong} embeddings are damaged")
    if index_problem := _file_problem(reader, vectors):
        problems.append(index_problem)
    return CheckReport(tuple(problems))


def bad_embeddings(reader: Reader, vectors: Vectors) -> list[int]:
    """Return the ids of embeddings that are not unit vectors."""
    import numpy as np

    bad: list[int] = []
    for ids, rows in reader.vectors(vectors.model):
        norms = np.linalg.norm(rows.astype(np.float32), axis=1)
        bad += ids[~(np.abs(norms - 1) <= NORM_TOLERANCE)].tolist()  # written with "not" so that NaN counts as bad
    return bad


def _file_problem(reader: Reader, vectors: Vectors) -> str | None:
    name = vectors.path.name
    if not vectors.path.exists():
        return f"{name}: missing" if reader.has_vector_file(vectors.model.id) else None
    if not vector_index.verify(vectors.path):
        return f"{name}: damaged"
    if vectors.file() is None:
        return f"{name}: does not belong to this catalog"
    return None


def repair(reader: Reader, writer: "Writer", vectors: Vectors) -> None:
    """Write the FAISS file again and remove damaged embeddings.

    The next index run reads the photos without an embedding again.
    """
    with writer.transaction():
        writer.remove_embeddings(bad_embeddings(reader, vectors))
        writer.read_again(vectors.model.id)
    vectors.write(writer)
