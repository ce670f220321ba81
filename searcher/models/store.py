"""The store of models, and the built-in model that ships with the package.

The store is $SEARCHER_MODELS, or a folder in the user's cache folder if that is not set. What is being written there
has a hidden name until it is finished. What a killed program left behind is removed by the next one that writes to the
store, once it is a day old. The files of an unfinished download (`.pull.NAME`) stay.
"""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.models.encoder import DualEncoder
from searcher.models.folder import ModelFolder
from searcher.models.layout import CARD, CONFIG, MANIFEST, SIDES, write_atomically
from searcher.models.manifest import read_manifest
from searcher.progress import SILENT, Progress

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parent / "builtin"
DEFAULT_FILE = "default"  # contains the name of the default model
DOWNLOAD = ".pull."  # in front of the name of a model: the files of its unfinished download
ABANDONED = 24 * 3600  # seconds after which nobody works on a temporary file any more
# Names of our own temporary files and folders. A folder must also look like one, because users choose the store.
_TEMPORARY_FILE = re.compile(r"\.(searcher\.json|default|model\.[a-z0-9]+\.onnx)\.(partial|[0-9a-f]{8})")
_TEMPORARY_FOLDER = re.compile(r"\..+\.[a-z0-9_]{8}")
_SCRATCH = ".quantize."
_STAGED = {CONFIG, MANIFEST, CARD, *SIDES, "old"}


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
        return Path(os.path.expanduser(given)).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("searcher", appauthor=False)) / "models"


def default_name() -> str:
    """The name of the default model. It is "builtin" unless `set_default` chose another one."""
    try:
        return (models_dir() / DEFAULT_FILE).read_text(encoding="utf-8").strip() or BUILTIN
    except (OSError, ValueError):  # there is no such file, or it is not text
        return BUILTIN


def set_default(name: str) -> None:
    """Make `name` the default model. Raises NotFound if there is no such model."""
    find_model(name)
    write_atomically(open_store() / DEFAULT_FILE, name + "\n")


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model. `name_or_path` is "builtin", a name in the store, or the path of a folder.

    Raises NotFound if there is no such model.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str):
        if text == BUILTIN:
            if not (BUILTIN_FOLDER / MANIFEST).is_file():
                raise NotFound("this copy of searcher has no built-in model")
            return BUILTIN_FOLDER
        if _in_store(text):
            return models_dir() / text
    path = Path(os.path.expanduser(text))
    if text and path.is_dir():
        return path
    if not text or (isinstance(name_or_path, str) and path.name == text):
        known = ", ".join(model.name for model in list_models()) or "none"
        raise NotFound(f"no model named {text!r} (available: {known})")
    raise NotFound(f"no model folder at {path}")


def _in_store(name: str) -> bool:
    return _plain(name) and (models_dir() / name).is_dir()


def _plain(name: str) -> bool:
    """Whether `name` is the name of a file that is not hidden, without a folder in front."""
    return name != "" and Path(name).name == name and not name.startswith(".") and name.isprintable()


def find_digest(digest: str) -> Path | None:
    """The folder of the model with this digest: the built-in model or one in the store. None if there is none."""
    for folder in (BUILTIN_FOLDER, *_folders()):
        try:
            # A folder without a recorded digest was put there by hand. Hashing gigabytes would slow down a search.
            if read_manifest(folder).digest == digest and ModelFolder.read(folder).digest == digest:
                return folder
        except SearcherError:
            continue
    return None


def list_models(progress: Progress = SILENT) -> list[StoredModel]:
    """The built-in model, then the models in the store sorted by name.

    A model that cannot be read is left out, and `progress` gets a notice that says why.
    """
    default = default_name()
    found = []
    builtin = [(BUILTIN, BUILTIN_FOLDER)] if (BUILTIN_FOLDER / MANIFEST).is_file() else []
    for name, path in (*builtin, *((path.name, path) for path in _folders())):
        try:
            found.append(StoredModel(name, ModelFolder.read(path), default == name))
        except SearcherError as error:
            progress.notice(f"skipping the model {name}: {error}")
    return found


def model_names() -> list[str]:
    """The names of the built-in model and of the models in the store. They are not read."""
    builtin = [BUILTIN] if (BUILTIN_FOLDER / MANIFEST).is_file() else []
    return [*builtin, *(path.name for path in _folders())]


