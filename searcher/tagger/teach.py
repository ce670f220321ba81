"""Labels taught by example: a few photos say what is meant, the library's own embeddings what is ordinary.

The classifier is a ridge probe in closed form (linear discriminant analysis with a shrunk covariance): the direction
from the library's mean to the examples' mean, whitened, beside the words of the label's name.
"""

import io
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searcher.catalog.tags import ExampleRow, TagReader
from searcher.datasets.labels import Label
from searcher.datasets.templates import ENSEMBLE
from searcher.errors import SearcherError
from searcher.models.prompts import encode_labels
from searcher.tagger.question import digest
from searcher.tagger.run import Notice, StoredVectors, Target, model_row
from searcher.tagger.scorer import BACKGROUND, Taught

if TYPE_CHECKING:
    from searcher.catalog.tag_writer import TagWriter

# Chosen on Caltech-101 and CIFAR-10 with five examples a class; halves and doubles of them change little.
RIDGE = 3.0  # added to the covariance, in units of its mean variance
NAME_WEIGHT = 1.0  # of the name's words, in standard deviations, beside the examples' 1
SAMPLE = 4096  # embeddings that stand for what is ordinary
ORDINARY = 0.02  # share of the library's photos that a label may be given to before it is drawn more tightly
LEAST_OUTSIDE = 5  # photos at least, of those that stand for what is ordinary, that may turn out to have the label
PICTURE_SIDE = 512  # pixels of the shorter side of an example that is kept: what the largest encoders look at
GUESSED_VARIANCE, GUESS_COUNTS = 0.5, 8  # of all directions together; as much as so many photos
MIN_SPREAD = 1e-6


def teach(
    library: Target, name: str, examples: Sequence[Path], against: Sequence[Path], notice: Notice
) -> tuple[int, int]:
    """Make or remake the label `name` from photos of it, and photos `against` it; returns how many of each are kept.

    The photos may lie anywhere; a small copy of each is kept in the catalog. Raises SearcherError for a photo that
    cannot be read, or one that is on both sides.
    """
    from searcher.catalog.tag_writer import TagWriter
    from searcher.catalog.writer import Writer

    name = " ".join(name.split())
    if not name:
        raise SearcherError("a label needs a name")
    if not examples:
        raise SearcherError(f"teach {name!r} with at least one photo of it")
    model_row(library)  # raises before photos are read
    chosen = {row.digest: row for row in (_read(path, True) for path in examples)}
    for path in against:
        row = _read(path, False)
        if row.digest in chosen and chosen[row.digest].positive:
            raise SearcherError(f"{path} is an example both of {name!r} and against it")
        chosen[row.digest] = row
    with closing(Writer(library.folder, notice)) as writer:
        changes = TagWriter(writer)
        with writer.transaction():
            changes.set_examples(changes.add_labels({name: None})[name], chosen.values())
        classifier(library, name, changes)
    positive = sum(row.positive for row in chosen.values())
    return positive, len(chosen) - positive


def forget(library: Target, name: str, notice: Notice) -> None:
    """Forget how a label was taught; the tags it gave stay until they are cleared. SearcherError if it never was."""
    from searcher.catalog.tag_writer import TagWriter
    from searcher.catalog.writer import Writer

    tags = TagReader(library.reader())
    if name not in tags.taught():
        raise SearcherError(f"the label {name!r} was never taught")
    with closing(Writer(library.folder, notice)) as writer, writer.transaction():
        TagWriter(writer).set_examples(tags.label_ids([name])[name], [])


def classifier(library: Target, name: str, changes: "TagWriter | None" = None) -> Taught:
    """What the library's model makes of a label's examples; computed once a model and set of examples, and kept with
    `changes`."""
    tags, row = TagReader(library.reader()), model_row(library)
    vectors = StoredVectors(library, changes)
    key = digest(f"taught {name}\n{tags.taught()[name]}")
    found = vectors.get([key]).get(key)
    if found is None:
        examples = tags.examples(name)
        embeddings = _embeddings(library, tags, examples)
        positive = np.array([example.positive for example in examples])
        sample = _without(tags.sample(row, SAMPLE), embeddings)
        texts = encode_labels(library.model, [Label(name, (name,))], ENSEMBLE)[0]
        background = library.model.encode_texts(BACKGROUND)
        found = fit(embeddings[positive], embeddings[~positive], sample, texts, background).pack()
        vectors.put({key: found})
    return Taught.unpack(found)


