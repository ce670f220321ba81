"""Label sets from the command line, from files, and from the package."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.datasets import Label, read_labels
from searcher.datasets.labels import SETS, lineage, set_names
from searcher.errors import SearcherError


def names(spec: str | Path) -> list[str]:
    return [label.name for label in read_labels(str(spec))]


def parents(labels: Iterable[Label]) -> dict[str, str | None]:
    return {label.name: label.parent for label in labels}


def refused(spec: str | Path) -> str:
    with pytest.raises(SearcherError) as caught:
        read_labels(str(spec))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "labels.toml"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("cat", ["cat"]),
        ("cat,dog, a red car ", ["cat", "dog", "a red car"]),
        ('"salt, pepper",dog', ["salt, pepper", "dog"]),
        ("cat,,cat,dog", ["cat", "dog"]),
        ("猫,🐱,St. Bernard", ["猫", "🐱", "St. Bernard"]),
        ("a dog or a wolf, resting/sleeping", ["a dog or a wolf", "resting/sleeping"]),
        ("St. Bernard", ["St. Bernard"]),
        ("mail@home,cat", ["mail@home", "cat"]),
        ("AC/DC,", ["AC/DC"]),  # with a comma it is a list, and not the name of a file
        ("@coco,", ["@coco"]),
        ("notes.txt,", ["notes.txt"]),
    ],
)
def test_labels_on_the_command_line(spec: str, expected: list[str]) -> None:
    assert names(spec) == expected


@pytest.mark.parametrize(
    "spec", ["labels.txt", "lables.toml", "my/labels", "~/labels", "./labels", "../l", "labels.foo"]
)
def test_a_spec_that_looks_like_a_path_must_exist(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(spec) == f'no such label file: {spec}; if it is the name of a label, add a comma: "{spec},"'
    assert names(f"{spec},") == [spec]


@pytest.mark.parametrize("spec", ["@coco,dog", "dog,@coco", "cat, @nonsense", "labels.txt,dog", "dog,pets.TOML,cat"])
def test_a_file_or_label_set_in_a_list_of_labels_is_an_error(spec: str) -> None:
    assert "must stand alone" in refused(spec)


def test_an_existing_file_is_read_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pets").write_text("cat\ndog\n")
    Path("a,b.txt").write_text("bird\n")
    Path("boat").mkdir()
    assert names("pets") == ["cat", "dog"]
    assert names("a,b.txt") == ["bird"]
    assert names("boat") == ["boat"]  # a folder is not a label file


def test_a_text_file_has_one_label_per_line(tmp_path: Path) -> None:
    text = '\ufeff# pets\n\n cat \r\n"quoted", with comma\nA whole sentence, even.\n 🐱\n猫\ncat\n # no\nC#\n'
    (tmp_path / "l.txt").write_text(text, encoding="utf-8", newline="")
    assert names(tmp_path / "l.txt") == [
        "cat",
        '"quoted", with comma',
        "A whole sentence, even.",
        "🐱",
        "猫",
        "C#",
    ]


def test_a_file_with_10000_labels_is_read(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("".join(f"label {n}\n" for n in range(10_000)))
    assert len(names(tmp_path / "l.txt")) == 10_000


@pytest.mark.parametrize("content", ["", "\n \n", "# only a comment\n"])
def test_a_file_without_labels_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(content)
    assert refused(tmp_path / "l.txt") == f"no labels in {tmp_path / 'l.txt'}"


def test_no_labels_on_the_command_line_is_an_error() -> None:
    assert refused("") == refused(" , ") == "no labels in --labels"


def test_a_photo_as_label_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    assert refused(tmp_path / "cat.jpg").endswith("not UTF-8 text")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_label_file_with_a_byte_order_mark_is_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("Hund\r\nKätzchen\r\n", encoding=encoding, newline="")
    assert names(tmp_path / "l.txt") == ["Hund", "Kätzchen"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_file_gives_labels_or_an_error(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    expected = dict.fromkeys(" ".join(line.split()) for line in lines if not line.lstrip().startswith("#"))
    expected.pop("", None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "l.txt")
        path.write_text(text, encoding="utf-8-sig", newline="")
        if expected:
            assert names(path) == list(expected)
        else:
            assert refused(path) == f"no labels in {path}"


def test_a_toml_file_sets_wordings_parents_and_templates(toml: Path) -> None:
    toml.write_text(
        """
        templates = ["a photo of a {}.", "{}"]
        [labels]
        animal = {}
        cat = "house cat"
        dog = {wordings = ["dog", "puppy", "dog"], parent = "animal"}
        "beagle, small" = {parent = "dog", templates = ["a {}, a kind of dog"]}
        "🐟" = ["fish", "gold  fish"]
        """,
        encoding="utf-8",
    )
    shared = ("a photo of a {}.", "{}")
    labels = read_labels(str(toml))
    assert labels == [
        Label("animal", ("animal",), None, shared),
        Label("cat", ("house cat",), None, shared),
        Label("dog", ("dog", "puppy"), "animal", shared),
        Label("beagle, small", ("beagle, small",), "dog", ("a {}, a kind of dog",)),
        Label("🐟", ("fish", "gold fish"), None, shared),
    ]
    assert lineage("beagle, small", parents(labels)) == ("animal", "dog", "beagle, small")
    assert lineage("cat", parents(labels)) == ("cat",)


def test_a_parent_does_not_have_to_be_a_label(toml: Path) -> None:
    toml.write_text('[labels]\ndog = {parent = "animal"}\n')
    labels = read_labels(str(toml))
    assert lineage("dog", parents(labels)) == ("animal", "dog")
    assert labels[0].templates is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no labels in"),
        ("[labels]\n", "no labels in"),
        ("[labels\n", "is not valid TOML"),
        ("labels = " + "[" * 100_000, "is not valid TOML: nested too deeply"),
        ("labels = 1" + "0" * 6000, "is not valid TOML: a number or date that is out of range"),
        ("[labels]\na = {}\na = {}\n", "is not valid TOML"),
        ('[labels]\n"a b" = {}\n"a  b" = {}\n', "duplicate label 'a b'"),
        ("cat = {}\n", "unknown key 'cat'; put labels under [labels]"),
        ('[labels]\n"" = {}\n', "a label has no name"),
        ("[labels]\na = 7\n", "the wordings of 'a' must be a string or a list of strings"),
        ("[labels]\na = []\n", "the wordings of 'a' must be"),
        ('[labels]\na = ["x", 7]\n', "the wordings of 'a' must be"),
        ('[labels]\na = {words = "x"}\n', "'a': unknown field 'words'"),
        ("[labels]\na = {parent = 7}\n", "the parent of 'a' must be a string"),
        ('[labels]\na = {parent = "a"}\n', "'a' is its own parent"),
        ('[labels]\na = {parent = "b"}\nb = {parent = "a"}\n', "is its own parent"),
        ('templates = "a photo"\n[labels]\na = {}\n', "templates: each template must contain {}"),
        ('[labels]\na = {templates = ["x"]}\n', "the templates of 'a': each template must contain {}"),
    ],
)
def test_an_invalid_toml_file_is_an_error(toml: Path, content: str, said: str) -> None:
    toml.write_text(content)
    assert said in refused(toml)


@pytest.mark.parametrize(("spec", "count"), [("@imagenet", 1000), ("@coco", 80), ("@cifar10", 10), ("@scenes", 100)])
def test_the_built_in_sets_are_complete_and_name_their_source(spec: str, count: int) -> None:
    found = names(spec)
    assert len(found) == count or (spec == "@scenes" and len(found) > count)
    head = (SETS / f"{spec[1:]}.txt").read_text().split("\n")[:3]
    assert any("http" in line for line in head if line.startswith("#"))


def test_the_built_in_sets_are_in_class_number_order() -> None:
    imagenet = names("@imagenet")
    assert (imagenet[0], imagenet[207], imagenet[999]) == ("tench", "Golden Retriever", "toilet paper")
    assert names("@cifar10")[3:6] == ["cat", "deer", "dog"]
    assert (names("@coco")[0], names("@coco")[-1]) == ("person", "toothbrush")


def test_the_error_for_an_unknown_set_lists_the_existing_sets() -> None:
    assert refused("@imagnet") == f"unknown label set @imagnet; the label sets are {', '.join(set_names())}"
    assert set_names() == ["@cifar10", "@coco", "@imagenet", "@scenes"]


def test_the_example_and_the_set_table_in_the_docs_are_correct(toml: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert block is not None
    toml.write_text(block[1], encoding="utf-8")
    labels = {label.name: label for label in read_labels(str(toml))}
    assert labels["dog"].wordings == ("dog", "puppy")
    assert lineage("beagle", parents(labels.values())) == ("dog", "beagle")
    counts = {f"`@{name}`": int(count.replace(",", "")) for name, count in re.findall(r"`@(\w+)` \| \D*([\d,]+)", page)}
    assert counts == {f"`{name}`": len(names(name)) for name in set_names()}
