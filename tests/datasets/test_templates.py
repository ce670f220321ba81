"""Prompt templates by name, as text and from a file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.datasets.templates import BARE, ENSEMBLE, TEMPLATES, fill, read_templates
from searcher.errors import SearcherError


def test_templates_are_read_by_name_as_text_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("# mine\n\na photo of my {}.\n  {}, seen from above \na photo of my {}.\n")
    assert read_templates("bare") == BARE == ("{}",)
    assert read_templates("ensemble") == ENSEMBLE
    assert read_templates("a drawing of a {}") == ("a drawing of a {}",)
    assert read_templates(str(tmp_path / "t")) == ("a photo of my {}.", "{}, seen from above")


def test_every_template_has_one_placeholder() -> None:
    assert all(template.count("{}") == 1 for template in (*ENSEMBLE, *TEMPLATES, *BARE))


@given(st.text())
def test_any_name_is_inserted_unchanged(name: str) -> None:
    assert fill("a {} {0} {x}", name) == "a " + name + " {0} {x}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no templates in"),
        (b"# nothing\n", "no templates in"),
        (b"a photo of a {}\na photo\n", "the template 'a photo' must contain {}"),
        (b"caf\xe9 {}", "not UTF-8 text"),
    ],
)
def test_an_unusable_template_file_is_an_error(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(SearcherError) as caught:
        read_templates(str(tmp_path / "t.txt"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_error_for_an_unknown_name_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match=r"unknown templates 'bear'; use ensemble, bare, a template with \{\},"):
        read_templates("bear")
    with pytest.raises(SearcherError, match="cannot read templates"):
        read_templates(str(tmp_path))


def test_a_template_file_is_read_as_a_label_file_is(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes("# mine\r\na photo of a {}\r\n\r\na {}\u2028or two\r\n".encode("utf-16"))
    assert read_templates(str(tmp_path / "t.txt")) == ("a photo of a {}", "a {}\u2028or two")


def test_an_unknown_user_after_a_tilde_is_not_a_bug(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match="unknown templates"):
        read_templates("~nobody-here/t.txt")
