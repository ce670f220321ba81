"""The part of Library that searches."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from searcher.errors import InvalidInput, NotFound
from searcher.filters import EVERYTHING, Filter, Sort
from searcher.library.core import LibraryCore

if TYPE_CHECKING:
    from searcher.search.asked import Asked
    from searcher.search.collection import Collection
    from searcher.search.query import Embedded, Hits, Query, Term
    from searcher.search.ranking import Ranking

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class SearchMethods(LibraryCore):
    """Searches in a library."""

    def search(
        self,
        query: "str | Query | None" = None,
        *,
        like: str | Path | None = None,
        top: int = 20,
        filter: Filter = EVERYTHING,
        min_relevance: float | None = None,
        sort: Sort | None = None,
        also: "Sequence[Term]" = (),
        diverse: bool = False,
    ) -> "Hits":
        """Photos that fit a text, or that look like the image file `like`, best first. No hits in an empty library.

        With both, or with further terms in `also`, all of them add up. min_relevance: leave out hits with a smaller
        relevance; it needs a text. sort: "time" puts the hits in order by time, newest first. Without a text and an
        image that is the default; "relevance" then puts the photos first that are most likely to have the labels asked
        for. diverse: photos that are like a better hit come later; it needs a text or an image.

        Raises InvalidInput for an empty query, PhotoError for an image that cannot be read, NotFound for a tag that no
        photo has, or a folder without an indexed photo.
        """
        from searcher.search.find import find
        from searcher.search.query import Hits, Query

        if not isinstance(query, Query):
            image = None if like is None else Path(like)
            query = Query(query, image, top, filter, min_relevance, sort, tuple(also), diverse)
        asked = query

        def answer(collection: "Collection", embedded: "Asked | None") -> "Hits":
            return find(collection, asked, embedded)

        hits, notices = self._answer(query, answer, Hits)
        hits.notices = (*notices, *hits.notices)
        return hits

    def rank(self, query: "Query | None" = None) -> "Ranking":
        """All hits of a query in their order, for `page`. None stands for all photos, newest first.

        `query.top` does not count: the photos that are likely come first, and at most `ranking.LESS_LIKELY` others
        follow. Without a term, all photos that meet the filter are there. Raises as `search` does.
        """
        from searcher.search import ranking

        def answer(collection: "Collection", asked: "Asked | None") -> "Ranking":
            return ranking.rank(collection, query, asked)

        if query is None:
            row = self._current()
            return ranking.EMPTY if row is None else answer(self._collection(row), None)
        found, notices = self._answer(query, answer, lambda: ranking.EMPTY)
        return replace(found, notices=(*notices, *found.notices)) if notices else found

    def page(self, ranking: "Ranking", offset: int = 0, limit: int = 100) -> "Hits":
        """At most `limit` hits of a ranking, from `offset` on. Photos that are gone since then are left out."""
        from searcher.search.query import Hits
        from searcher.search.ranking import page

        row = self._current()
        if row is None:
            return Hits(nothing_fits=ranking.nothing_fits, notices=ranking.notices)
        return page(self._collection(row), ranking, offset, limit)

    def embed(self, picture: Path | bytes) -> "Embedded":
        """An image file or its content as a term of a query, without its pixels.

        Raises InvalidInput for a picture that cannot be read, NotFound in an empty library.
        """
        from searcher.photos.errors import PhotoError
        from searcher.search.asked import read_picture
        from searcher.search.query import Embedded

        model = self._encoder(self._model_row())
        try:
            image = read_picture(model, picture)  # it may take long, and must not delay texts
        except PhotoError as error:
            raise InvalidInput(f"the picture cannot be read: {error.reason}") from error
        with self._encoding:
            return Embedded(model.encode_images([image])[0], model.digest)

    def _answer(
        self, query: "Query", answer: "Callable[[Collection, Asked | None], Answer]", nothing: "Callable[[], Answer]"
    ) -> "tuple[Answer, tuple[str, ...]]":
        """Embed a query and call `answer`; in an empty library, `nothing`. Also returns remarks about the query."""
        from searcher.search import asked as asking
        from searcher.search.find import remarks

        while (row := self._current()) is not None:
            self._open_vectors(row)
            model = self._encoder(row)
            started = time.perf_counter()
            named = {term.like for term in query.terms if isinstance(term.like, int)}
            stored = self._collection(row).image_vectors(named) if named else {}
            if missing := named - stored.keys():
                raise NotFound(f"no photo has the id {min(missing)}")
            with self._encoding:
                asked = asking.encode(model, query, stored)
            encoded = time.perf_counter()
            with self._searching:
                found = answer(self._collection(row), asked)
            finished = time.perf_counter()
            log.debug("encoded in %.0f ms, searched in %.0f ms", (encoded - started) * 1e3, (finished - encoded) * 1e3)
            now = self._current()
            if now is not None and now.id == row.id:  # else the library was given another model meanwhile
                return found, remarks(model, query)
        return nothing(), ()

    @staticmethod
    def terms(
        texts: Sequence[str] = (), without: Sequence[str] = (), likes: Sequence[str | bytes] = ()
    ) -> "tuple[Term, ...]":
        """The terms that `search` takes in `also`, from texts, texts that photos shall not show, and images.

        Each can begin with a weight ("2:a red car"). An image is a file, id:N for a photo of the library, or its bytes.
        Raises InvalidInput for an empty text or a wrong weight.
        """
        from dataclasses import replace

        from searcher.search.query import Term

        negative = [Term.parse(text) for text in without]
        return (
            *map(Term.parse, texts),
            *(replace(term, weight=-term.weight) for term in negative),
            *map(Term.parse_image, likes),
        )

    def collection(self) -> "Collection":
        """The read side of this library, for the model that searches use now. Raises NotFound in an empty library."""
        return self._collection(self._model_row())
