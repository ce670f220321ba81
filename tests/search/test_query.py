"""Query and Term: what can be asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.errors import InvalidInput
from searcher.filters import Filter
from searcher.search.query import Query, Term


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2:golden retriever", (2.0, "golden retriever")),
        ("0.5: dusk", (0.5, "dusk")),
        ("16:9 screen", (1.0, "16:9 screen")),
        ("a 2:dog", (1.0, "a 2:dog")),
        (":dog", (1.0, ":dog")),
        ("-1:dog", (1.0, "-1:dog")),
        ("1e9:dog", (1.0, "1e9:dog")),
        ("2:", (2.0, "")),
        ("007:bond", (7.0, "bond")),
    ],
)
def test_a_weight_is_a_number_at_the_start_of_a_term_that_no_digit_follows(text: str, expected: object) -> None:
    assert Term.weighted(text) == expected


@given(st.text(max_size=30))
def test_any_text_has_a_weight(text: str) -> None:
    weight, rest = Term.weighted(text)
    assert weight >= 0
    assert rest in text


@pytest.mark.parametrize("weight", [0.0, 1001.0, -1001.0, float("nan"), float("inf")])
def test_a_weight_without_meaning_is_an_error(weight: float) -> None:
    with pytest.raises(InvalidInput):
        Term("dog", weight=weight)


def test_a_query_needs_something_to_ask_for() -> None:
    for wrong in (Query, lambda: Query(text=" "), Term, lambda: Term("a", like=3), lambda: Term.parse("2: ")):
        with pytest.raises(InvalidInput):
            wrong()


def test_the_least_relevance_needs_a_positive_text() -> None:
    Query(also=(Term("dog"), Term(like=3)), least=0.5)
    for terms in ((Term(like=3),), (Term("dog", weight=-1.0),)):
        with pytest.raises(InvalidInput, match="description"):
            Query(also=terms, least=0.5)


def test_diverse_hits_need_a_term() -> None:
    Query(like=3, diverse=True)
    with pytest.raises(InvalidInput, match="description or an image"):
        Query(filter=Filter(tags=("dog",)), diverse=True)
