"""The part of Library that deals with labels: which there are, and which photos get them."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog.rows import LabelCount, Photo
from searcher.filters import EVERYTHING, Filter
from searcher.library.core import LibraryCore
from searcher.progress import SILENT, Progress

if TYPE_CHECKING:
    from searcher.tagger.by_hand import TagEdit
    from searcher.tagger.classify import Classified
    from searcher.tagger.links import LinkReport
    from searcher.tagger.question import Question
    from searcher.tagger.run import TagReport
    from searcher.tagger.taught import Taught


class LabelMethods(LibraryCore):
    """Labels and tags of a library."""

    def labels(self) -> list[str]:
        """All labels, by name."""
        return self._records().labels()

    def label_counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        """How many photos have each label, by source, most first. With `filter`, only photos that meet it count, and
        only tags from its sources.
        """
        return self._records().label_counts(filter)

    def tagged(self, names: Sequence[str]) -> Iterator[Photo]:
        """Every photo, by id, with those of the labels `names` that runs or a person gave it."""
        return self._records().tagged(names)

    @staticmethod
    def ask(
        labels: Sequence[str] | str, *, one: bool = False, top: int | None = None, min_relevance: float | None = None
    ) -> "Question":
        """The question that `tag`, `preview_tags` and `classify` take.

        labels: names, or what `searcher tag --labels` takes. one: which label fits best, instead of which apply. top:
        the most labels per photo. min_relevance: without `one`, from which relevance on a photo gets a label (default:
        0.5). Raises InvalidInput.
        """
        from searcher.tagger.question import ask

        return ask(labels, one, top, min_relevance)

    def tag(
        self,
        labels: "Sequence[str] | str | Question",
        *,
        one: bool = False,
        top: int | None = None,
        progress: Progress = SILENT,
    ) -> "TagReport":
        """Ask every photo that was not asked yet which labels apply, or with `one` which label fits best.

        labels, one, top: see `ask`. `progress` gets a notice if the answers may be poor. `search` with a Filter finds
        the photos.
        """
        from searcher.tagger.question import Question
        from searcher.tagger.remarks import remark

        question = labels if isinstance(labels, Question) else self.ask(labels, one=one, top=top)
        remark(question, self._encoder(self._model_row()), progress)
        return self._tag(question, progress)

    def preview_tags(self, question: "Question", progress: Progress = SILENT) -> Iterator[Photo]:
        """Every photo with the labels that `tag` would give it. Nothing is stored."""
        from searcher.tagger.remarks import remark

        remark(question, self._encoder(self._model_row()), progress)
        return self._preview_tags(question, progress)

    def untag(self, names: Sequence[str] | None = None, progress: Progress = SILENT, *, dry_run: bool = False) -> int:
        """Remove what `tag` and `teach` gave for the labels `names` (None: for all). What a person gave stays.

        Returns how many tags were removed, or would be with `dry_run`. Raises NotFound for a name that is not a label.
        """
        from searcher.tagger.question import label_name

        return self._untag(None if names is None else [label_name(name) for name in names], progress, dry_run)

    def add_tag(self, label: str, photos: Iterable[int | str | Path], progress: Progress = SILENT) -> int:
        """Give photos a label by hand: see `edit_tags`. Returns how many did not have it by hand."""
        return sum(self.edit_tags(photos, add=[label], progress=progress).added.values())

    def remove_tag(self, label: str, photos: Iterable[int | str | Path], progress: Progress = SILENT) -> int:
        """Take a label away from photos by hand: see `edit_tags`. Returns how many had it."""
        return sum(self.edit_tags(photos, remove=[label], progress=progress).removed.values())

    def edit_tags(
        self,
        photos: Iterable[int | str | Path],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        dry_run: bool = False,
        progress: Progress = SILENT,
    ) -> "TagEdit":
        """Give photos the labels `add` by hand, and take the labels `remove` away, whatever gave them. All or nothing.

        photos: paths, or ids of images; unknown ids are left out. All copies of a photo get and lose a label together.
        Later runs do not give a removed label to these photos again, until it is added by hand.

        Raises NotFound for a path that is not in the library and for an unknown label to remove, InvalidInput for an
        invalid name.
        """
        from searcher.tagger.question import label_name

        added, removed = ([*dict.fromkeys(map(label_name, names))] for names in (add, remove))
        named = [photos] if isinstance(photos, str | Path) else list(photos)
        ids = [photo for photo in named if isinstance(photo, int)]
        ids += self._images_at([photo for photo in named if not isinstance(photo, int)])
        return self._edit_tags(ids, added, removed, dry_run, progress)

    def classify(
        self,
        question: "Question",
        paths: Iterable[Path],
        *,
        model: str | Path | None = None,
        progress: Progress = SILENT,
    ) -> "Iterator[Classified]":
        """The labels of loose image files, in their order.

        The model of the library answers, and labels that it was taught can be asked. With `model`, that one answers,
        and no taught labels. Before anything is indexed, it is the model that `Library.open` was given, or the default
        one. `progress` gets a notice if the answers may be poor.
        """
        from searcher.tagger.classify import classify
        from searcher.tagger.remarks import remark

        if model is None:
            encoder, taught = self.model, self._taught(question)
        else:
            from searcher.models import Model

            encoder, taught = Model.open(model), {}
        remark(question, encoder, progress)
        return classify(encoder, question, paths, taught)

    def link_photos(
        self, photos: Iterable[Photo], names: Sequence[str], folder: Path, *, dry_run: bool = False
    ) -> "LinkReport":
        """Sort links to `photos` into `folder`/<label>/: see `tagger.links.link_photos`."""
        from searcher.tagger.links import link_photos

        return link_photos(photos, names, folder, dry_run)

    # what depends on where the photos are kept

    @abstractmethod
    def _tag(self, question: "Question", progress: Progress) -> "TagReport": ...

    @abstractmethod
    def _preview_tags(self, question: "Question", progress: Progress) -> Iterator[Photo]: ...

    @abstractmethod
    def _untag(self, names: Sequence[str] | None, progress: Progress, dry_run: bool) -> int: ...

    @abstractmethod
    def _images_at(self, paths: Sequence[str | Path]) -> list[int]:
        """The ids of the images at `paths`. Raises NotFound if one of them is not a photo of the library."""

    @abstractmethod
    def _edit_tags(
        self, image_ids: Sequence[int], add: Sequence[str], remove: Sequence[str], dry_run: bool, progress: Progress
    ) -> "TagEdit": ...

    @abstractmethod
    def _taught(self, question: "Question") -> "Mapping[str, Taught]":
        """Those of a question's labels that were taught, with their classifiers."""
