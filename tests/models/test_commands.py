"""Run `searcher models …` and check its exit code, stdout and stderr."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from searcher.commands import main
from searcher.models import Model, store
from searcher.models.importing import import_folder
from searcher.models.store import add_folder


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_folder: Path) -> None:
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))
    monkeypatch.setattr(store, "BUILTIN_FOLDER", Path(shutil.copytree(small_folder, tmp_path / "builtin")))


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run `searcher models …`. Returns (exit code, stdout, stderr)."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main.main(args=["models", *arguments])
    out, err = capfd.readouterr()
    return int(ended.value.code or 0), out, err


def test_list_names_every_model_and_marks_the_default(small_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    add_folder(small_folder, "mine")
    assert run(capfd, "default", "mine")[0] == 0
    code, out, err = run(capfd, "list", "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [(row["name"], row["default"]) for row in rows] == [("builtin", False), ("mine", True)]
    assert {key: rows[1][key] for key in ("dim", "image_size", "precision")} == {
        "dim": 48,
        "image_size": 64,
        "precision": "float32",
    }
    assert rows[1]["bytes"] == sum(
        path.stat().st_size for path in small_folder.rglob("*") if path.is_file() and path.name != "searcher.json"
    )
    code, out, _ = run(capfd, "list")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["builtin", "48"], ["*", "mine"]]


def test_info_prints_the_facts_and_the_card(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "builtin" / "README.md").write_text("# The built-in model\nTrained on photos.\n")
    code, out, _ = run(capfd, "info", "--verify")
    assert code == 0
    assert "Apache-2.0" in out
    assert "all match the recorded digests" in out
    assert out.endswith("# The built-in model\nTrained on photos.\n")
    found = json.loads(run(capfd, "info", "builtin", "--json")[1])
    assert found["digest"] == Model.open("builtin").digest
    assert found["card"].startswith("# The built-in model")


def test_info_verify_exits_with_1_if_a_file_has_changed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "builtin" / "textual" / "tokenizer.json").open("a") as file:
        file.write(" ")
    code, out, err = run(capfd, "info", "builtin", "--verify", "--json")
    assert (code, out) == (1, "")
    assert "tokenizer.json does not match its recorded digest" in err


def test_remove_deletes_a_model_but_not_the_built_in_model(
    small_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    add_folder(small_folder, "mine")
    assert run(capfd, "remove", "mine")[0] == 0
    assert not (tmp_path / "store" / "mine").exists()
    for name in ("mine", "builtin"):
        code, out, err = run(capfd, "remove", name)
        assert (code, out) == (1, "")
        assert err.startswith("Error: ")
        assert err.count("\n") == 1


def test_bench_times_every_precision_on_the_cpu(
    small_folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from searcher.models import bench

    monkeypatch.setattr(bench.bench, "__kwdefaults__", {"seconds": 0.05, "threads": 0})
    import_folder(small_folder, "mine")
    code, out, _ = run(capfd, "bench", "mine", "--json")
    assert code == 0
    rows = [row for row in json.loads(out) if row["provider"] == "CPU"]
    assert [row["precision"] for row in rows] == ["float32", "int8"]
    assert all(row["images_per_second"] > 0 and row["query_ms"] > 0 and row["error"] is None for row in rows)
    code, out, _ = run(capfd, "bench", "mine")
    assert out.splitlines()[0].split() == [
        "precision",
        "provider",
        "images/s",
        "ms/query",
        "ms",
        "to",
        "open",
    ]
    assert len(out.splitlines()) >= 3


def test_import_prints_facts_about_the_imported_model(
    small_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capfd, "import", str(small_folder), "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["name"], facts["precision"]) == (small_folder.name, "int8")
    assert facts["precisions"] == ["float32", "int8"]
    assert facts["folder"] == str(tmp_path / "store" / small_folder.name)
    assert facts["drift"]["int8"]["image_cosine"] >= 0.99
    code, out, _ = run(capfd, "import", f"local-dir:{small_folder}", "--name", "mine", "--precision", "float32")
    assert code == 0
    assert out.splitlines()[0] == "mine: 48 dims, float32, " + out.splitlines()[0].split(", ")[-1]


@pytest.mark.parametrize(
    ("path", "message"),
    [("nowhere", "does not exist"), ("file", "is a file"), (".", "contains neither config.json")],
)
def test_importing_something_that_is_not_a_model_is_an_error(
    path: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "file").write_text("x")
    monkeypatch.setitem(sys.modules, "searcher.trainer.export", None)  # PyTorch would not help
    monkeypatch.chdir(tmp_path / "empty")
    code, out, err = run(capfd, "import", path)
    assert (code, out) == (1, "")
    assert message in err
    assert not list((tmp_path / "store").glob("*"))


def test_the_error_for_an_export_without_torch_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "searcher.trainer.export", None)
    code, out, err = run(capfd, "import", str(tmp_path), "--name", "mine")
    assert (code, out) == (1, "")
    assert 'pip install "searcher[train]"' in err
    code, _, err = run(capfd, "pull", "ViT-B-32/openai")
    assert code == 1
    assert "searcher models pull immich-app/ViT-B-32__openai" in err


@pytest.mark.parametrize(("name", "scale"), [("ViT-B-32", "scale 100 "), ("ViT-B-16-SigLIP", "scale 117.33 ")])
def test_info_shows_the_default_logit_scale_if_the_model_has_none(
    name: str, scale: str, small_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / name))
    (folder / "searcher.json").unlink()
    assert scale in run(capfd, "info", str(folder))[1]
    assert json.loads(run(capfd, "info", str(folder), "--json")[1])["logit_scale"] is None
