import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.models import known_script


@pytest.mark.parametrize("text", ["a dog", "Café Zürich", "3 🐕 ❤️!", "", "½ ² ﬁsh", "ａｂｃ", "№ 5 ª"])
def test_an_english_model_can_read_latin_letters_digits_and_emoji(text: str) -> None:
    assert known_script(text, ["en"])


@pytest.mark.parametrize(
    "text", ["кот", "猫", "ねこ", "고양이", "قطة", "חתול", "बिल्ली", "แมว", "γάτα", "a кот", "კატა"]
)
def test_an_english_model_cannot_read_other_scripts(text: str) -> None:
    assert not known_script(text, ["en"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("кот", "ru"),
        ("猫の手", "ja"),
        ("カメラー", "ja"),
        ("猫", "zh-Hant"),
        ("고양이", "ko"),
        ("γάτα", "el"),
        ("बिल्ली", "hi"),
    ],
)
def test_a_model_can_read_the_scripts_of_its_languages(text: str, language: str) -> None:
    assert known_script(text, ["en", language])


@given(st.text())
def test_a_model_with_unknown_languages_can_read_every_text(text: str) -> None:
    assert known_script(text, None)
    assert known_script(text, [])
    known_script(text, ["en", "ja"])  # never raises
