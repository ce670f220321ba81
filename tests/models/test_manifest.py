"""searcher.json: a wrong one is one line, and a change keeps everything else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searcher.models import (
    Model,
    ModelError,
    ModelFolder,
    layout,
    list_models,
    manifest,
    update_manifest,
    write_manifest,
)
from searcher.models.importing import import_folder
from searcher.models.quantize import choose_precision, keep_only
from searcher.models.store import add_folder, find_digest
from tests.watcher import Watcher

OUTSIDE = {"visual": "../victim/visual/model.onnx", "textual": "../victim/textual/model.onnx"}

WRONG: dict[str, str] = {
    "a precision without files": '{"precisions": {"int8": "x"}}',
    "a precision without a text encoder": '{"precisions": {"int8": {"visual": "visual/model.onnx"}}}',
    "an encoder outside": json.dumps({"precisions": {"int8": OUTSIDE}}),
    "an encoder by its absolute path": json.dumps({"precisions": {"int8": {**OUTSIDE, "visual": "/visual/a.onnx"}}}),
    "an encoder up and down again": json.dumps({"precisions": {"int8": {**OUTSIDE, "visual": "visual/../../a.onnx"}}}),
    "an encoder that is no encoder": json.dumps({"precisions": {"int8": {**OUTSIDE, "visual": "config.json"}}}),
    "files as a list": '{"files": [1]}',
    "a file without a size": '{"files": {"config.json": {"sha256": "' + "0" * 64 + '"}}}',
    "a file with a wrong digest": '{"files": {"config.json": {"bytes": 1, "sha256": 5}}}',
    "a file with a negative size": '{"files": {"config.json": {"bytes": -1, "sha256": "' + "0" * 64 + '"}}}',
    "a file outside": '{"files": {"../secret": {"bytes": 1, "sha256": "' + "0" * 64 + '"}}}',
    "the folder above": '{"files": {"visual/..": {"bytes": 1, "sha256": "' + "0" * 64 + '"}}}',
    "a format that is no number": '{"format": "a"}',
    "a precision that is a list": '{"dim": "x", "precision": ["a"]}',
    "an unknown precision": '{"precision": "int3"}',
    "no object": "[]",
    "languages as a number": '{"languages": 5}',
    "a language that is a number": '{"languages": ["en", 5]}',
    "a name with an escape code": '{"name": "a\\u001b[31m"}',
    "a name of two lines": '{"name": "a\\nb"}',
    "half a surrogate pair": '{"description": "\\ud800"}',
    "a scale that is text": '{"logit_scale": "100"}',
    "a scale that is true": '{"logit_scale": true}',
    "a scale that is not a number": '{"logit_scale": NaN}',
    "a scale that is too large": '{"logit_scale": 1e999}',
    "a whole number that is too large": '{"logit_scale": 1' + "0" * 4000 + "}",
    "an infinite bias": '{"logit_bias": -Infinity}',
    "a slope that is text": '{"relevance": {"slope": ["steep", 0], "offset": [0, 0], "measured": true}}',
    "a slope of one number": '{"relevance": {"slope": [1], "offset": [0, 0], "measured": true}}',
    "a calibration without offset": '{"relevance": {"slope": [1, 0], "measured": true}}',
    "a calibration measured by a number": '{"relevance": {"slope": [1, 0], "offset": [0, 0], "measured": 1}}',
    "an empty drift": '{"drift": {"int8": {}}}',
    "a digest that is a path": '{"digest": "../../x"}',
    "deep nesting": '{"description": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep nesting of an unknown key": '{"x": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
}

RELEVANCE = {"slope": [10.0, 0.0], "offset": [-5.0, 0.5], "measured": False}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))


@pytest.fixture
def folder(small_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_folder, tmp_path / "small"))


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "searcher.json").read_text())
    return found


def change(folder: Path, text: str) -> None:
    """Put the keys of a JSON text into the manifest. A text that is not an object replaces it."""
    if text.startswith("{"):
        text = json.dumps(content(folder))[:-1] + ", " + text[1:]  # of two equal keys, the last one counts
    (folder / "searcher.json").write_text(text)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_manifest_is_an_error_of_one_line_and_hides_no_other_model(wrong: str, small_folder: Path) -> None:
    good, broken = add_folder(small_folder, "good"), add_folder(small_folder, "broken")
    digest = ModelFolder.read(broken).digest
    change(broken, WRONG[wrong])
    with pytest.raises(ModelError) as caught:
        Model.open("broken")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert str(broken) in str(caught.value) or "no precision 'int3'" in str(caught.value)
    progress = Watcher()
    assert "good" in [model.name for model in list_models(progress)]
    assert [notice for notice in progress.notices if "skipping the model broken" in notice]
    shutil.rmtree(good)
    assert find_digest(digest) is None
    with pytest.raises(ModelError):
        import_folder(broken, "again")


OTHER_FILES: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "embed_dim is text": ("config.json", lambda c: c.update(embed_dim="48")),
    "embed_dim is huge": ("config.json", lambda c: c.update(embed_dim=10**30)),
    "embed_dim has 2000 digits": ("config.json", lambda c: c.update(embed_dim=10**2000)),
    "embed_dim is true": ("config.json", lambda c: c.update(embed_dim=True)),
    "text_cfg is a list": ("config.json", lambda c: c.update(text_cfg=[])),
    "vision_cfg is a number": ("config.json", lambda c: c.update(vision_cfg=3)),
    "an endless context": ("config.json", lambda c: c["text_cfg"].update(context_length=10**12)),
    "tokenizer_kwargs is text": ("config.json", lambda c: c["text_cfg"].update(tokenizer_kwargs="x")),
    "size is text": ("visual/preprocess_cfg.json", lambda c: c.update(size="abc")),
    "size is an object": ("visual/preprocess_cfg.json", lambda c: c.update(size={"height": 224})),
    "size is huge": ("visual/preprocess_cfg.json", lambda c: c.update(size=10**9)),
    "mean is text": ("visual/preprocess_cfg.json", lambda c: c.update(mean="abc")),
    "mean is too large": ("visual/preprocess_cfg.json", lambda c: c.update(mean=[10**400, 0, 0])),
    "std is nested": ("visual/preprocess_cfg.json", lambda c: c.update(std=[[1], [1], [1]])),
    "fill_color is text": ("visual/preprocess_cfg.json", lambda c: c.update(fill_color="red")),
    "interpolation is a list": ("visual/preprocess_cfg.json", lambda c: c.update(interpolation=["bicubic"])),
    "pad_token is a number": ("textual/tokenizer_config.json", lambda c: c.update(pad_token=5)),
    "pad_token has no text": ("textual/tokenizer_config.json", lambda c: c.update(pad_token={"content": 5})),
    "padding_side is a list": ("textual/tokenizer_config.json", lambda c: c.update(padding_side=["left"])),
}


@pytest.mark.parametrize("wrong", OTHER_FILES)
def test_a_wrong_type_in_another_file_is_an_error_that_names_the_file(wrong: str, folder: Path) -> None:
    name, spoil = OTHER_FILES[wrong]
    found = json.loads((folder / name).read_text())
    spoil(found)
    (folder / name).write_text(json.dumps(found))
    with pytest.raises(ModelError) as caught:
        ModelFolder.read(folder)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_folder_of_encoders_that_is_a_link_is_rejected(folder: Path, tmp_path: Path) -> None:
    (folder / "visual").rename(tmp_path / "elsewhere")
    (folder / "visual").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="visual is a link"):
        Model.open(folder)


def test_precisions_that_share_a_file_do_not_lose_it(folder: Path) -> None:
    shared = content(folder)["precisions"]["float32"]
    drift = {"int8": {"image_cosine": 0.1, "text_cosine": 0.1}}
    update_manifest(folder, precisions={"float32": shared, "int8": shared}, drift=drift)
    assert len(choose_precision(folder)) == 1
    assert Model.open(folder).precision == "float32"
    update_manifest(folder, precisions={"float32": shared, "int8": shared})
    keep_only(folder, "int8")
    assert Model.open(folder).encode_texts(["a dog"]).shape == (1, 48)


def test_an_encoder_file_that_is_a_link_is_replaced_and_not_written_through(folder: Path, tmp_path: Path) -> None:
    from searcher.models.quantize import add_precision

    (tmp_path / "secret").write_bytes(b"precious")
    for name in ("visual/model.compact.onnx", "textual/model.compact.onnx"):
        (folder / name).symlink_to(tmp_path / "secret")
    add_precision(folder, "compact")
    assert (tmp_path / "secret").read_bytes() == b"precious"
    keep_only(folder, "compact")
    assert (tmp_path / "secret").read_bytes() == b"precious"


def test_an_update_changes_one_fact_and_hashes_no_encoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(folder, '{"later": {"key": [1, 2]}}')
    before = content(folder)
    hashed: list[str] = []

    def watched(path: Path) -> str:
        hashed.append(path.name)
        return layout.file_digest(path)

    monkeypatch.setattr(manifest, "file_digest", watched)
    written = update_manifest(folder, relevance=RELEVANCE)
    assert "model.onnx" not in hashed
    assert content(folder) == {**before, "relevance": RELEVANCE} == written.as_dict()
    assert list(content(folder)) == list(before)  # in the same order
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "facts", [{"relevance": {"slope": "x"}}, {"logit_scale": float("nan")}, {"precisions": {"a": OUTSIDE}}]
)
def test_a_wrong_fact_is_not_written(facts: dict[str, Any], folder: Path) -> None:
    before = content(folder)
    with pytest.raises(ModelError):
        update_manifest(folder, **facts)
    with pytest.raises(ModelError):
        write_manifest(folder, name="small", **facts)
    assert content(folder) == before
    with pytest.raises(TypeError, match="licens"):
        update_manifest(folder, licens="MIT")


def test_an_edited_preprocessing_file_changes_the_digest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Model.open(folder).digest
    assert recorded == content(folder)["digest"]
    path = folder / "visual/preprocess_cfg.json"
    edited = json.loads(path.read_text())
    path.write_text(json.dumps(edited))  # other white space: the same preprocessing
    assert Model.open(folder).digest == recorded
    path.write_text(json.dumps({**edited, "resize_mode": "squash"}))

    def hash_small(file: Path) -> str:
        assert file.suffix == ".json"  # encoders may have gigabytes
        return genuine(file)

    genuine = layout.file_digest
    monkeypatch.setattr(layout, "file_digest", hash_small)
    monkeypatch.setattr(manifest, "file_digest", hash_small)
    changed = Model.open(folder).digest
    assert changed != recorded
    assert find_digest(recorded) is None
    update_manifest(folder, relevance=RELEVANCE)  # does not bring the old digest back
    assert Model.open(folder).digest == content(folder)["digest"] == changed
    monkeypatch.undo()
    (folder / "searcher.json").unlink()
    assert Model.open(folder).digest == changed


@pytest.mark.parametrize("name", ["config.json", "textual/tokenizer.json"])
def test_an_edited_config_or_tokenizer_changes_the_digest(name: str, folder: Path) -> None:
    recorded = Model.open(folder).digest
    if name == "config.json":
        config = json.loads((folder / name).read_text())
        config["text_cfg"]["context_length"] = 20
        (folder / name).write_text(json.dumps(config))
    else:
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert Model.open(folder).digest != recorded


def test_a_digest_that_does_not_belong_to_the_files_is_rejected_at_import(folder: Path) -> None:
    change(folder, '{"digest": "' + "0" * 64 + '"}')
    with pytest.raises(ModelError, match=r"digest in searcher\.json does not match"):
        import_folder(folder, "mine")


def test_files_that_the_manifest_does_not_list_are_recorded_at_import(folder: Path) -> None:
    listed = content(folder)["files"]
    del listed["textual/tokenizer_config.json"]
    change(folder, json.dumps({"files": listed}))
    imported = import_folder(folder, "small", "float32")
    assert "textual/tokenizer_config.json" in imported.folder.manifest.files
    assert imported.folder.digest == content(folder)["digest"]


def test_every_file_of_an_imported_model_has_the_mode_of_a_new_file(small_folder: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(small_folder, tmp_path / "source"))
    for path in source.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    before = os.umask(0o027)
    try:
        folder = import_folder(source, "mine", "int8").folder.path
        update_manifest(folder, relevance=RELEVANCE)
    finally:
        os.umask(before)
    paths = [folder, *folder.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o750}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o640}
