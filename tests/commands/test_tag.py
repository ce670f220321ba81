"""Runs `tag`, `tags`, `classify`, `teach`, `search --tag` and `index --tag` with a real but untrained model."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searcher.commands import main
from searcher.datasets import read_class_folder
from searcher.evaluate import zero_shot
from searcher.models import Model
from tests.pictures import draw

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def indexed(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, and a `library` that indexes them. Tests copy it and must not write to it."""
    home = tmp_path_factory.mktemp("home")
    (home / "photos").mkdir()
    for number in range(6):
        draw(home / "photos" / f"{number}.jpg", number)
    arguments = ["index", home / "photos", "--library", home / "library", "--model", small_folder, "-q"]
    with pytest.raises(SystemExit) as ended:
        main.main(args=[*map(str, arguments)])
    assert not ended.value.code
    return home


@pytest.fixture
def home(indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a copy of the library for each test. The photos stay where they were indexed."""
    shutil.copytree(indexed / "library", tmp_path / "library")
    monkeypatch.setenv("SEARCHER_LIBRARY", str(tmp_path / "library"))
    monkeypatch.chdir(tmp_path)
    return indexed


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `searcher …`. Returns the exit code, stdout and stderr."""

    def program(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(args=[*map(str, arguments)])
        return (int(ended.value.code or 0), *capfd.readouterr())

    return program


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_tag_prints_one_json_line_per_photo(run: Run, home: Path) -> None:
    code, out, err = run("tag", "--labels", "cat,dog,car", "--one", "--top", "2", "--json")
    rows = lines(out)
    assert (code, err) == (0, "")
    assert sorted(row["path"] for row in rows) == [str(home / "photos" / f"{number}.jpg") for number in range(6)]
    for row in rows:
        assert list(row) == ["path", "tags"] and list(row["tags"][0]) == ["label", "probability", "source"]
        assert row["tags"][0]["probability"] >= row["tags"][1]["probability"] > 0
    assert run("tag", "--labels", "cat,dog,car", "--one", "--top", "2", "--json")[1] == out


def test_labels_with_commas_and_quotes_are_valid_in_csv(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text('salt, pepper\nsay "cheese"\n🐕‍🦺\nsalt, pepper\n', encoding="utf-8")
    code, out, _ = run("tag", "--labels", "labels.txt", "--one", "--top", "3", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and len(rows) == 18
    assert {row["label"] for row in rows} == {"salt, pepper", 'say "cheese"', "🐕‍🦺"}
    assert all(0 <= float(row["probability"]) <= 1 for row in rows)


def test_tag_prints_counts_and_warns_that_the_model_is_uncalibrated(run: Run, home: Path) -> None:
    code, out, err = run("tag", "--labels", "cat,dog")
    assert code == 0
    assert "6 photos (6 checked now)" in out
    assert "Uncalibrated" in err
    assert "6 photos (nothing new)" in run("tag", "--labels", "cat,dog")[1]
    assert "Uncalibrated" not in run("tag", "--labels", "cat,dog", "--one")[2]
    assert len(run("tag", "--labels", "cat,dog", "--one", "--list")[1].splitlines()) == 6


def test_a_photo_without_labels_is_in_the_output(run: Run, home: Path, small_folder: Path) -> None:
    out = run("tag", "--labels", "cat", "--json")[1]
    assert len(lines(out)) == 6
    empty = [row for row in csv.DictReader(io.StringIO(run("tag", "--labels", "cat", "--csv")[1])) if not row["label"]]
    assert len(empty) == sum(not row["tags"] for row in lines(out))


def test_tags_lists_labels_and_search_filters_by_label(run: Run, home: Path) -> None:
    run("tag", "--labels", "cat,dog,car", "--one", "-q")
    counts = json.loads(run("tags", "--json")[1])
    assert sum(row["photos"] for row in counts) == 6
    label, photos = counts[0]["label"], counts[0]["photos"]
    assert counts[0] == {"label": label, "source": "zero-shot", "photos": photos}
    assert f"{label}  {photos}  █" in run("tags")[1].replace("   ", "  ").replace("   ", "  ")
    by_label = ["--tag", label, "--sort", "relevance"]
    for words in (["a cat", "--tag", label], by_label, ["--like", home / "photos" / "0.jpg", "--tag", label]):
        hits = json.loads(run("search", *words, "--json")[1])
        assert len(hits) == photos
        assert all(hit["tags"] == [label] for hit in hits)
        numbers = [hit["score"] if hit["relevance"] is None else hit["relevance"] for hit in hits]
        assert numbers == sorted(numbers, reverse=True)
    code, out, err = run("search", "--tag", "cat", "--tag", "dog", "--tag", "car", "--json")
    unknown = next((name for name in ("cat", "dog", "car") if name not in {row["label"] for row in counts}), None)
    assert (code, out) == ((0, "[]\n") if unknown is None else (1, ""))
    assert (unknown or "No photo has all of the given labels.") in err


def test_a_broader_label_also_finds_photos_with_its_narrower_labels(run: Run, home: Path, tmp_path: Path) -> None:
    text = '[labels]\ncat = {parent = "pet"}\ndog = {parent = "pet"}\npet = {parent = "animal"}\n'
    (tmp_path / "pets.toml").write_text(text.replace("pet = {", '"pet" = {wordings = ["rock"], '))
    run("tag", "--labels", "pets.toml", "--one", "-q")
    assert len(json.loads(run("search", "--tag", "animal", "--json")[1])) == 6


def test_index_with_tag_gives_new_photos_the_earlier_labels(run: Run, home: Path, tmp_path: Path) -> None:
    run("tag", "--labels", "cat,dog", "--one", "-q")
    (tmp_path / "more").mkdir()
    draw(tmp_path / "more" / "new.jpg", 77)
    report = json.loads(run("index", tmp_path / "more", "--tag", "--json")[1])
    assert (report["added"], report["tagged"]) == (1, 1)
    assert sum(row["photos"] for row in json.loads(run("tags", "--json")[1])) == 7
    assert "tagged" not in json.loads(run("index", "--json")[1])


def test_classify_gives_the_same_labels_as_tag(run: Run, home: Path) -> None:
    question = ("--labels", "cat,dog,car", "--one", "--top", "3", "--json")
    stored_rows = lines(run("tag", *question)[1])
    code, out, _ = run("classify", *(row["path"] for row in stored_rows), *question)
    assert code == 0
    for loose, stored in zip(lines(out), stored_rows, strict=True):
        assert loose["path"] == stored["path"]
        mine, theirs = ({tag["label"]: tag["probability"] for tag in row["tags"]} for row in (loose, stored))
        assert mine == pytest.approx(theirs, abs=1e-3)


def test_classify_needs_no_library(run: Run, home: Path, small_folder: Path, tmp_path: Path) -> None:
    arguments = (home / "photos" / "0.jpg", "--labels", "cat,dog", "--one", "--model", small_folder)
    code, out, _ = run("classify", *arguments, "--library", tmp_path / "none")
    assert code == 0
    assert out.startswith(str(home / "photos" / "0.jpg"))
    assert not (tmp_path / "none").exists()


def test_a_broken_photo_does_not_stop_classify(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"not a photo")
    good = home / "photos" / "0.jpg"
    code, out, err = run("classify", tmp_path / "broken.jpg", good, "--labels", "cat,dog", "--one", "--json")
    assert code == 0 and len(lines(out)) == 1
    assert "broken.jpg" in err
    code, out, err = run("classify", tmp_path / "broken.jpg", "--labels", "cat,dog", "--json")
    assert (code, out) == (1, "")
    assert len([line for line in err.splitlines() if line.startswith("Error:")]) == 1


def test_a_taught_label_works_in_all_other_commands(run: Run, home: Path) -> None:
    photos = home / "photos"
    code, out, _ = run("teach", "Rex", photos / "0.jpg", photos / "1.jpg", "--not", photos / "2.jpg", "--json")
    taught = json.loads(out)
    assert code == 0
    assert {key: taught[key] for key in ("label", "examples", "against")} == {
        "label": "Rex",
        "examples": 2,
        "against": 1,
    }
    rows = lines(run("tag", "--labels", "Rex", "--json")[1])
    assert sum(bool(row["tags"]) for row in rows) == taught["photos"] > 0
    assert [row["source"] for row in json.loads(run("tags", "--json")[1])] == ["taught"]
    assert len(json.loads(run("search", "--tag", "Rex", "--json")[1])) == taught["photos"]
    loose = lines(run("classify", photos / "0.jpg", "--labels", "Rex,cat", "--one", "--top", "2", "--json")[1])
    assert {tag["label"] for tag in loose[0]["tags"]} == {"Rex", "cat"}
    assert run("teach", "Rex", "--forget")[0] == 0
    assert run("teach", "Rex", "--forget")[0] == 1


def test_clear_removes_labels(run: Run, home: Path) -> None:
    run("tag", "--labels", "cat,dog", "--one", "-q")
    photos = home / "photos"
    taught = json.loads(run("teach", "cat", photos / "0.jpg", "--json")[1])["photos"]
    run("tag", "--labels", "dog", "-q")
    for number, chosen in enumerate(([], ["--labels", "cat"], ["--labels", "dog,cat"])):
        expected = run("tag", "--clear", "--dry-run", "--json", *chosen)[1]
        library = shutil.copytree("library", f"copy {number}")
        assert run("tag", "--clear", "--json", *chosen, "--library", library)[1] == expected
    assert taught > 0
    run("tag", "--labels", "cat,dog", "--one", "-q")
    assert "6 labels would be removed" in run("tag", "--clear", "--dry-run")[1]
    assert json.loads(run("tag", "--clear", "--json")[1]) == {"cleared": 6}
    assert json.loads(run("tags", "--json")[1]) == []


def test_a_dry_run_shows_labels_and_sidecars_and_writes_nothing(run: Run, home: Path, tmp_path: Path) -> None:
    before = sorted((home / "photos").iterdir())
    arguments = ("tag", "--labels", "cat,dog", "--one", "--dry-run", "--xmp", "--link-to", tmp_path / "links")
    code, out, err = run(*arguments)
    assert code == 0
    assert len([line for line in out.splitlines() if ".jpg.xmp  +" in line]) == 6
    assert "6 sidecars would be written" in err and "6 links would be made" in err
    rows = lines(run(*arguments, "--json")[1])
    assert len(rows) == 6 and all(len(row["tags"]) == 1 for row in rows)
    assert sorted((home / "photos").iterdir()) == before
    assert not (tmp_path / "links").exists()
    assert json.loads(run("tags", "--json")[1]) == []


def test_sidecars_and_links_are_written_and_sidecars_are_removed(run: Run, home: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(home / "photos", photos)
    run("index", photos, "-q")
    _, _, err = run("tag", "--labels", "cat,dog", "--one", "--xmp", "--link-to", tmp_path / "links", "-q")
    assert err == ""
    names = {f"{number}.jpg.xmp" for number in range(6)}
    for folder in (photos, home / "photos"):  # copies have their own sidecars
        assert {sidecar.name for sidecar in folder.glob("*.xmp")} == names
    assert all((photos / name).read_bytes() == (home / "photos" / name).read_bytes() for name in names)
    assert len(list((tmp_path / "links").glob("*/*.jpg"))) == 12
    assert "12 sidecars would be cleared" in run("tag", "--clear", "--xmp", "--dry-run")[2]
    assert "12 sidecars cleared" in run("tag", "--clear", "--xmp")[2]
    assert not list(photos.glob("*.xmp")) and not list((home / "photos").glob("*.xmp"))


def test_labels_are_added_and_removed_by_hand(run: Run, home: Path) -> None:
    photos = [home / "photos" / f"{number}.jpg" for number in range(3)]
    run("tag", "--labels", "cat,dog", "--one", "-q")
    given = {
        row["path"]: row["tags"][0]["label"] for row in lines(run("tag", "--labels", "cat,dog", "--one", "--json")[1])
    }
    wrong = given[str(photos[0])]
    arguments = ("tag", "--add", "Anna", "--remove", wrong, *photos)
    removed = sum(given[str(photo)] == wrong for photo in photos)
    expected = {"photos": 3, "added": {"Anna": 3}, "removed": {wrong: removed}}
    assert json.loads(run(*arguments, "--dry-run", "--json")[1]) == expected
    assert run("search", "--tag", "Anna")[0] == 1
    assert "“Anna” would be added to 3 photos\n" in run(*arguments, "--dry-run")[1]
    assert run(*arguments, "-q") == (0, "", "")
    code, out, err = run("tag", "--add", "Anna", photos[0], home / "photos" / "3.jpg")
    assert (code, out, err) == (0, "“Anna” added to 1 photo, 1 had it already\n", "")
    assert run("tag", "--remove", wrong, photos[0])[1] == f"“{wrong}” removed from 0 photos, 1 did not have it\n"
    run("tag", "--clear", "-q")
    rows = lines(run("tag", "--labels", "cat,dog,Anna", "--one", "--top", "3", "--json")[1])
    tags = {row["path"]: {tag["label"]: tag["source"] for tag in row["tags"]} for row in rows}
    assert wrong not in tags[str(photos[0])]
    assert [row["path"] for row in rows if tags[row["path"]]["Anna"] == "user"] == [
        str(photo) for photo in [*photos, home / "photos" / "3.jpg"]
    ]
    assert "Anna 1.00 (yours)" in run("tag", "--labels", "Anna", "--list")[1]
    table = csv.DictReader(io.StringIO(run("tag", "--labels", "Anna", "--csv")[1]))
    assert sum((row["label"], row["probability"]) == ("Anna", "1.0") for row in table) == 4


def test_sources_and_missing_labels_narrow_searches_and_counts(run: Run, home: Path) -> None:
    run("tag", "--labels", "cat,dog", "--one", "-q")
    run("tag", "--add", "dog", home / "photos" / "0.jpg", "-q")

    def found(*arguments: str) -> int:
        return len(json.loads(run("search", *arguments, "--json")[1]))

    dogs = found("--tag", "dog", "--source", "zero-shot")
    assert found("--source", "user") == found("--tag", "dog", "--source", "user") == 1
    assert found("a photo", "--not-tag", "dog", "--source", "user", "--source", "zero-shot") == 6 - found(
        "--tag", "dog"
    )
    assert found("--not-tag", "dog", "--source", "zero-shot") == 6 - dogs
    assert json.loads(run("tags", "--source", "user", "--json")[1]) == [{"label": "dog", "source": "user", "photos": 1}]
    assert run("tags", "--source", "file") == (0, "", "No photo has a label from this source.\n")
    assert "No photo has the label 'purple'" in run("search", "--not-tag", "purple")[2]
    assert "No photo meets all of the conditions." in run("search", "--tag", "dog", "--source", "taught")[2]


def test_labels_by_hand_are_written_to_sidecars_and_survive_runs(run: Run, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "photos", tmp_path / "own")
    run("forget", home / "photos", "-q")
    run("index", tmp_path / "own", "-q")
    photo, sidecar = tmp_path / "own" / "0.jpg", tmp_path / "own" / "0.jpg.xmp"
    run("tag", "--labels", "cat", "--one", "--xmp", "-q")
    _, out, err = run("tag", "--add", "Anna", "--remove", "cat", "--xmp", "--dry-run", photo)
    assert f"{sidecar}  +Anna -cat" in out and "1 sidecar would be written" in err
    assert b"cat" in sidecar.read_bytes()
    run("tag", "--add", "Anna", "--remove", "cat", "--xmp", photo)
    assert b"Anna" in sidecar.read_bytes() and b"cat" not in sidecar.read_bytes()
    run("tag", "--labels", "cat,Anna", "--xmp", "-q")
    run("tag", "--clear", "--xmp", "-q")
    assert b"Anna" in sidecar.read_bytes() and b"cat" not in sidecar.read_bytes()
    assert [path.name for path in (tmp_path / "own").glob("*.xmp")] == ["0.jpg.xmp"]
    run("tag", "--remove", "Anna", "--xmp", photo)
    assert not sidecar.exists()


def test_a_removed_label_is_still_found_through_narrower_ones_and_the_user_is_told(
    run: Run, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "pets.toml").write_text('[labels]\ncat = {parent = "animal"}\n')
    run("tag", "--labels", "pets.toml", "--one", "-q")
    code, _, err = run("tag", "--remove", "animal", home / "photos" / "0.jpg")
    assert (code, err) == (0, "“animal” is still found through the narrower label cat.\n")


def test_tag_with_one_agrees_with_evaluate_on_every_photo(
    run: Run, home: Path, small_folder: Path, tmp_path: Path
) -> None:
    for number, name in enumerate(("cat", "dog", "red car") * 4):
        (tmp_path / "classes" / name).mkdir(parents=True, exist_ok=True)
        draw(tmp_path / "classes" / name / f"{number}.jpg", 100 + number)
    classes = read_class_folder(tmp_path / "classes")
    expected = zero_shot(Model.open(small_folder), classes)
    files = [str(file) for images in classes.images for file in images]
    run("index", tmp_path / "classes", "-q")
    rows = lines(run("tag", "--labels", ",".join(classes.names), "--one", "--json")[1])
    tagged = {row["path"]: row["tags"][0]["label"] for row in rows}
    assert [tagged[file] for file in files] == [expected.labels[number] for number in expected.predicted]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tag"], 2, "Give the labels"),
        (["tag", "--labels", "cat", "--json", "--csv"], 2, "either"),
        (["tag", "--labels", "cat", "--top", "0"], 2, "top"),
        (["tag", "--labels", "cat", "--adobe"], 2, "--xmp"),
        (["tag", "--clear", "--one"], 2, "--clear"),
        (["tag", "photo.jpg"], 2, "classify"),
        (["tag", "--add", "Anna"], 2, "Give the photos"),
        (["tag", "--add", "Anna", "photo.jpg", "--one"], 2, "--one"),
        (["tag", "--remove", "Anna", "photo.jpg", "--clear"], 2, "--clear"),
        (["tag", "--add", "Anna", "photo.jpg", "--labels", "cat"], 2, "--labels"),
        (["tag", "--add", "Anna", "--remove", " Anna", "photo.jpg"], 2, "both"),
        (["tag", "--add", " ", "photo.jpg"], 1, "name"),
        (["tag", "--add", "Anna", "photo.jpg", "b.jpg", "--json"], 1, "photo.jpg, and 1 more of 2"),
        (["search", "--source", "me"], 2, "user"),
        (["tag", "--labels", "missing.txt"], 1, "missing.txt"),
        (["tag", "--labels", "empty.txt"], 1, "no labels"),
        (["tag", "--labels", ","], 1, "no labels"),
        (["tag", "--labels", "@nonsense"], 1, "@nonsense"),
        (["tag", "--clear", "--labels", "purple"], 1, "purple"),
        (["tag", "--clear", "--labels", "purple", "--dry-run"], 1, "purple"),
        (["tag", "--clear", "--labels", "purple", "--dry-run", "--xmp", "--json"], 1, "purple"),
        (["search", "--tag", "purple"], 1, "purple"),
        (["classify", "missing.jpg", "--labels", "cat"], 1, "missing.jpg"),
        (["classify", ".", "--labels", "cat"], 1, "folder"),
        (["classify", "missing.jpg"], 2, "Give the labels"),
        (["teach", "Rex"], 2, "photos"),
        (["teach", " ", "a.jpg"], 2, "name"),
        (["teach", "Rex", "missing.jpg"], 1, "missing.jpg"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    run: Run, home: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in err and len(err.splitlines()) == 1


def test_a_missing_library_is_reported_in_one_line(run: Run, home: Path, tmp_path: Path) -> None:
    for arguments in (["tag", "--labels", "cat"], ["tags"], ["teach", "Rex", home / "photos" / "0.jpg"]):
        code, out, err = run(*arguments, "--library", tmp_path / "none")
        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1
