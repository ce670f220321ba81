"""Runs `searcher evaluate` with a real but untrained model, and with the built-in one."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from searcher.commands import main
from tests.pictures import draw
from tests.test_lazy import NEVER_FOR_SEARCH, command, loaded_by


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for number, name in enumerate(("cat", "dog", "red_car")):
        (tmp_path / "classes" / name).mkdir(parents=True)
        draw(tmp_path / "classes" / name / "1.jpg", number)
        draw(tmp_path / "classes" / name / "2.jpg", 10 + number)
    return tmp_path / "classes"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for number in range(3):
        draw(tmp_path / f"{number}.jpg", number)
    rows = ["image,caption", "0.jpg,a cat", '0.jpg,"a cat, asleep"', "1.jpg,猫 🐱", "2.jpg,a car", "missing.jpg,a ship"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path / "pairs.csv"


@pytest.fixture
def run(small_folder: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run `searcher evaluate`, by default with the small model. Returns the exit code, stdout and stderr."""

    def evaluate(*arguments: str | Path, model: str | Path = small_folder) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(args=["evaluate", str(model), *map(str, arguments)])
        return (int(ended.value.code or 0), *capfd.readouterr())

    return evaluate


def test_json_of_class_folders(run: Any, classes: Path) -> None:
    (classes / "dog" / "broken.jpg").write_bytes(b"no picture")
    code, out, err = run(classes, "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["dataset"], result["n"], result["labels"], result["templates"]) == (str(classes), 6, 3, 8)
    assert result["top1"] * 6 == pytest.approx(round(result["top1"] * 6))
    assert result["top1"] <= result["top5"] == 1.0
    assert result["bare"].keys() == {"top1", "top5"}
    assert (result["model"], result["precision"]) == ("small", "float32")
    assert result["failed"] == 1
    assert result["failures"][0]["path"] == str(classes / "dog" / "broken.jpg")
    assert "1 item could not be used:" in err
    assert str(classes / "dog" / "broken.jpg") in err


def test_json_of_pairs(run: Any, pairs: Path) -> None:
    code, out, _ = run(pairs, "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["dataset"], result["n"], result["captions"]) == (str(pairs), 3, 4)
    for way in ("text_to_image", "image_to_text"):
        assert 0 <= result[way]["r1"] <= result[way]["r5"] == result[way]["r10"] == 1.0
    assert result["failures"] == [{"path": str(pairs), "error": "record 5: no such image: missing.jpg"}]


def test_the_table_shows_templates_bare_names_and_chance(run: Any, classes: Path) -> None:
    code, out, err = run(classes)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "6 photos, 3 labels, model small (float32)"
    assert lines[2].split() == ["top-1", "top-5"]
    assert [line.split("  ")[0] for line in lines[3:]] == ["8 templates", "bare names", "chance"]
    assert lines[5].split() == ["chance", "33.33", "%", "100.00", "%"]


def test_the_table_shows_recall_of_pairs(run: Any, pairs: Path) -> None:
    lines = run(pairs)[1].splitlines()
    assert lines[0] == "3 photos, 4 captions, model small (float32)"
    assert lines[2].split() == ["R@1", "R@5", "R@10"]
    assert [line.split("  ")[0] for line in lines[3:]] == ["text → image", "image → text"]


def test_custom_templates_and_bare_names_are_used(run: Any, classes: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a drawing of a {}.\nmy {}\n")
    mine = json.loads(run(classes, "--templates", tmp_path / "mine.txt", "--json")[1])
    bare = json.loads(run(classes, "--templates", "bare", "--json")[1])
    one = json.loads(run(classes, "--templates", "{}", "--json")[1])
    assert (mine["templates"], bare["templates"], bare["bare"]) == (2, 1, None)
    assert bare == one
    assert mine["bare"] == {"top1": bare["top1"], "top5": bare["top5"]}


def test_custom_labels_are_used(run: Any, classes: Path) -> None:
    result = json.loads(run(classes, "--labels", "cat,dog,red car,ship,house,tree", "--json")[1])
    assert result["labels"] == 6
    code, out, err = run(classes, "--labels", "@cifar10")
    assert (code, out) == (1, "")
    assert "no label for the folder 'red car'" in err


def test_the_confusion_picture_is_drawn(run: Any, classes: Path, tmp_path: Path) -> None:
    code, out, err = run(classes, "--confusion", tmp_path / "c.png", "--json")
    assert code == 0
    assert json.loads(out)["n"] == 6
    assert str(tmp_path / "c.png") in err
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width > 100


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 1, "no such file or folder: nowhere"),
        (["CLASSES", "--templates", "nowhere.txt"], 1, "unknown templates 'nowhere.txt'"),
        (["CLASSES", "--labels", "nowhere.txt"], 1, "no such label file: nowhere.txt"),
        (["CLASSES", "--labels", "@places"], 1, "unknown label set @places"),
        (["CLASSES", "--confusion", "c.gif"], 2, "The file of --confusion must end in .jpg"),
        (["CLASSES", "--confusion", "nowhere/c.png"], 1, "no such folder"),
        (["PAIRS", "--templates", "bare"], 2, "only with class folders"),
        (["PAIRS", "--confusion", "c.png"], 2, "only with class folders"),
        ([], 2, "Missing argument 'DATA'"),
        (["builtin", "builtin", "CLASSES"], 2, "Two models can be compared at a time, not 3."),
        (["builtin", "CLASSES", "--confusion", "c.png"], 2, "--confusion draws the matrix of one model"),
        (["builtin", "PAIRS", "--labels", "a,b"], 2, "only with class folders"),
        (["nowhere", "CLASSES"], 1, "nowhere"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    run: Any,
    classes: Path,
    pairs: Path,
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = run(*({"CLASSES": classes, "PAIRS": pairs}.get(word, word) for word in arguments))
    assert (found, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1


def test_json_of_two_models_on_class_folders(run: Any, classes: Path, small_folder: Path) -> None:
    (classes / "dog" / "broken.jpg").write_bytes(b"no picture")
    one = {name: json.loads(run(classes, "--json", model=name)[1]) for name in ("builtin", small_folder)}
    code, out, _ = run(small_folder, classes, "--json", model="builtin")
    result = json.loads(out)
    assert code == 0
    assert list(result) == ["dataset", "n", "labels", "templates", "failed", "failures", "models", "metrics"]
    assert (result["dataset"], result["n"], result["failed"]) == (str(classes), 6, 1)
    assert [model["name"] for model in result["models"]] == ["builtin", "small"]
    assert result["models"][1] == {"name": "small", "folder": str(small_folder), "precision": "float32"}
    assert list(result["metrics"]) == ["top1", "top5"]
    for name, metric in result["metrics"].items():
        assert metric["values"] == [one["builtin"][name], one[small_folder][name]]
        assert metric["difference"] == pytest.approx(metric["values"][1] - metric["values"][0])
        assert metric["interval"][0] <= metric["difference"] <= metric["interval"][1]


def test_json_of_two_models_on_pairs(run: Any, pairs: Path, small_folder: Path) -> None:
    one = {name: json.loads(run(pairs, "--json", model=name)[1]) for name in ("builtin", small_folder)}
    result = json.loads(run("builtin", pairs, "--json")[1])
    assert list(result) == ["dataset", "n", "captions", "failed", "failures", "models", "metrics"]
    assert list(result["metrics"]) == ["text_to_image", "image_to_text"]
    for way, metrics in result["metrics"].items():
        assert list(metrics) == ["r1", "r5", "r10"]
        for name, metric in metrics.items():
            assert metric["values"] == [one[small_folder][way][name], one["builtin"][way][name]]


def test_the_table_of_two_models_says_which_one_is_better(run: Any, classes: Path, small_folder: Path) -> None:
    code, out, err = run(small_folder, classes)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "6 photos, 3 labels"
    assert lines[1] == f"A: model small (float32) in {small_folder}"  # both have this name
    assert lines[4].split() == ["A", "B", "B", "−", "A", "95", "%", "interval"]
    assert lines[5].split()[-6:] == ["+0.00", "to", "+0.00", "no", "clear", "difference"]
    assert [line.split()[0] for line in lines[5:7]] == ["top-1", "top-5"]
    assert "drawing the photos again" in lines[8]


def test_the_table_of_two_models_has_both_directions(run: Any, pairs: Path) -> None:
    lines = run("builtin", pairs)[1].splitlines()
    assert lines[:2] == ["3 photos, 4 captions", "A: model small (float32)"]
    assert lines[2].startswith("B: model builtin (")
    assert [line.split("  ")[0] for line in lines[5:11]] == [
        f"{way} R@{k}" for way in ("text → image", "image → text") for k in (1, 5, 10)
    ]
    assert "What the queries search stays the same" in lines[12]


def test_a_missing_model_is_reported_in_one_line(run: Any, classes: Path, tmp_path: Path) -> None:
    code, out, err = run(classes, model=tmp_path / "nowhere")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_evaluate_loads_no_training_code(small_folder: Path, classes: Path, tmp_path: Path) -> None:
    loaded = loaded_by(
        command("evaluate", str(small_folder), str(classes), "--confusion", str(tmp_path / "c.png")), tmp_path
    )
    assert "onnxruntime" in loaded
    assert not loaded & (NEVER_FOR_SEARCH | {"sqlalchemy", "faiss"})