def _folders() -> Iterator[Path]:
    try:
        entries = sorted(models_dir().iterdir())
    except OSError:  # there is no store yet, or it cannot be read
        return
    yield from (path for path in entries if path.is_dir() and _plain(path.name))


def check_name(name: str) -> None:
    """Raise InvalidInput if `name` cannot be the name of a model in the store."""
    if name in ("", BUILTIN, DEFAULT_FILE) or not _plain(name):
        raise InvalidInput(f"{name!r} cannot be the name of a model")


def open_store() -> Path:
    """The folder of the store, for writing. It is created, and what killed programs left there is removed."""
    store = models_dir()
    store.mkdir(parents=True, exist_ok=True)
    for folder in (store, *(path / part for path in _folders() for part in (".", *SIDES))):
        remove_abandoned(folder)
    return store


def remove_abandoned(folder: Path) -> None:
    """Remove our own temporary files and folders in `folder` that nobody has written to for a day.

    Links are not followed. What cannot be removed stays.
    """
    try:
        entries = list(folder.iterdir())
    except OSError:  # not there, or not readable
        return
    for path in entries:
        if _TEMPORARY_FILE.fullmatch(path.name) and not _is_recent(path):
            with suppress(OSError):
                path.unlink()
        elif _is_staging(path) and not any(_is_recent(each) for each in (path, *path.glob("*"), *path.glob("*/*"))):
            shutil.rmtree(path, ignore_errors=True)


def _is_staging(path: Path) -> bool:
    if not _TEMPORARY_FOLDER.fullmatch(path.name) or path.name.startswith(DOWNLOAD):
        return False
    if path.is_symlink() or not path.is_dir():
        return False
    return path.name.startswith(_SCRATCH) or all(
        each.name in _STAGED or each.name.startswith(".") for each in path.glob("*")
    )


def _is_recent(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime < ABANDONED
    except OSError:  # it was removed meanwhile, or it is not ours
        return True


@contextmanager
def staging(name: str) -> Iterator[Path]:
    """Create an empty folder inside the store for a model that will be called `name`.

    The folder is deleted at the end unless the model was moved out of it. Raises InvalidInput if `name` is not
    a valid model name.
    """
    check_name(name)
    partial = _new_folder(open_store(), name)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _new_folder(store: Path, name: str) -> Path:
    folder = store / f".{name}.{secrets.token_hex(4)}"
    folder.mkdir()  # not mkdtemp, which hides the folder from other users
    return folder


def add_folder(source: Path, name: str) -> Path:
    """Copy a model folder into the store as `name`. Returns the new folder.

    An existing model with that name is replaced. If the copy fails, the store does not change. Raises
    InvalidInput if `name` is not a valid model name.
    """
    with staging(name) as partial:
        copy_model_files(source, partial)
        return move_into_store(partial, name)


def copy_model_files(source: Path, target: Path) -> None:
    """Copy the files that belong to a model folder. A checkpoint in the same folder is not copied.

    Links become files. The copies have the mode of new files.
    """
    wanted = [Path(name) for name in (CONFIG, MANIFEST, CARD)]
    for side in SIDES:
        if (source / side).is_dir():
            (target / side).mkdir(exist_ok=True)
            wanted += sorted(Path(side, file.name) for file in (source / side).iterdir() if file.name[0] != ".")
    for name in wanted:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def move_into_store(partial: Path, name: str) -> Path:
    """Give a finished folder inside the store its name, and replace an existing model with that name."""
    target = models_dir() / name
    if not target.exists() and not target.is_symlink():
        return partial.replace(target)
    old = _new_folder(target.parent, name)
    target.replace(old / "old")
    try:
        partial.replace(target)
    except BaseException:
        (old / "old").replace(target)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)
    return target


def keep_copy(model: DualEncoder) -> Path:
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
    """Delete a model from the store. Raises InvalidInput for the built-in model, NotFound if there is no such model."""
    if name == BUILTIN:
        raise InvalidInput("the built-in model is part of the program and cannot be removed")
    if not _in_store(name):
        raise NotFound(f"no model named {name!r} in {models_dir()}")
    store = open_store()
    if (store / name).is_symlink():
        (store / name).unlink()
    else:
        shutil.rmtree(store / name)
    if default_name() == name:
        (store / DEFAULT_FILE).unlink(missing_ok=True)
