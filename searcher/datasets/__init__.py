"""Reads pairs of images and captions, class folders, prompt templates and label sets.

The trainer, the evaluation and the tagger use this package. It imports only light modules.
"""

from searcher.datasets.classes import ClassFolder, holds_photos, is_photo, read_class_folder
from searcher.datasets.labels import Label, read_labels
from searcher.datasets.pairs import Pair, Source, read_source
from searcher.datasets.tables import CAPTION_COLUMNS, IMAGE_COLUMNS
from searcher.datasets.templates import BARE, ENSEMBLE, TEMPLATES, read_templates

__all__ = [
    "BARE",
    "CAPTION_COLUMNS",
    "ENSEMBLE",
    "IMAGE_COLUMNS",
    "TEMPLATES",
    "ClassFolder",
    "Label",
    "Pair",
    "Source",
    "holds_photos",
    "is_photo",
    "read_class_folder",
    "read_labels",
    "read_source",
    "read_templates",
]
