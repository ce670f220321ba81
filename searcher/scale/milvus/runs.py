"""Which questions were put to a library in Milvus, and how far. See `tagger.run` for what they mean."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from searcher.scale.milvus.core import MilvusCore
from searcher.scale.milvus.registry import RUN


@dataclass(frozen=True, slots=True)
class Run:
    """A question that was put to the whole library.

    number: ascends in the order in which they were put. definition: JSON, whose digest is `key`. conditions: a digest
    of what else decides the answers. last_id: the last photo that was asked. retracted: labels that were cleared or
    asked by another run since.
    """

    number: int
    key: str
    definition: str
    conditions: str
    last_id: int = 0
    retracted: frozenset[str] = frozenset()


class RunMethods(MilvusCore):
    """Questions."""

    def runs(self) -> list[Run]:
        """All questions that were put to the library, the latest last."""
        entries = self._registry.all(RUN).values()
        runs = [Run(**{**entry, "retracted": frozenset(entry["retracted"])}) for entry in entries]
        return sorted(runs, key=lambda run: run.number)

    def run(self, key: str) -> Run | None:
        """The question with this key, None if it was not put."""
        entry = self._registry.get(RUN, key)
        return None if entry is None else Run(**{**entry, "retracted": frozenset(entry["retracted"])})

    def start_run(self, key: str, definition: str, conditions: str) -> Run:
        """Remember a question to the library, with nothing asked yet. It is now the latest."""
        number = max((run.number for run in self.runs()), default=0) + 1
        return self._put_run(Run(number, key, definition, conditions))

    def restart_run(self, run: Run, conditions: str) -> Run:
        """Ask everything again, because the conditions have changed."""
        return self._put_run(replace(run, conditions=conditions, last_id=0))

    def advance_run(self, run: Run, last_id: int) -> Run:
        """All photos up to `last_id` were asked."""
        return self._put_run(replace(run, last_id=max(run.last_id, last_id)))

    def retract_labels(self, run: Run, labels: Iterable[str]) -> Run:
        """`run` no longer answers for these labels."""
        return self._put_run(replace(run, retracted=run.retracted.union(labels)))

    def remove_run(self, key: str) -> None:
        """Forget a question. Its results stay."""
        self._registry.remove(RUN, [key])

    def _put_run(self, run: Run) -> Run:
        self._registry.put(RUN, {run.key: asdict(run) | {"retracted": sorted(run.retracted)}})
        return run
