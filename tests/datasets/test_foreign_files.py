"""Files that other programs wrote: every record is read, or it is counted with its reason."""

import json
from pathlib import Path

import pytest

from searcher.datasets import Source, read_class_folder, read_source
from searcher.errors import InvalidInput
from tests.pictures import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "i").mkdir()
    for number in range(6):
        draw(tmp_path / "i" / f"{number}.jpg", number)
    return tmp_path


def captions(source: Source) -> list[str]:
    return [caption for pair in source.pairs for caption in pair.captions]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.jsonl"])
def test_unicode_is_read_in_any_encoding(folder: Path, name: str, encoding: str) -> None:
    rows = [("i/0.jpg", "ein Café in Köln"), ("i/1.jpg", "a cup")]
    if encoding == "utf-32" and name == "p.jsonl":
        rows = rows[:1]
    if name == "p.jsonl":
        text = "".join(json.dumps({"image": a, "caption": b}, ensure_ascii=False) + "\r\n" for a, b in rows)
    else:
        separator = "," if name == "p.csv" else "\t"
        text = "".join(separator.join(row) + "\r\n" for row in [("image", "caption"), *rows])
    (folder / name).write_bytes(text.encode(encoding))
    source = read_source(folder / name)
    assert captions(source) == [caption for _, caption in rows]
    assert (source.bad, source.remarks) == ([], [])


def test_lines_that_are_not_utf_8_are_read_as_windows_1252_with_one_remark(folder: Path) -> None:
    lines = ["image,caption", "i/0.jpg,ein Café", "i/1.jpg,plain", "i/2.jpg,Köln", "i/3.jpg,“quoted”"]
    (folder / "p.csv").write_bytes("\n".join(lines).encode("cp1252"))
    source = read_source(folder / "p.csv")
    assert captions(source) == ["ein Café", "plain", "Köln", "“quoted”"]
    assert source.remarks == [
        f"{folder / 'p.csv'}: record 1: it is not UTF-8, so it was read as Windows-1252 (the same is true of 2 more)"
    ]


