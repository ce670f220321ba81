"""Prompt templates: named, typed or from a file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.datasets.templates import BARE, ENSEMBLE, TEMPLATES, fill, read_templates
from searcher.errors import SearcherError


def test_templates_by_name_by_text_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("# mine\n\na photo of my {}.\n  {}, seen from above \na photo of my {}.\n")
    assert read_templates("bare") == BARE == ("{}",)
    assert read_templates("ensemble") == ENSEMBLE
    assert read_templates("a drawing of a {}") == ("a drawing of a {}",)
    assert read_templates(str(tmp_path / "t")) == ("a photo of my {}.", "{}, seen from above")


def test_every_template_has_one_place_for_the_name() -> None:
    assert all(template.count("{}") == 1 for template in (*ENSEMBLE, *TEMPLATES, *BARE))


@given(st.text())
def test_any_name_is_put_in_as_it_is(name: str) -> None:
    assert fill("a {} {0} {x}", name) == "a " + name + " {0} {x}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no templates in"),
        (b"# nothing\n", "no templates in"),
        (b"a photo of a {}\na photo\n", "the template 'a photo' has no {}"),
        (b"\xff\xfe", "not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(SearcherError) as caught:
        read_templates(str(tmp_path / "t.txt"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistyped_name_is_told_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match="no templates 'bear': name a file, one of ensemble, bare, or a template"):
        read_templates("bear")
    with pytest.raises(SearcherError, match="cannot read templates"):
        read_templates(str(tmp_path))