def fit(
    examples: np.ndarray, against: np.ndarray, sample: np.ndarray, text: np.ndarray, background: np.ndarray
) -> Taught:
    """A classifier from embeddings (each (n, dim), unit length) of photos of a label, photos against it, ordinary
    photos, its name (dim,) and what is in most photos.

    Its score has mean 0 and standard deviation about 1 over the `sample`, for words and examples each.
    """
    center = sample.mean(axis=0)
    deviation = sample - center
    # a few photos say little of how photos differ: they count beside a guess that is alike in all directions
    guess = GUESSED_VARIANCE / len(center) * np.eye(len(center))
    covariance = (deviation.T @ deviation + GUESS_COUNTS * guess) / (len(sample) + GUESS_COUNTS)
    ridge = RIDGE * np.trace(covariance) / len(center) * np.eye(len(center))
    whiten = np.linalg.inv(covariance + ridge)
    # what the label is told from: the ordinary, and as much of what it is explicitly not
    other = (center + against.mean(axis=0)) / 2 if len(against) else center

    def look(chosen: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights and offset of the standardised likeness to `chosen` examples."""
        return standardised(whiten @ (chosen.mean(axis=0) - other))

    def standardised(direction: np.ndarray) -> tuple[np.ndarray, float]:
        weights = direction / max(float(np.sqrt(direction @ covariance @ direction)), MIN_SPREAD)
        return weights.astype(np.float32), -float(center @ weights)

    words = standardised(text)
    weights, offset = look(examples)
    weights, offset = weights + NAME_WEIGHT * words[0], offset + NAME_WEIGHT * words[1]
    scores = sample @ weights + offset
    typical = float(np.mean(_left_out(examples, look) + NAME_WEIGHT * (examples @ words[0] + words[1])))
    share = min(0.5, max(ORDINARY, LEAST_OUTSIDE / len(sample)))
    boundary = max(typical / 2, float(np.quantile(scores, 1 - share)))
    if len(against):
        boundary = max(boundary, (typical + float((against @ weights + offset).mean())) / 2)
    slope = float(np.log(9)) / max(typical - boundary, 1.0)  # an example like the others has probability 0.9
    level = float((background @ center).mean())
    spread = float(np.sqrt(((background @ covariance) * background).sum(axis=1)).mean())
    return Taught(weights, offset, boundary, slope, level, spread)


def _left_out(examples: np.ndarray, look: Callable[[np.ndarray], tuple[np.ndarray, float]]) -> np.ndarray:
    """The score of each example by a classifier that has not seen it; of a single one, by its own."""
    scores = []
    for number, example in enumerate(examples):
        others = np.delete(examples, number, axis=0) if len(examples) > 1 else examples
        weights, offset = look(others)
        scores.append(float(example @ weights + offset))
    return np.array(scores)


def _without(sample: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The sample without the examples, unless hardly anything would be left."""
    alike = (sample @ examples.T > 0.9999).any(axis=1)
    rest = sample[~alike]
    return rest if len(rest) >= 2 else sample


def _embeddings(library: Target, tags: TagReader, examples: Sequence[ExampleRow]) -> np.ndarray:
    """(n, dim) float32: what the catalog holds, else from the picture that was kept."""
    from searcher.photos.decode import decode

    known = tags.embeddings_of([example.digest for example in examples], model_row(library))
    missing = [example for example in examples if example.digest not in known]
    if missing:
        images = [decode(example.picture, min_side=library.model.image_size).image for example in missing]
        made = library.model.encode_images(images)
        known |= {example.digest: vector for example, vector in zip(missing, made, strict=True)}
    return np.stack([known[example.digest] for example in examples])


def _read(path: Path, positive: bool) -> ExampleRow:
    """A photo as it is kept: its digest, and a small JPEG of it."""
    from searcher.photos.decode import PhotoError, content_digest, decode, read_bytes

    try:
        data = read_bytes(os.fsencode(path))
        image = decode(data, min_side=PICTURE_SIDE).image
    except PhotoError as error:
        raise SearcherError(f"{path}: {error}") from error
    ratio = PICTURE_SIDE / min(image.size)
    if ratio < 1:
        image = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return ExampleRow(content_digest(data), positive, file.getvalue())
