import json
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from searcher.errors import InvalidInput, NotFound
from searcher.models import Model, find_model, keep_copy, list_models, models_dir, store
from searcher.models.store import add_folder, default_name, find_digest, remove_model, set_default
from tests.watcher import Watcher


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))
    monkeypatch.setattr(store, "BUILTIN_FOLDER", tmp_path / "builtin")
    return tmp_path / "store"


def test_an_empty_store_lists_nothing_and_the_error_says_so(own_store: Path) -> None:
    assert list_models() == []
    assert not own_store.exists()  # listing must not create the folder
    with pytest.raises(NotFound, match="no model named 'ViT-B-32' \\(available: none\\)"):
        Model.open("ViT-B-32")
    with pytest.raises(NotFound, match="no built-in model"):
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
    with pytest.raises(NotFound, match="no model named 'mine'"):
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

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        add_folder(small_folder, "mine")
    assert list(models_dir().iterdir()) == []


@pytest.mark.parametrize("name", ["", "builtin", "default", "../up", "a/b", ".hidden"])
def test_an_invalid_model_name_is_rejected(name: str, small_folder: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a model"):
        add_folder(small_folder, name)
    with pytest.raises((InvalidInput, NotFound)):
        remove_model(name)


def test_adding_a_name_again_replaces_the_model(small_folder: Path, tmp_path: Path) -> None:
    add_folder(small_folder, "mine")
    changed = Path(shutil.copytree(small_folder, tmp_path / "changed"))
    (changed / "README.md").write_text("second")
    assert (add_folder(changed, "mine") / "README.md").read_text() == "second"
    assert [path.name for path in models_dir().iterdir()] == ["mine"]


def test_what_a_killed_program_left_behind_is_removed_by_the_next_one_that_writes(
    small_folder: Path, own_store: Path
) -> None:
    mine = add_folder(small_folder, "mine")
    old = [
        own_store / ".mine.0a1b2c3d/visual/model.onnx",
        own_store / ".mine.ab_cd3fg/old/searcher.json",
        own_store / ".default.partial",
        mine / ".searcher.json.0a1b2c3d",
        mine / "visual/.quantize.ab_cd3fg/prepared.onnx",
        mine / "visual/.model.int8.onnx.0a1b2c3d",
    ]
    kept = [
        own_store / ".pull.mine/visual/model.onnx",  # an unfinished download
        own_store / ".notes.original/letter.txt",  # not ours
        own_store / ".profile.original",
        own_store / ".other.0a1b2c3d/visual/model.onnx",  # another import that is going on
    ]
    for path in (*old, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    for path in (*old, *kept[:-1]):
        for each in (path, *path.parents):
            if each.is_relative_to(own_store):
                os.utime(each, (two_days_ago, two_days_ago))
    set_default("mine")
    assert [path for path in old if path.exists()] == []
    assert not (own_store / ".mine.0a1b2c3d").exists()
    assert [path for path in kept if not path.exists()] == []
    assert Model.open("mine").encode_texts(["a dog"]).shape == (1, 48)


def test_a_model_that_cannot_be_moved_into_the_store_leaves_the_old_one_in_its_place(
    small_folder: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_folder(small_folder, "mine")
    genuine = Path.replace

    def full(path: Path, target: Path) -> Path:
        if target == own_store / "mine" and path.name != "old":
            raise OSError(28, "No space left on device")
        return genuine(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        add_folder(small_folder, "mine")
    assert [path.name for path in own_store.iterdir()] == ["mine"]
    assert Model.open("mine").dim == 48


def test_a_broken_model_is_left_out_of_the_list_with_a_notice(small_folder: Path) -> None:
    add_folder(small_folder, "good")
    (add_folder(small_folder, "broken") / "config.json").write_text("[")
    progress = Watcher()
    assert [model.name for model in list_models(progress)] == ["good"]
    assert len(progress.notices) == 1
    assert "skipping the model broken" in progress.notices[0]
    with pytest.raises(NotFound, match=r"no model named 'other' \(available: good\)"):
        find_model("other")
    with pytest.raises(NotFound):
        find_model("~nobody-has-this-name/model")
    remove_model("broken")
    assert [path.name for path in models_dir().iterdir()] == ["good"]


def test_a_copy_has_no_links(small_folder: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(small_folder, tmp_path / "source"))
    (source / "visual/model.onnx").rename(tmp_path / "blob")
    (source / "visual/model.onnx").symlink_to(tmp_path / "blob")
    (source / "visual/loop").symlink_to(source, target_is_directory=True)
    kept = add_folder(source, "mine")
    assert not [path for path in kept.rglob("*") if path.is_symlink()]
    assert not (kept / "visual/loop").exists()
    assert Model.open("mine").encode_images([Image.new("RGB", (64, 64))]).shape == (1, 48)
