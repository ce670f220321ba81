"""Makes labels from examples. A few photos show the label, and the library's own embeddings show what is ordinary.

The classifier is a ridge probe in closed form (linear discriminant analysis with a shrunk covariance). Its direction
goes from the library's mean to the examples' mean and is whitened. A second score is added to it: the similarity to
the embedding of the label's name.
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

# Chosen on Caltech-101 and CIFAR-10 with five examples per class. Halving or doubling a value changes little.
RIDGE = 3.0  # added to the covariance, in units of its mean variance
NAME_WEIGHT = 1.0  # of the name's score, in standard deviations; the examples' score has weight 1
SAMPLE = 4096  # largest number of embeddings that represent ordinary photos
ORDINARY = 0.02  # share of ordinary photos that may get a label; above it, the boundary is raised
LEAST_OUTSIDE = 5  # at least this many of the ordinary photos may get the label
PICTURE_SIDE = 512  # shorter side in pixels of a stored example; the largest encoders use this size
GUESSED_VARIANCE, GUESS_COUNTS = 0.5, 8  # assumed sum of the variances of all directions, and its weight in photos
MIN_SPREAD = 1e-6


def teach(
    library: Target, name: str, examples: Sequence[Path], against: Sequence[Path], notice: Notice
) -> tuple[int, int]:
    """Make or replace the label `name`, from photos that show it and photos `against` it, which do not.

    The photos can be anywhere. A small copy of each is stored in the catalog. Returns the numbers of different
    examples and of different photos against it.

    Raises SearcherError if the name is blank, if there are no examples, if a photo cannot be read or is on both sides,
    or if the library has no indexed photos.
    """
    from searcher.catalog.tag_writer import TagWriter
    from searcher.catalog.writer import Writer

    name = " ".join(name.split())
    if not name:
        raise SearcherError("a label needs a name")
    if not examples:
        raise SearcherError(f"no example photos for {name!r}; give at least one")
    model_row(library)  # raises before any photo is read
    chosen = {row.digest: row for row in (_read(path, True) for path in examples)}
    for path in against:
        row = _read(path, False)
        if row.digest in chosen and chosen[row.digest].positive:
            raise SearcherError(f"{path} is both an example of {name!r} and a photo against it; remove one of the two")
        chosen[row.digest] = row
    with closing(Writer(library.folder, notice)) as writer:
        changes = TagWriter(writer)
        with writer.transaction():
            changes.set_examples(changes.add_labels({name: None})[name], chosen.values())
        classifier(library, name, changes)
    positive = sum(row.positive for row in chosen.values())
    return positive, len(chosen) - positive


def forget(library: Target, name: str, notice: Notice) -> None:
    """Delete the examples of a taught label. The tags that it gave stay until they are cleared.

    Raises SearcherError if the label was never taught.
    """
    from searcher.catalog.tag_writer import TagWriter
    from searcher.catalog.writer import Writer

    tags = TagReader(library.reader())
    if name not in tags.taught():
        raise SearcherError(f"the label {name!r} was never taught")
    with closing(Writer(library.folder, notice)) as writer, writer.transaction():
        TagWriter(writer).set_examples(tags.label_ids([name])[name], [])


def classifier(library: Target, name: str, changes: "TagWriter | None" = None) -> Taught:
    """The classifier of a taught label, for the library's model.

    It is computed once per model and set of examples. It is stored in the catalog only if `changes` is given.
    """
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
    """Compute a classifier from embeddings of unit length.

    examples (n, dim): photos of the label. against (n, dim): photos against it; n may be 0. sample (n, dim): ordinary
    photos. text (dim,): the label's name. background (n, dim): prompts for what most photos show.

    The score is the sum of one score for the examples and one for the name. Over `sample`, each of the two has mean 0
    and a standard deviation of about 1.
    """
    center = sample.mean(axis=0)
    deviation = sample - center
    # A small sample says little about the covariance, so it is combined with a guess that is equal in all directions.
    guess = GUESSED_VARIANCE / len(center) * np.eye(len(center))
    covariance = (deviation.T @ deviation + GUESS_COUNTS * guess) / (len(sample) + GUESS_COUNTS)
    ridge = RIDGE * np.trace(covariance) / len(center) * np.eye(len(center))
    whiten = np.linalg.inv(covariance + ridge)
    # The examples are compared with ordinary photos and, with equal weight, with the photos against the label.
    other = (center + against.mean(axis=0)) / 2 if len(against) else center

    def look(chosen: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights and offset of the standardised similarity to the `chosen` examples."""
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
    slope = float(np.log(9)) / max(typical - boundary, 1.0)  # a typical example has probability 0.9
    level = float((background @ center).mean())
    spread = float(np.sqrt(((background @ covariance) * background).sum(axis=1)).mean())
    return Taught(weights, offset, boundary, slope, level, spread)


def _left_out(examples: np.ndarray, look: Callable[[np.ndarray], tuple[np.ndarray, float]]) -> np.ndarray:
    """Score each example with a classifier computed without it. A single example is scored with its own."""
    scores = []
    for number, example in enumerate(examples):
        others = np.delete(examples, number, axis=0) if len(examples) > 1 else examples
        weights, offset = look(others)
        scores.append(float(example @ weights + offset))
    return np.array(scores)


def _without(sample: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The sample without the examples, or the whole sample if fewer than two embeddings would be left."""
    alike = (sample @ examples.T > 0.9999).any(axis=1)
    rest = sample[~alike]
    return rest if len(rest) >= 2 else sample


def _embeddings(library: Target, tags: TagReader, examples: Sequence[ExampleRow]) -> np.ndarray:
    """The embeddings (n, dim) float32 of examples: from the catalog, or else computed from the stored pictures."""
    from searcher.photos.decode import decode

    known = tags.embeddings_of([example.digest for example in examples], model_row(library))
    missing = [example for example in examples if example.digest not in known]
    if missing:
        images = [decode(example.picture, min_side=library.model.image_size).image for example in missing]
        made = library.model.encode_images(images)
        known |= {example.digest: vector for example, vector in zip(missing, made, strict=True)}
    return np.stack([known[example.digest] for example in examples])


def _read(path: Path, positive: bool) -> ExampleRow:
    """Read a photo as it will be stored: its digest and a small JPEG. Raises SearcherError if it cannot be read."""
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
