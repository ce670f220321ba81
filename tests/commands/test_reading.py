"""How a line at the prompt becomes words."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.commands.reading import words_of


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a dog", ["a", "dog"]),
        ("  a dog\t--and snow \n", ["a", "dog", "--and", "snow"]),
        ("dog's bowl", ["dog's", "bowl"]),
        ("the dogs' bowl and the cat's", ["the", "dogs'", "bowl", "and", "the", "cat's"]),
        ("'tis the season", ["'tis", "the", "season"]),
        ('a 5" screen', ["a", '5"', "screen"]),
        ('"a red car" --not "two people"', ["a red car", "--not", "two people"]),
        ("'the dog's bowl' --top 3", ["the dog's bowl", "--top", "3"]),
        ("--tag=\"golden retriever\" --name='a b*' --tag=", ["--tag=golden retriever", "--name=a b*", "--tag="]),
        (r'--in /my\ photos "say \"hi\" \\ there"', ["--in", "/my photos", r'say "hi" \ there']),
        (r"--like C:\photos\dog.jpg", ["--like", r"C:\photos\dog.jpg"]),
        (r"--like '/home/it'\''s a dog.jpg'", ["--like", "/home/it's a dog.jpg"]),
        ('"" "', ["", '"']),
        ("", []),
    ],
)
def test_quotes_count_at_the_beginning_of_a_word_only(line: str, words: list[str]) -> None:
    assert words_of(line) == words


@given(st.text())
def test_no_line_is_an_error_and_no_character_gets_lost_without_quotes_and_backslashes(line: str) -> None:
    words = words_of(line)
    if not any(character in line for character in "\"'\\"):
        assert words == line.split()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\")), max_size=4))
def test_what_python_quotes_for_a_shell_is_read_as_it_was(words: list[str]) -> None:
    assert words_of(shlex.join(words)) == words
