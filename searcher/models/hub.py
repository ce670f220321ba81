"""Download models from the Hugging Face hub, or from the server that $HF_ENDPOINT names.

Downloads use huggingface-hub. They can be resumed, and the digest of each file is checked.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.models.folder import ModelFolder
from searcher.models.layout import (
    CARD,
    CHECKPOINT_CONFIG,
    CHECKPOINT_WEIGHTS,
    CONFIG,
    PREPROCESS,
    TEXTUAL,
    TOKENIZER,
    VISUAL,
    ModelError,
    file_digest,
)
from searcher.models.store import DOWNLOAD, check_name, models_dir, open_store

LAYOUT = (CONFIG, PREPROCESS, TOKENIZER, VISUAL, TEXTUAL)
TOKENIZER_FILES = ("special_tokens_map.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json")


class Repository:
    """What the hub reports about one repository: its commit, and the size and digest of each file."""

    def __init__(self, repo: str, revision: str | None = None) -> None:
        """Query the hub.

        Raises NotFound if there is no such repository or revision, and ModelError if the hub cannot be reached.
        """
        from huggingface_hub import HfApi

        with _plain_errors(repo):
            info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=30)
        self.repo = repo
        self.commit = str(info.sha)
        self.files: dict[str, Any] = {file.rfilename: file for file in info.siblings or []}

    @property
    def source(self) -> str:
        """The origin of the model, as recorded in its manifest."""
        return f"hub:{self.repo}@{self.commit}"

    @property
    def is_checkpoint(self) -> bool:
        """Whether the repository contains an open_clip checkpoint and no model folder."""
        return CHECKPOINT_CONFIG in self.files and not all(name in self.files for name in LAYOUT)

    def wanted(self) -> list[str]:
        """The names of the files to download. Raises ModelError if searcher cannot use this repository."""
        if self.is_checkpoint:
            weights = [name for name in CHECKPOINT_WEIGHTS if name in self.files][:1]
            if weights:
                small = [name for name in self.files if re.fullmatch(r"[^./\\][^/\\]*", name) and _about_tokens(name)]
                return [CHECKPOINT_CONFIG, *weights, *sorted(small)]
        missing = [name for name in LAYOUT if name not in self.files]
        if missing:
            raise ModelError(f"{self.repo} is not a model that searcher can use: {', '.join(missing)} is missing")
        beside = [
            name
            for name in sorted(self.files)
            # external weights are in the same folder as their encoder and can have any name
            if re.fullmatch(r"(visual|textual)/[^./\\][^/\\]*", name) and not _other_format(name)
        ]
        return [CONFIG, *beside, *([CARD] if CARD in self.files else [])]

    def download(self, folder: Path) -> None:
        """Download the needed files into `folder` and check the digest of each one.

        An interrupted download resumes where it stopped. Raises ModelError if the connection breaks (the
        partial file is kept for the next attempt) or if a digest does not match the one the hub reports (that
        file is deleted).
        """
        for name in self.wanted():
            path = folder / name
            if path.is_file() and _is_announced(path, self.files[name]):
                continue
            # The name contains the digest, so that a later attempt resumes only if the content is still the same.
            partial = folder / ".partial" / f"{_announced_digest(self.files[name])[:32]}-{path.name}"
            for parent in (path.parent, partial.parent):
                parent.mkdir(parents=True, exist_ok=True)
            self._fetch(name, partial)
            if not _is_announced(partial, self.files[name]):
                partial.unlink()
                raise ModelError(f"{self.repo}: {name} was rejected: its digest does not match the one the hub reports")
            partial.replace(path)

    def _fetch(self, name: str, partial: Path) -> None:
        # hf_hub_download discards partial data when the process ends. http_get, which it is built on, can resume.
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        url = hf_hub_url(self.repo, name, revision=self.commit)
        with _plain_errors(self.repo), partial.open("ab") as file:
            http_get(
                url,
                file,
                resume_size=file.tell(),
                headers=build_hf_headers(),
                expected_size=self.files[name].size,
                displayed_filename=name,
            )


def waiting_folder(name: str) -> Path:
    """The folder for the files of an unfinished download of model `name`. It is created if it does not exist.

    Raises InvalidInput if `name` is not a valid model name.
    """
    check_name(name)
    folder = open_store() / f"{DOWNLOAD}{name}"
    folder.mkdir(exist_ok=True)
    return folder


def already_here(name: str, source: str) -> bool:
    """Whether the store has model `name` from exactly this source."""
    try:
        return ModelFolder.read(models_dir() / name).manifest.source == source
    except SearcherError:
        return False


def _about_tokens(name: str) -> bool:
    return name in TOKENIZER_FILES or name.endswith(".model") or ("tokenizer" in name and name.endswith(".json"))


def _other_format(name: str) -> bool:
    return name.endswith((".armnn", ".rknn", ".py")) or (name.endswith(".onnx") and name not in (VISUAL, TEXTUAL))


def _announced_digest(announced: Any) -> str:
    """The digest that the hub reports: SHA-256 for a large (LFS) file, git blob id (SHA-1) for a small one."""
    lfs = announced.lfs
    digest = str(announced.blob_id if lfs is None else lfs["sha256"] if isinstance(lfs, Mapping) else lfs.sha256)
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", digest):  # it becomes part of a file name
        raise ModelError(f"the hub reports no digest of {announced.rfilename}")
    return digest


def _is_announced(path: Path, announced: Any) -> bool:
    if announced.lfs is not None:
        return file_digest(path) == _announced_digest(announced)
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest() == _announced_digest(announced)


class _plain_errors:
    """Context manager that turns exceptions of huggingface-hub and its HTTP client into one-line SearcherErrors."""

    def __init__(self, repo: str) -> None:
        self.repo = repo

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, SearcherError):
            return
        from huggingface_hub import constants
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        where = constants.ENDPOINT
        kind_of_error: type[SearcherError] = ModelError
        if isinstance(error, HFValidationError):
            kind_of_error = InvalidInput
            line = f"{self.repo!r} is not the name of a hub repository (like immich-app/ViT-B-32__openai)"
        elif isinstance(error, GatedRepoError):
            line = f"{self.repo} is gated: accept its terms at {where}, then log in with `hf auth login`"
        elif isinstance(error, RevisionNotFoundError):
            kind_of_error, line = NotFound, f"{self.repo} has no such revision"
        elif isinstance(error, RepositoryNotFoundError):
            kind_of_error = NotFound
            line = f"there is no model repository {self.repo} at {where}, or it is private"
        elif isinstance(error, OSError) and error.errno is not None and error.errno in (28, 122, 30, 13):
            return  # disk full, quota, read-only, no permission: the caller reports these
        elif isinstance(error, HfHubHTTPError) and not isinstance(error, EntryNotFoundError):
            line = f"{where} returned an error: {_first_line(error)}"
        else:
            reason = _first_line(error)
            line = f"cannot reach {where} ({reason}); check the network, then run the command again to resume"
        raise kind_of_error(line) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
