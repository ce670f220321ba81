"""`searcher evaluate --tags`: the quality of tags on class folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from searcher.commands import main
from searcher.datasets import read_class_folder
from searcher.errors import InvalidInput
from searcher.evaluate import TagQuality, read_truth, tag_quality
from tests.histogram_model import COLOURS, HistogramModel


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    folder = tmp_path / "classes"
    for colour in ("red", "green", "blue"):
        (folder / colour).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (20 + number, 20), COLOURS[colour]).save(folder / colour / f"{number}.png")
    Image.new("RGB", (20, 20), COLOURS["red"]).save(folder / "green" / "wrong.png")
    return folder


def test_precision_recall_and_f1_are_counted_over_all_pairs(classes: Path) -> None:
    found = tag_quality(HistogramModel(), read_class_folder(classes))
    assert found.labels == ["blue", "green", "red"]
    assert found.counts.tolist() == [[2, 2, 2], [2, 2, 3], [2, 3, 2]]
    assert found.micro == pytest.approx((6 / 7, 6 / 7, 6 / 7))
    row = found.as_dict()
    assert row["labels"]["green"] == {
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "given": 2,
        "true": 3,
    }
    json.dumps(row)


def test_a_class_can_have_several_true_labels_or_none(classes: Path, tmp_path: Path) -> None:
    file = tmp_path / "truth.toml"
    file.write_text('red = ["red", "warm"]\nblue = []\ngreen = "green"\n')
    found = tag_quality(HistogramModel(), read_class_folder(classes), truth=read_truth(file))
    assert found.labels == ["green", "red", "warm"]
    assert found.truth.sum(axis=0).tolist() == [3, 2, 2]
    with pytest.raises(InvalidInput, match="no class folder 'yellow'"):
        tag_quality(HistogramModel(), read_class_folder(classes), truth={"yellow": ["red"]})


@pytest.mark.parametrize("text", ["red = 3", "red = [1]", "red = [", 'red = [" "]', "[red]\na = 1"])
def test_a_wrong_truth_file_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "truth.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_truth(file)
    assert "\n" not in str(caught.value)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.5, 2))
def test_the_calibration_error_is_0_for_honest_probabilities_and_grows_with_the_lie(seed: int, power: float) -> None:
    draw = np.random.default_rng(seed)
    chances = draw.uniform(size=(4000, 5))
    truth = draw.uniform(size=chances.shape) < chances

    def error(said: np.ndarray) -> float:
        return TagQuality(Path(), 4000, list("abcde"), truth, said.astype(np.float32), []).calibration_error

    assert error(chances) < 0.02
    lie = np.abs(chances**power - chances).mean()
    assert error(chances**power) == pytest.approx(lie, abs=0.03)


def test_the_command_prints_a_table_json_and_a_diagram(classes: Path, tmp_path: Path) -> None:
    diagram = tmp_path / "reliability.png"
    done = CliRunner().invoke(
        main, ["evaluate", "builtin", str(classes), "--tags", "--reliability", str(diagram)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert "all together" in done.output
    assert "Calibration error" in done.output
    with Image.open(diagram) as picture:
        assert min(picture.size) > 400
    done = CliRunner().invoke(main, ["evaluate", "builtin", str(classes), "--tags", "--json", "-q"])
    assert {"precision", "recall", "f1", "calibration_error", "labels", "reliability"} <= set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "options",
    [["--truth", "x.toml"], ["--reliability", "x.png"], ["--tags", "--templates", "bare"], ["builtin", "--tags"]],
)
def test_options_that_do_not_go_together_are_usage_errors(classes: Path, options: list[str]) -> None:
    models = ["builtin", *(option for option in options if option == "builtin")]
    rest = [option for option in options if option != "builtin"]
    assert CliRunner().invoke(main, ["evaluate", *models, str(classes), *rest]).exit_code == 2
