"""Embed what a query asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searcher.errors import NotFound
from searcher.models.relevance import Wordings, read_text, relevance
from searcher.search.query import Embedded, Query, Term

if TYPE_CHECKING:
    from PIL.Image import Image

    from searcher.models.encoder import DualEncoder


@dataclass(frozen=True, slots=True)
class Asked:
    """The terms of a query, embedded.

    vector: (dim,) float32, the sum of the terms' embeddings times their weights. positive, negative: the texts that a
    photo shall show and shall not show. alone: the text, if it is the only term and positive.
    """

    vector: np.ndarray
    positive: tuple[Wordings, ...] = ()
    negative: tuple[Wordings, ...] = ()
    alone: Wordings | None = None

    def relevance(self, photos: np.ndarray) -> np.ndarray | None:
        """The relevance (m,) float32 of photos (m, dim): that of the text that fits least, times that each of the
        negative texts does not fit. None if no text is positive.
        """
        if not self.positive:
            return None
        found: np.ndarray = np.min([relevance(text.logits(photos)) for text in self.positive], axis=0)
        for text in self.negative:
            found = found * (1 - relevance(text.logits(photos)))
        return found


def encode(model: "DualEncoder", query: Query, stored: Mapping[int, np.ndarray]) -> Asked | None:
    """What a query asks for, None for a filter alone.

    stored: image id → embedding (dim,), for the images of the library that the terms name. Raises PhotoError for an
    image that cannot be read.
    """
    terms = query.terms
    if not terms:
        return None
    texts = [None if term.text is None else read_text(model, term.text) for term in terms]
    vectors = [
        _picture(model, term, stored) if text is None else text.vectors[0]
        for term, text in zip(terms, texts, strict=True)
    ]
    alone = len(terms) == 1 and terms[0].weight > 0
    weights = [1.0] if alone else [term.weight for term in terms]
    return Asked(
        np.sum([weight * vector for weight, vector in zip(weights, vectors, strict=True)], axis=0).astype(np.float32),
        tuple(text for term, text in zip(terms, texts, strict=True) if text is not None and term.weight > 0),
        tuple(text for term, text in zip(terms, texts, strict=True) if text is not None and term.weight < 0),
        texts[0] if alone else None,
    )


def read_picture(model: "DualEncoder", picture: Path | bytes) -> "Image":
    """An image file or its content, read as photos are read to be indexed. Raises PhotoError."""
    from searcher.photos.decode import decode_guarded, open_photo

    if isinstance(picture, bytes):
        return decode_guarded(picture, min_side=model.image_size).image
    return open_photo(picture, min_side=model.image_size).image


def _picture(model: "DualEncoder", term: Term, stored: Mapping[int, np.ndarray]) -> np.ndarray:
    if isinstance(term.like, int):
        return stored[term.like]
    if isinstance(term.like, Embedded):
        if term.like.model != model.digest:
            raise NotFound("the library has another model since the picture was read: give it again")
        return term.like.vector
    vector: np.ndarray = model.encode_images([read_picture(model, term.like or Path())])[0]
    return vector
