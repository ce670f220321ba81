"""Find out which scripts (writing systems) a model can read, from the languages it was trained on."""

import unicodedata
from collections.abc import Sequence

# Languages that do not use the Latin script, or do not only use it. A script is identified by the first word of the
# Unicode names of its letters. A language that is not listed is assumed to use the Latin script.
_SCRIPTS: dict[str, frozenset[str]] = {
    "am": frozenset({"ETHIOPIC"}),
    "ar": frozenset({"ARABIC"}),
    "be": frozenset({"CYRILLIC"}),
    "bg": frozenset({"CYRILLIC"}),
    "bn": frozenset({"BENGALI"}),
    "el": frozenset({"GREEK"}),
    "fa": frozenset({"ARABIC"}),
    "gu": frozenset({"GUJARATI"}),
    "he": frozenset({"HEBREW"}),
    "hi": frozenset({"DEVANAGARI"}),
    "hy": frozenset({"ARMENIAN"}),
    "ja": frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"}),
    "ka": frozenset({"GEORGIAN"}),
    "kk": frozenset({"CYRILLIC"}),
    "km": frozenset({"KHMER"}),
    "kn": frozenset({"KANNADA"}),
    "ko": frozenset({"HANGUL", "CJK"}),
    "lo": frozenset({"LAO"}),
    "mk": frozenset({"CYRILLIC"}),
    "ml": frozenset({"MALAYALAM"}),
    "mn": frozenset({"CYRILLIC", "MONGOLIAN"}),
    "mr": frozenset({"DEVANAGARI"}),
    "my": frozenset({"MYANMAR"}),
    "ne": frozenset({"DEVANAGARI"}),
    "pa": frozenset({"GURMUKHI"}),
    "ru": frozenset({"CYRILLIC"}),
    "si": frozenset({"SINHALA"}),
    "sr": frozenset({"CYRILLIC"}),
    "ta": frozenset({"TAMIL"}),
    "te": frozenset({"TELUGU"}),
    "th": frozenset({"THAI"}),
    "uk": frozenset({"CYRILLIC"}),
    "ur": frozenset({"ARABIC"}),
    "zh": frozenset({"CJK"}),
}
# Latin letters occur in every language, in names and brands. The other entries do not belong to a particular script.
_ALWAYS = frozenset({"LATIN", "MODIFIER", "FEMININE", "MASCULINE"})


def known_script(text: str, languages: Sequence[str] | None) -> bool:
    """Whether every letter of `text` belongs to a script of `languages` (ISO 639 codes).

    True if `languages` is None or empty, because they are unknown then. Digits, punctuation and emoji do not
    count as letters. For example, an English model can read "café" and "3 🐕" but not "кот".
    """
    if not languages:
        return True
    allowed = _ALWAYS.union(*(_SCRIPTS.get(code.split("-")[0].lower(), frozenset()) for code in languages))
    for char in unicodedata.normalize("NFKC", text):
        if unicodedata.category(char)[0] != "L":
            continue
        if unicodedata.name(char, "").split(" ")[0] not in allowed:
            return False
    return True
