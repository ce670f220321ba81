"""Reading pairs and class folders."""

import json
from pathlib import Path

import pytest

from searcher.datasets import TEMPLATES, read_class_folder, read_source
from searcher.errors import SearcherError
from tests.pictures import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        draw(tmp_path / f"{i}.jpg", i)
    return tmp_path


def test_rows_of_the_same_image_become_one_pair_with_several_captions(folder: Path) -> None:
    (folder / "p.csv").write_text('image,caption\n0.jpg,a cat\n1.jpg,"a dog, asleep"\n0.jpg,a kitten\n')
    source = read_source(folder / "p.csv")
    assert [(Path(p.image).name, p.captions) for p in source.pairs] == [
        ("0.jpg", ("a cat", "a kitten")),
        ("1.jpg", ("a dog, asleep",)),
    ]
    assert source.bad == []


def test_open_clip_column_names_and_tabs_are_read(folder: Path) -> None:
    (folder / "p.tsv").write_text("filepath\ttitle\n0.jpg\ta cat\n")
    assert read_source(folder / "p.tsv").pairs[0].captions == ("a cat",)


def test_json_lines_can_have_several_captions_and_a_label(folder: Path) -> None:
    rows = [
        {"image": "0.jpg", "caption": "猫 🐱"},
        {"image": "1.jpg", "captions": ["a dog", "a hound"], "label": "dog"},
        {"image": 7},
        ["no object"],
    ]
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    source = read_source(folder / "p.jsonl")
    assert [(p.captions, p.label) for p in source.pairs] == [(("猫 🐱",), None), (("a dog", "a hound"), "dog")]
    assert len(source.bad) == 3


def test_bad_records_are_counted_and_the_rest_is_used(folder: Path) -> None:
    (folder / "p.csv").write_text("image,caption\n0.jpg,a cat\nnowhere.jpg,a dog\n1.jpg,\n,a fish\n")
    source = read_source(folder / "p.csv")
    assert len(source.pairs) == 1
    assert [reason.split(": ", 1)[1] for reason in source.bad] == [
        "no such image: nowhere.jpg",
        "no caption",
        "no image",
    ]


def test_a_caption_of_10000_words_is_read(folder: Path) -> None:
    (folder / "p.csv").write_text("image,caption\n0.jpg," + "word " * 10_000 + "\n")
    assert len(read_source(folder / "p.csv").pairs[0].captions[0].split()) == 10_000


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "picture,caption\n0.jpg,a cat\n", "no column image or filepath; its columns are: picture, caption"),
        ("p.csv", "image,words\n0.jpg,a cat\n", "no column caption"),
        ("p.csv", "image,caption\n", "no usable"),
        ("p.csv", "", "no column image"),
        ("p.csv", "image,caption\nnowhere.jpg,a cat\n", "no such image: nowhere.jpg"),
        ("p.xml", "<a/>", "not a .csv, .tsv or .jsonl file or a folder"),
    ],
)
def test_an_unusable_source_is_an_error(folder: Path, name: str, text: str, said: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(SearcherError) as caught:
        read_source(folder / name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match="no such file or folder"):
        read_source(tmp_path / "nowhere.csv")


def test_a_folder_of_images_with_caption_files_is_read(folder: Path) -> None:
    (folder / "0.txt").write_text("a cat\na small cat\n")
    (folder / "2.txt").write_text("a boat\n")
    source = read_source(folder)
    assert [p.captions for p in source.pairs] == [("a cat", "a small cat"), ("a boat",)]
    assert source.bad == ["record 2: 1.jpg has no caption file 1.txt"]


def test_class_folders_give_one_caption_per_template(tmp_path: Path) -> None:
    for name in ("house_cat", "dog"):
        (tmp_path / name).mkdir()
        draw(tmp_path / name / "a.JPG", 1)
    (tmp_path / "empty").mkdir()
    assert read_class_folder(tmp_path).names == ["dog", "house cat"]
    pair = read_source(tmp_path).pairs[1]
    assert pair.label == "house cat"
    assert set(pair.captions) == {"house cat", *(template.format("house cat") for template in TEMPLATES)}