def test_one_line_of_another_encoding_does_not_change_the_others(folder: Path) -> None:
    (folder / "p.csv").write_bytes("image,caption\ni/0.jpg,猫\n".encode() + "i/1.jpg,Köln\n".encode("cp1252"))
    assert captions(read_source(folder / "p.csv")) == ["猫", "Köln"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_caption_files_are_read_in_any_encoding(folder: Path, encoding: str) -> None:
    (folder / "i" / "0.txt").write_bytes("ein Café in Köln\nzwei\n".encode(encoding))
    source = read_source(folder / "i")
    assert captions(source) == ["ein Café in Köln", "zwei"]
    assert len(source.remarks) == (encoding == "cp1252")
    assert source.path == folder / "i"


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("name", ["p.csv", "p.tsv"])
def test_the_separator_is_found_by_the_header(folder: Path, name: str, separator: str) -> None:
    rows = [["Filepath", "Title"], ["i/0.jpg", "a cat"], ["i/1.jpg", "a dog"]]
    (folder / name).write_text("".join(separator.join(row) + "\n" for row in rows))
    assert captions(read_source(folder / name)) == ["a cat", "a dog"]


def test_line_ends_of_any_system_are_read(folder: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        (folder / "p.csv").write_bytes(end.join(["image,caption", "i/0.jpg,a cat", "i/1.jpg,a dog", ""]).encode())
        assert captions(read_source(folder / "p.csv")) == ["a cat", "a dog"]


def test_paths_with_backslashes_are_found(folder: Path) -> None:
    (folder / "p.csv").write_text("image,caption\ni\\0.jpg,a cat\n.\\i\\1.jpg,a dog\n")
    (folder / "p.jsonl").write_text(json.dumps({"image": "i\\2.jpg", "caption": "a cow"}))
    assert captions(read_source(folder / "p.csv")) == ["a cat", "a dog"]
    assert captions(read_source(folder / "p.jsonl")) == ["a cow"]


@pytest.mark.parametrize("opened", [[2], [2, 3], [1, 4], [5], [0, 5]])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_quote_that_is_not_closed_takes_no_other_record_with_it(
    folder: Path, opened: list[int], separator: str
) -> None:
    quotes = ['"' if n in opened else "" for n in range(6)]
    rows = [f"i/{n}.jpg{separator}{quote}number {n}" for n, quote in enumerate(quotes)]
    (folder / "p.csv").write_text("\n".join([f"image{separator}caption", *rows]) + "\n")
    source = read_source(folder / "p.csv")
    assert captions(source) == [f"number {n}" for n in range(6)]
    assert source.bad == []
    assert [remark.split(": ")[-1][:24] for remark in source.remarks] == ["a quote is not closed, s"]


def test_a_quote_that_is_not_closed_in_a_record_that_cannot_be_split_is_counted(folder: Path) -> None:
    rows = ["image,caption", "i/0.jpg,a cat", 'i/1.jpg,"a dog, asleep', "i/2.jpg,a cow"]
    (folder / "p.csv").write_text("\n".join(rows))
    source = read_source(folder / "p.csv")
    assert captions(source) == ["a cat", "a cow"]
    assert source.bad == ["record 2: a quote is not closed"]


def test_a_caption_in_quotes_may_have_several_lines(folder: Path) -> None:
    text = 'image,caption,label\ni/0.jpg,"a ""big"" cat,\n\nasleep, on\na sofa",cat\ni/1.jpg,"a dog\n",dog\n'
    (folder / "p.csv").write_text(text)
    source = read_source(folder / "p.csv")
    assert captions(source) == ['a "big" cat, asleep, on a sofa', "a dog"]
    assert [pair.label for pair in source.pairs] == ["cat", "dog"]
    assert (source.bad, source.remarks) == ([], [])


def test_names_that_no_file_can_have_are_counted(folder: Path) -> None:
    rows = ["image,caption", f"{'word ' * 70},i/0.jpg", "i/\0.jpg,a cat", "i/1.jpg,a\0dog"]
    (folder / "p.csv").write_text("\n".join(rows))
    source = read_source(folder / "p.csv")
    assert captions(source) == ["a dog"]
    assert [reason.split(": ")[1] for reason in source.bad] == ["no such image"] * 2
    assert all(len(reason) < 150 for reason in source.bad)


def test_a_line_of_more_than_16_mb_is_counted(folder: Path) -> None:
    for name, long in (("p.csv", "i/0.jpg," + "x" * (1 << 25)), ("p.jsonl", '{"caption": "' + "x" * (1 << 24) + '"}')):
        good = "i/1.jpg,a dog" if name == "p.csv" else json.dumps({"image": "i/1.jpg", "caption": "a dog"})
        head = "image,caption\n" if name == "p.csv" else ""
        (folder / name).write_text(f"{head}{long}\n{good}\n")
        source = read_source(folder / name)
        assert captions(source) == ["a dog"]
        assert source.bad == ["record 1: longer than 16 MB"]


def test_json_values_of_other_types_are_used_or_counted(folder: Path) -> None:
    rows = [
        {"image": "i/0.jpg", "caption": "a", "label": ["x", "y"]},
        {"image": "i/1.jpg", "caption": "b", "label": 7},
        {"image": "i/2.jpg", "caption": None, "title": "c", "label": None},
        {"image": "i/3.jpg", "caption": ["d", None, 5, ""]},
        {"image": "i/4.jpg", "caption": "\ud800 e"},
        {"image": "i/5.jpg", "caption": [None]},
        {"image": "i/5.jpg", "caption": 5},
        {"image": ["i/5.jpg"], "caption": "f"},
        {"image": "i/5\ud800.jpg", "caption": "f"},
    ]
    deep = '{"image": ' + "[" * 100_000
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + deep + "\n")
    source = read_source(folder / "p.jsonl")
    assert [(pair.captions, pair.label) for pair in source.pairs] == [
        (("a",), None), (("b",), "7"), (("c",), None), (("d",), None), (("? e",), None),
    ]  # fmt: skip
    assert [reason.split(": ")[1] for reason in source.bad] == [
        "no caption", "no image or no caption", "no image or no caption", "no such image", "not JSON",
    ]  # fmt: skip
    assert len(source.remarks) == 1
    assert "record 1: its label is not text" in source.remarks[0]


def test_folders_that_the_index_skips_are_no_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog", ".ipynb_checkpoints", "@eaDir", "cat/@eaDir", "cat/.hidden", "#recycle"):
        (tmp_path / name).mkdir()
        draw(tmp_path / name / "a.jpg", 1)
    draw(tmp_path / "dog" / "._a.jpg", 1)
    classes = read_class_folder(tmp_path)
    assert classes.names == ["cat", "dog"]
    assert [len(images) for images in classes.images] == [1, 1]


def test_a_class_without_photos_is_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    draw(tmp_path / "cat" / "a.jpg", 1)
    remark = f"there is no photo in the class folder {tmp_path / 'dog'}"
    assert read_class_folder(tmp_path).remarks == read_source(tmp_path).remarks == [remark]


def test_classes_one_level_too_deep_give_an_error_that_names_the_right_folder(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            draw(tmp_path / part / name / "a.jpg", 1)
    with pytest.raises(InvalidInput, match=f"train, val, and the classes are nested in them. Give .*{tmp_path}/train"):
        read_class_folder(tmp_path)
    assert read_class_folder(tmp_path / "train").names == ["cat", "dog"]
    draw(tmp_path / "val" / "a.jpg", 1)  # now these are classes
    draw(tmp_path / "train" / "a.jpg", 1)
    assert read_class_folder(tmp_path).names == ["train", "val"]


def test_classes_may_have_subfolders(tmp_path: Path) -> None:
    for name in ("cat/siamese", "dog/beagle/old"):
        (tmp_path / name).mkdir(parents=True)
        draw(tmp_path / name / "a.jpg", 1)
    assert read_class_folder(tmp_path).names == ["cat", "dog"]
