"""The parameters of a search, as a Query."""

import json
import threading
from collections import OrderedDict
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from searcher.errors import InvalidInput
from searcher.filters import Sort
from searcher.library import Library, Query, Term
from searcher.web.filtering import FilterParameters, Texts
from searcher.web.uploads import Uploads

if TYPE_CHECKING:
    from searcher.library import Ranking

MOST_TERMS = 32
MOST_RANKINGS = 16


class SearchParameters(FilterParameters):
    """What is looked for. Each term may begin with a weight: "2:a dog". An empty text stands for none."""

    q: Texts = Field([], description="What the photos show.")
    without: Texts = Field([], alias="not", description="What they shall not show.")
    like: Texts = Field([], description="id:N for a photo of the library, or upload:KEY.")
    unlike: Texts = Field([], description="The same, for what the photos shall not look like.")
    sort: Sort | None = Field(None, description="Newest first, or best first.")
    min_relevance: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="0.5: only likely photos.")
    diverse: bool = Field(False, description="Photos that are like a better hit come later.")
    offset: int = Field(0, ge=0, le=10**9)
    limit: int = Field(100, ge=1, le=500)

    def query(self, uploads: Uploads, picture: str | None = None) -> Query | None:
        """What is asked, None for all photos. picture: the key of one more picture. Raises InvalidInput, NotFound."""
        texts = [text for text in self.q if text.strip()]
        without = [text for text in self.without if text.strip()]
        likes = [*self.like, *([] if picture is None else [f"upload:{picture}"])]
        terms = [
            *Library.terms(texts, without),
            *(_picture(text, uploads) for text in likes if text),
            *(_negative(_picture(text, uploads)) for text in self.unlike if text),
        ]
        if len(terms) > MOST_TERMS:
            raise InvalidInput(f"a query has at most {MOST_TERMS} terms")
        filter = self.filter()
        if not terms and not filter and not self.diverse:
            if self.sort == "relevance" or self.min_relevance is not None:
                raise InvalidInput("only a description or a picture has a relevance: give one")
            return None
        return Query(filter=filter, least=self.min_relevance, sort=self.sort, also=tuple(terms), diverse=self.diverse)


def _picture(text: str, uploads: Uploads) -> Term:
    """A term for id:N or upload:KEY. Anything else could be the name of a file, and is refused."""
    weight, name = Term.weighted(text)
    kind, colon, key = name.partition(":")
    if kind == "upload" and colon:
        return Term(like=uploads.get(key), weight=weight)
    if kind == "id" and colon and key.isascii() and key.isdigit() and len(key) < 19:
        return Term(like=int(key), weight=weight)
    raise InvalidInput(f"{text[:40]!r} is no picture: write id:N or upload:KEY")


def _negative(term: Term) -> Term:
    return replace(term, weight=-term.weight)


class Rankings:
    """The rankings of the last queries, for their next pages. A change of the library makes them useless."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Ranking] = OrderedDict()

    def get(self, library: Library, asked: SearchParameters, uploads: Uploads, picture: str | None = None) -> "Ranking":
        """The ranking for a search in a library. Raises as `Library.rank` does."""
        plain = asked.model_dump(exclude={"offset", "limit"})
        key = json.dumps([library.location, library.revision, picture, plain])
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=16).digest()
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
                return self._kept[digest]
        ranking = library.rank(asked.query(uploads, picture))
        with self._lock:
            self._kept[digest] = ranking
            if len(self._kept) > MOST_RANKINGS:
                self._kept.popitem(last=False)
        return ranking
