"""The store of models, and the built-in model that ships with the package.

The store is $SEARCHER_MODELS, or a folder in the user's cache folder if that is not set.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.models.folder import CARD, CONFIG, MANIFEST, ModelError, ModelFolder

if TYPE_CHECKING:
    from searcher.models.model import Model

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parent / "builtin"
DEFAULT_FILE = "default"  # contains the name of the default model


@dataclass(frozen=True)
class StoredModel:
    """One line of `models list`."""

    name: str
    folder: ModelFolder
    default: bool


def models_dir() -> Path:
    """The folder of the store: $SEARCHER_MODELS or `models` in the user's cache folder. It may not exist yet."""
    given = os.environ.get("SEARCHER_MODELS")
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("searcher", appauthor=False)) / "models"


def default_name() -> str:
    """The name of the default model. It is "builtin" unless `set_default` chose another one."""
    try:
        return (models_dir() / DEFAULT_FILE).read_text(encoding="utf-8").strip() or BUILTIN
    except OSError:
        return BUILTIN


def set_default(name: str) -> None:
    """Make `name` the default model. Raises ModelError if there is no such model."""
    find_model(name)
    store = models_dir()
    store.mkdir(parents=True, exist_ok=True)
    partial = store / f".{DEFAULT_FILE}.partial"
    partial.write_text(name + "\n", encoding="utf-8")
    partial.replace(store / DEFAULT_FILE)


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model. `name_or_path` is "builtin", a name in the store, or the path of a folder.

    Raises ModelError if there is no such model.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str):
        if text == BUILTIN:
            if not (BUILTIN_FOLDER / MANIFEST).is_file():
                raise ModelError("this copy of searcher has no built-in model")
            return BUILTIN_FOLDER
        if text and not text.startswith(".") and Path(text).name == text and (models_dir() / text).is_dir():
            return models_dir() / text
    path = Path(text).expanduser()
    if text and path.is_dir():
        return path
    if not text or (isinstance(name_or_path, str) and path.name == text):
        known = ", ".join(model.name for model in list_models()) or "none"
        raise ModelError(f"no model named {text!r} (available: {known})")
    raise ModelError(f"no model folder at {path}")


def find_digest(digest: str) -> Path | None:
    """The folder of the model with this digest: the built-in model or one in the store. None if there is none."""
    candidates = [BUILTIN_FOLDER, *_folders()]
    for folder in candidates:
        try:
            # A folder without a recorded digest was put there by hand. Hashing gigabytes would slow down a search.
            if ModelFolder.read(folder).manifest.get("digest") == digest:
                return folder
        except ModelError:
            continue
    return None


def list_models() -> list[StoredModel]:
    """The built-in model, then the readable models in the store sorted by name."""
    default = default_name()
    found = []
    if (BUILTIN_FOLDER / MANIFEST).is_file():
        found.append(StoredModel(BUILTIN, ModelFolder.read(BUILTIN_FOLDER), default == BUILTIN))
    for path in _folders():
        try:
            found.append(StoredModel(path.name, ModelFolder.read(path), default == path.name))
        except ModelError:
            continue
    return found


def _folders() -> Iterator[Path]:
    try:
        entries = sorted(models_dir().iterdir())
    except OSError:
        return
    yield from (path for path in entries if path.is_dir() and not path.name.startswith("."))


def check_name(name: str) -> None:
    """Raise ModelError if `name` cannot be the name of a model in the store."""
    if name in ("", BUILTIN, DEFAULT_FILE) or Path(name).name != name or name.startswith("."):
        raise ModelError(f"{name!r} cannot be the name of a model")


def add_folder(source: Path, name: str) -> Path:
    """Copy a model folder into the store as `name`. Returns the new folder.

    An existing model with that name is replaced. If the copy fails, the store does not change. Raises
    ModelError if `name` is not a valid model name.
    """
    check_name(name)
    store = models_dir()
    store.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=store))
    try:
        copy_model_files(source, partial)
        partial.chmod(0o755)
        return move_into_store(partial, name)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def copy_model_files(source: Path, target: Path) -> None:
    """Copy the files that belong to a model folder. A checkpoint in the same folder is not copied."""
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=_not_model_files)


def move_into_store(partial: Path, name: str) -> Path:
    """Give a finished folder inside the store its name, and replace an existing model with that name."""
    target = models_dir() / name
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=target.parent))
        target.replace(old / "old")
        partial.replace(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        partial.replace(target)
    return target


def _not_model_files(folder: str, names: list[str]) -> set[str]:
    wanted = {"visual", "textual", CONFIG, MANIFEST, CARD}
    if Path(folder).name in ("visual", "textual"):
        return {name for name in names if name.startswith(".") or name == "__pycache__"}
    return set(names) - wanted


def keep_copy(model: "Model") -> Path:
    """Copy the built-in model to the store, so that its embeddings stay searchable after an upgrade.

    Other models are not copied. If the store already has a copy of the same encoders but other facts have
    changed (such as the thresholds), the copy is replaced. Returns the folder to refer to from now on.
    """
    if model.folder != BUILTIN_FOLDER:
        return model.folder
    name = f"{model.slug}-{model.digest[:8]}"
    kept = models_dir() / name
    same = (kept / MANIFEST).is_file() and (kept / MANIFEST).read_bytes() == (model.folder / MANIFEST).read_bytes()
    return kept if same else add_folder(model.folder, name)


def remove_model(name: str) -> None:
    """Delete a model from the store. Raises ModelError for the built-in model and if there is no such model."""
    if name == BUILTIN:
        raise ModelError("the built-in model is part of the program and cannot be removed")
    if Path(name).name != name or name.startswith(".") or not (models_dir() / name).is_dir():
        raise ModelError(f"no model named {name!r} in {models_dir()}")
    shutil.rmtree(models_dir() / name)
    if default_name() == name:
        (models_dir() / DEFAULT_FILE).unlink(missing_ok=True)
