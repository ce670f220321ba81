"""Kinds of things: how they are found in a text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.datasets.kinds import FILE, Kind, find_kind


@pytest.mark.parametrize("text", ["bird", "a bird", "The  Birds", "birds.", "some birds", "my bird"])
def test_a_kind_is_found_with_an_article_and_in_the_plural(text: str) -> None:
    kind = find_kind(text)
    assert kind is not None
    assert kind == find_kind("bird")
    assert kind.breadth > 500
    assert 1 < len(kind.narrower) <= 15


@pytest.mark.parametrize(("plural", "singular"), [("wolves", "wolf"), ("berries", "berry"), ("dishes", "dish")])
def test_irregular_plurals_are_known(plural: str, singular: str) -> None:
    assert find_kind(plural) == find_kind(singular) != None  # noqa: E711


@pytest.mark.parametrize("text", ["", "a", "qzxv", "two dogs running in the snow", "dog\tcat", "\n", "bird\n"])
def test_other_texts_name_no_kind_or_a_trimmed_one(text: str) -> None:
    assert find_kind(text) in (None, find_kind("bird"))


@given(st.text(max_size=20))
def test_any_text_can_be_asked_for(text: str) -> None:
    assert find_kind(text) is None or isinstance(find_kind(text), Kind)


def test_the_file_is_well_formed() -> None:
    names = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, breadth, *narrower = line.split("\t")
        assert re.fullmatch(r"[a-z][a-z' -]{2,}", name)
        assert int(breadth) > 1
        assert len(narrower) <= 15
        assert all(each.strip() for each in narrower)
        names.append(name)
    assert len(names) == len(set(names)) > 10_000
    assert names == sorted(names)
