"""Context: the library that is tagged, and the model that answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searcher.catalog import Catalog
from searcher.catalog.rows import ModelRow

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


@dataclass(frozen=True, slots=True)
class Context:
    """The catalog of a library, and its model: the open encoder and its row in the catalog."""

    catalog: Catalog
    model: "DualEncoder"
    row: ModelRow
