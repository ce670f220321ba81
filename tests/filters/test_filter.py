"""Filter: what it accepts, and which places its boxes hold."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from searcher.errors import InvalidInput
from searcher.filters import Filter, Near
from searcher.filters.moments import beginning
from searcher.filters.near import km_between

latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


@given(latitudes, longitudes, st.floats(0.001, 21_000), latitudes, longitudes)
@example(-17.0, 179.99, 10, -17.0, -179.99)
@example(89.99, 0.0, 10, 89.99, 180.0)
@example(-89.0, 10.0, 300, -89.0, -120.0)
def test_the_boxes_hold_every_point_that_is_near_enough(
    latitude: float, longitude: float, km: float, north: float, east: float
) -> None:
    if km_between(latitude, longitude, north, east) <= km:
        boxes = Near(latitude, longitude, km).boxes()
        assert any(box[0] <= north <= box[1] and box[2] <= east <= box[3] for box in boxes)


def test_distances_are_those_of_the_earth() -> None:
    assert km_between(48.8566, 2.3522, 51.5074, -0.1278) == pytest.approx(343.6, abs=0.5)  # Paris and London
    assert km_between(0, 179.5, 0, -179.5) == pytest.approx(111.2, abs=0.1)
    assert km_between(0, 0, 0, 180) == pytest.approx(20_015, abs=1)


def test_a_date_means_its_beginning() -> None:
    assert beginning("2021") == "2021-01-01T00:00:00"
    assert beginning("2021-06") == "2021-06-01T00:00:00"
    assert beginning(" 2024-02-29 ") == "2024-02-29T00:00:00"
    assert beginning("2021-06-30 18:05") == beginning("2021-06-30T18:05:00") == "2021-06-30T18:05:00"


@pytest.mark.parametrize(
    "text", ["", "21", "2021-13", "2023-02-29", "2021-6-1", "yesterday", "0000", "2021-06-30T25:00"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a date: write a year"):
        Filter(after=text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"after": "2021", "before": "2021-01-01"}, "both after the beginning of 2021 and before"),
        ({"camera": " "}, "camera is empty"),
        ({"camera": "\udcff"}, "no text"),
        ({"folders": ("",)}, "folder is empty"),
        ({"folders": ("/a\0b",)}, "NUL"),
        ({"name": ""}, "file name is empty"),
        ({"name": "trips/*"}, "has a slash"),
        ({"rating": 6}, "1 to 5 stars"),
        ({"min_pixels": 0}, "at least 1"),
        ({"orientation": "wide"}, "landscape, portrait, square"),
        ({"formats": ("psd",)}, "unknown format 'psd'"),
        ({"sources": ("users",)}, "'users'; the sources are"),
        ({"tags": "dog"}, "put 'dog' into a tuple"),
    ],
)
def test_a_value_that_no_photo_can_have_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Filter(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [(91, 0, 1), (0, 181, 1), (0, 0, 0), (0, 0, float("inf")), (float("nan"), 0, 1)])
def test_a_place_that_is_not_on_the_earth_is_refused(place: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidInput):
        Near(*place)


def test_equal_filters_are_one_key_and_an_empty_one_is_false() -> None:
    assert len({Filter(formats=("jpg",), near=Near(1, 2)), Filter(formats=("JPEG",), near=Near(1, 2, 25.0))}) == 1
    assert hash(Filter(tags=["dog"])) == hash(Filter(tags=("dog",)))  # type: ignore[arg-type]
    assert not Filter()
    assert Filter(rating=1)
