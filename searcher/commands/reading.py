"""The words of a line that a person types at the prompt of `searcher search -i`."""

import re

_WORD = re.compile(
    r"""
    (?P<option>--[\w-]+=)?                                       # --tag="golden retriever"
    (?:
        "(?P<double>(?:\\.|[^\\])*?)"(?=\s|$)                    # a quote ends a word only before a space
        | '(?P<single>(?:'(?:\\'|"'")'|.)*?)'(?=\s|$)            # '\'' is how a shell writes ' in single quotes
        | (?P<plain>(?:\\.|\S)*)
    )
    """,
    re.VERBOSE | re.DOTALL,
)


def words_of(line: str) -> list[str]:
    """The words of a line, as a shell splits them, but no line is an error.

    A quote counts only at the beginning of a word or of an option's value, and ends before a space. Elsewhere it is a
    character, as in "dog's bowl" or "a 5" screen". Nothing else is special: no variables, no patterns.
    """
    words = []
    for match in _WORD.finditer(line):
        if not match[0]:  # between words
            continue
        if match["double"] is not None:
            value = re.sub(r'\\(["\\])', r"\1", match["double"])
        elif match["single"] is not None:
            value = re.sub(r"""'(?:\\'|"'")'""", "'", match["single"])
        else:
            value = re.sub(r"""\\([\s"'\\])""", r"\1", match["plain"])
        words.append((match["option"] or "") + value)
    return words
