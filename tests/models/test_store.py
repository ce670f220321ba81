import json
import shutil
from pathlib import Path

import pytest

from searcher.models import Model, ModelError, find_model, keep_copy, list_models, models_dir, store
from searcher.models.store import add_folder, default_name, find_digest, remove_model, set_default


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))
    monkeypatch.setattr(store, "BUILTIN_FOLDER", tmp_path / "builtin")
    return tmp_path / "store"


def test_an_empty_store_lists_nothing_and_the_error_says_so(own_store: Path) -> None:
    assert list_models() == []
    assert not own_store.exists()  # listing must not create the folder
    with pytest.raises(ModelError, match="no model named 'ViT-B-32' \\(available: none\\)"):
        Model.open("ViT-B-32")
    with pytest.raises(ModelError, match="no built-in model"):
        Model.open("builtin")


def test_a_model_can_be_found_by_name_path_and_digest(small_folder: Path) -> None:
    kept = add_folder(small_folder, "mine")
    assert find_model("mine") == kept == models_dir() / "mine"
    assert find_model(str(small_folder)) == find_model(small_folder) == small_folder
    digest = Model.open("mine").digest
    assert find_digest(digest) == kept
    assert find_digest("0" * 64) is None
    assert [model.name for model in list_models()] == ["mine"]


def test_the_default_is_the_built_in_model_unless_another_is_chosen_and_still_exists(
    small_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_folder, tmp_path / "builtin")
    add_folder(small_folder, "mine")
    assert default_name() == "builtin"
    set_default("mine")
    assert [(model.name, model.default) for model in list_models()] == [("builtin", False), ("mine", True)]
    remove_model("mine")
    assert default_name() == "builtin"
    with pytest.raises(ModelError, match="no model named 'mine'"):
        set_default("mine")


def test_the_built_in_model_is_copied_once_and_found_after_an_upgrade(small_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(small_folder, tmp_path / "builtin")
    model = Model.open("builtin")
    kept = keep_copy(model)
    assert kept == models_dir() / f"small-{model.digest[:8]}"
    stamp = (kept / "searcher.json").stat().st_mtime_ns
    assert keep_copy(model) == kept
    assert (kept / "searcher.json").stat().st_mtime_ns == stamp
    shutil.rmtree(tmp_path / "builtin")
    found = find_digest(model.digest)
    assert found == kept
    assert Model.open(kept).encode_texts(["a dog"]).shape == (1, 48)


def test_the_copy_is_replaced_if_only_the_facts_have_changed(small_folder: Path, tmp_path: Path) -> None:
    builtin = Path(shutil.copytree(small_folder, tmp_path / "builtin"))
    kept = keep_copy(Model.open(builtin))
    manifest = json.loads((builtin / "searcher.json").read_text())
    (builtin / "searcher.json").write_text(json.dumps(manifest | {"thresholds": {"*": 0.9}}))
    assert keep_copy(Model.open(builtin)) == kept
    assert json.loads((kept / "searcher.json").read_text())["thresholds"] == {"*": 0.9}


def test_keep_copy_does_not_copy_the_users_own_model(small_folder: Path, own_store: Path) -> None:
    assert keep_copy(Model.open(small_folder)) == small_folder
    assert not own_store.exists()


def test_only_files_that_belong_to_the_model_are_copied(small_folder: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(small_folder, tmp_path / "trained"))
    (source / "open_clip_model.safetensors").write_bytes(b"weights")
    (source / "README.md").write_text("card")
    kept = add_folder(source, "trained")
    assert sorted(path.name for path in kept.iterdir()) == [
        "README.md",
        "config.json",
        "searcher.json",
        "textual",
        "visual",
    ]


def test_a_failed_copy_leaves_nothing_in_the_store(small_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OSError, match="No space left"):
        add_folder(small_folder, "mine")
    assert list(models_dir().iterdir()) == []


@pytest.mark.parametrize("name", ["", "builtin", "default", "../up", "a/b", ".hidden"])
def test_an_invalid_model_name_is_rejected(name: str, small_folder: Path) -> None:
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        add_folder(small_folder, name)
    with pytest.raises(ModelError):
        remove_model(name)


def test_adding_a_name_again_replaces_the_model(small_folder: Path, tmp_path: Path) -> None:
    add_folder(small_folder, "mine")
    changed = Path(shutil.copytree(small_folder, tmp_path / "changed"))
    (changed / "README.md").write_text("second")
    assert (add_folder(changed, "mine") / "README.md").read_text() == "second"
    assert [path.name for path in models_dir().iterdir()] == ["mine"]
