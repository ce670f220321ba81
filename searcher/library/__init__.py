"""A library: one folder on disk with a catalog, the vectors of a model, and everything that a user can do with it.

`library`     Library, the façade: what `core`, `local` and the files of methods have together
`remote`      a library in Milvus, with the same methods where they need no folder
`core`        what the methods share; `local`: a folder with a catalog; `revision`: when a server's library has changed
`location`    where a library is, unless the user says so
`indexing`    one index run
`encoders`    which model belongs to a library
`refresh`     what derives from the embeddings is brought up to date
`check`       is a library sound? `photo_check`: are the photos still what was indexed?
`watching`    the library follows its folders
`overview`    a library at a glance; `remembered`: counts, until the catalog changes
`backup`      what a person has typed, to a file and back
`searching`   searches, and pages of their hits
`pictures`    single photos; `thumbnails`: small copies of them, cached
`labels`      labels and tags; `tagging`: those of a catalog, taught labels, sidecars
`folders`     what needs the folders of photos: indexing, duplicates, checks
`suggestions` what a shell offers while somebody types
`reports`     what a library says about itself
"""

from typing import TYPE_CHECKING, Any

from searcher.library.library import Library
from searcher.library.location import default_library, default_library_dir, is_address
from searcher.photos.cores import usable_cores
from searcher.photos.rules import FolderOptions, OptionChange
from searcher.photos.rules import describe as describe_options

if TYPE_CHECKING:  # what the methods of Library take and return, for whoever annotates them
    from searcher.catalog.read.overview import ImageFile as ImageFile
    from searcher.catalog.rows import Photo as Photo
    from searcher.catalog.rows import PhotoTag as PhotoTag
    from searcher.indexer import IndexReport as IndexReport
    from searcher.search import Hit as Hit
    from searcher.search import Hits as Hits
    from searcher.search import Query as Query
    from searcher.search import Term as Term
    from searcher.search.duplicates import DuplicateGroup as DuplicateGroup
    from searcher.search.overview import PhotoDetails as PhotoDetails
    from searcher.search.query import Embedded as Embedded
    from searcher.search.ranking import Ranking as Ranking
    from searcher.tagger.by_hand import TagEdit as TagEdit
    from searcher.tagger.classify import Classified as Classified
    from searcher.tagger.question import Question as Question
    from searcher.tagger.run import TagReport as TagReport
    from searcher.tagger.sidecars import SidecarChange as SidecarChange

__all__ = [
    "FolderOptions",
    "Library",
    "OptionChange",
    "default_library",
    "default_library_dir",
    "describe_options",
    "is_address",
    "usable_cores",
]


def __getattr__(name: str) -> Any:
    """What a query is made of, imported when it is first used."""
    if name not in ("Query", "Term"):
        raise AttributeError(f"module 'searcher.library' has no attribute {name!r}")
    from searcher import search

    return getattr(search, name)
