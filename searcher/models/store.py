"""Where models are kept: the user's cache folder, or $SEARCHER_MODELS; and the one that ships with the
package.
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
DEFAULT_FILE = "default"  # holds the name of the model to use when none is said


@dataclass(frozen=True)
class StoredModel:
    """One line of `models list`."""

    name: str
    folder: ModelFolder
    default: bool


def models_dir() -> Path:
    """$SEARCHER_MODELS, else `models` in the user's cache folder. It may not exist yet."""
    given = os.environ.get("SEARCHER_MODELS")
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("searcher", appauthor=False)) / "models"


def default_name() -> str:
    """The name of the model that is used when none is said: "builtin" unless `set_default` chose another."""
    try:
        return (models_dir() / DEFAULT_FILE).read_text(encoding="utf-8").strip() or BUILTIN
    except OSError:
        return BUILTIN


def set_default(name: str) -> None:
    """Make `name` the default. Raises ModelError if there is no such model."""
    find_model(name)
    store = models_dir()
    store.mkdir(parents=True, exist_ok=True)
    partial = store / f".{DEFAULT_FILE}.partial"
    partial.write_text(name + "\n", encoding="utf-8")
    partial.replace(store / DEFAULT_FILE)


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model: "builtin", a name in the store, or the path of a folder. ModelError if there is
    none.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str):
        if text == BUILTIN:
            if not (BUILTIN_FOLDER / MANIFEST).is_file():
                raise ModelError("this copy of searcher carries no built-in model")
            return BUILTIN_FOLDER
        if text and not text.startswith(".") and Path(text).name == text and (models_dir() / text).is_dir():
            return models_dir() / text
    path = Path(text).expanduser()
    if text and path.is_dir():
        return path
    if not text or (isinstance(name_or_path, str) and path.name == text):
        known = ", ".join(model.name for model in list_models()) or "none yet"
        raise ModelError(f"no model named {text!r} (there are: {known})")
    raise ModelError(f"no model folder at {path}")


def find_digest(digest: str) -> Path | None:
    """The folder of the model with this digest, among the built-in and the store; None if it is not there."""
    candidates = [BUILTIN_FOLDER, *_folders()]
    for folder in candidates:
        try:
            # a folder that records no digest was put there by hand: hashing gigabytes is not for a search
            if ModelFolder.read(folder).manifest.get("digest") == digest:
                return folder
        except ModelError:
            continue
    return None


def list_models() -> list[StoredModel]:
    """The built-in model and those in the store that can be read, by name."""
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
    """ModelError if `name` cannot be the name of a model in the store."""
    if name in ("", BUILTIN, DEFAULT_FILE) or Path(name).name != name or name.startswith("."):
        raise ModelError(f"{name!r} cannot be the name of a model")


def add_folder(source: Path, name: str) -> Path:
    """Copy a model folder into the store as `name`, whole or not at all; what had that name is replaced."""
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
    """Copy what belongs to a model folder (not the checkpoint that may lie beside it)."""
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=_not_model_files)


def move_into_store(partial: Path, name: str) -> Path:
    """Give a finished folder inside the store its name, replacing what had it."""
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
    """Copy the built-in model to the store, so that an upgrade leaves its vectors searchable; others stay
    where they are. A copy of the same encoders whose other facts (thresholds, say) have changed is made anew.
    Returns the folder that will remain.
    """
    if model.folder != BUILTIN_FOLDER:
        return model.folder
    name = f"{model.slug}-{model.digest[:8]}"
    kept = models_dir() / name
    same = (kept / MANIFEST).is_file() and (kept / MANIFEST).read_bytes() == (model.folder / MANIFEST).read_bytes()
    return kept if same else add_folder(model.folder, name)


def remove_model(name: str) -> None:
    """Delete a model from the store. ModelError for the built-in and for a name that is not there."""
    if name == BUILTIN:
        raise ModelError("the built-in model is part of the program and cannot be removed")
    if Path(name).name != name or name.startswith(".") or not (models_dir() / name).is_dir():
        raise ModelError(f"no model named {name!r} in {models_dir()}")
    shutil.rmtree(models_dir() / name)
    if default_name() == name:
        (models_dir() / DEFAULT_FILE).unlink(missing_ok=True)
