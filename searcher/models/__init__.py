"""Encoders at run time, without torch.

This package reads model folders, runs ONNX Runtime sessions, preprocesses images, tokenizes texts and manages
the store of models.
"""

from searcher.models.encoder import DualEncoder
from searcher.models.folder import ModelFolder
from searcher.models.layout import ModelError
from searcher.models.manifest import Manifest, update_manifest, write_manifest
from searcher.models.model import Model
from searcher.models.scripts import known_script
from searcher.models.store import find_model, keep_copy, list_models, models_dir

__all__ = [
    "DualEncoder",
    "Manifest",
    "Model",
    "ModelError",
    "ModelFolder",
    "find_model",
    "keep_copy",
    "known_script",
    "list_models",
    "models_dir",
    "update_manifest",
    "write_manifest",
]
