"""Notice that a text is in a foreign language with Latin letters, by its function words.

A false alarm about an English query is worse than a foreign one that is missed, and English queries are full of foreign
names and dishes ("Tour de France", "café au lait"). So a word of the table counts by where else it occurs.
"""

import unicodedata
from dataclasses import dataclass

LANGUAGE_NAMES = {
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "sv": "Swedish",
    "tr": "Turkish",
    "vi": "Vietnamese",
}

# A text with one of these words is taken for English. "in", "on", "a" and the like are words of other languages, too.
_ENGLISH = (
    "about above after and are around at because been behind beside between by each every for from front has have he "
    "her his into is it its like my near next not of off our outside she than that the their them there these they "
    "this those through to up were what when where which while who with without you your"
)


@dataclass(frozen=True)
class _Signs:
    """What texts of a language contain, separated by spaces.

    sure: words that English texts do not contain. One is enough. common: words that English texts may contain by
    chance ("MIT", "chili con carne"). Two are enough, or one beside a word of `names` or a word with one of `letters`.
    names: words that names and dishes contain ("Tour de France"). Alone they mean nothing, however many there are.
    """

    sure: str
    common: str
    names: str
    letters: str


_LANGUAGES = {
    "cs": _Signs("nebo před při vedle", "na nad pod přes s se u v ve z za", "", "áčďéěíňóřšťúůýž"),
    "da": _Signs("ikke mellem og på ved", "af efter en er et fra hun i med som uden", "den det", "æøå"),
    "de": _Signs(
        "auf beim dem eine einem einen einer eines für meine meinem meinen meiner neben ohne sich sind und unser "
        "unsere vom zum zur zwei zwischen",
        "aus bei ein hinter ihr im ist mein mit oder vor zu über",
        "am an das den der des die in unter von",
        "äöüß",
    ),
    "es": _Signs(
        "desde hacia hasta también",
        "con en entre es junto mi mis muy para por sobre su sus un una unas unos",
        "al de del el la las los y",
        "áéíñóúü",
    ),
    "fi": _Signs("kanssa minun ovat päällä sekä yllä", "ja on", "", "äö"),
    "fr": _Signs(
        "avec derrière leur leurs nous une",
        "aux chez dans elle en est et mes mon nos ou où par pour qui sa ses sous sur un vers",
        "au d de des du l la le les notre à",
        "àâçèéêëîïôœùû",
    ),
    "hu": _Signs("egy és felett fölött mellett", "alatt az", "", "áéíóöőúüű"),
    "id": _Signs("dengan pada sebuah seekor seorang untuk yang", "dan dari di", "", ""),
    "it": _Signs(
        "dagli dalla negli nella nelle nello sugli sui sul sulla sulle sullo",
        "alle che con dal degli dei dell il mia mio nei nel nell per sono su sull tra un una uno",
        "al alla d da del della delle di e gli i la le lo",
        "àèéìòù",
    ),
    "nl": _Signs(
        "aan bij een het naar naast niet onze tussen uit voor zijn",
        "achter en haar langs met mijn onder ons op",
        "de den der in van",
        "ëï",
    ),
    "no": _Signs("ikke mellom og på ved", "av en er et etter fra hun i med som til uten", "den det", "æøå"),
    "pl": _Signs(
        "dla moich mój nad obok oraz przed przez przy się są",
        "jest lub moi moja moje na pod w z za ze",
        "o",
        "ąćęłńóśźż",
    ),
    "pt": _Signs(
        "minha minhas não",
        "com em entre meu meus na nas nos numa para pela pelo por sobre sua um uma",
        "as da das de do dos e no o os são à",
        "áâãàçéêíóôõú",
    ),
    "ro": _Signs("lângă și unei", "cu din o pe peste prin un în", "de la", "ăâîșțşţ"),
    "sv": _Signs("ett från och på är", "av efter en hon i med min mina mitt som utan vid över", "den det", "äöå"),
    "tr": _Signs("bir için üzerinde", "ile olan ve", "", "çğışöü"),
    "vi": _Signs("dưới một những trên và với", "bên của trong", "con", "ăâđêôơưạảấầẩậắằặẹẻẽếềểệỉịọỏốồổộớờởợụủứừửựỳỷỹ"),
}


def languages_of(text: str) -> tuple[str, ...]:
    """The foreign languages (ISO 639 codes) that a text with Latin letters seems to be in.

    Empty if it seems to be English, or if that cannot be told, as of most texts of one or two words. Several if they
    fit equally well, such as Danish and Norwegian.
    """
    words = set(_words(text))
    if not words or words & set(_ENGLISH.split()):
        return ()
    points = {code: _points(words, signs) for code, signs in _LANGUAGES.items()}
    best = max(points.values())
    return tuple(code for code, count in points.items() if count == best) if best else ()


def _words(text: str) -> list[str]:
    """The words in lower case, without abbreviations and addresses ("U.S.A.", "nos.com").

    An apostrophe separates words ("l'eau"), and so does everything else but a letter.
    """
    whole = unicodedata.normalize("NFKC", text).lower().split()
    plain = " ".join(part for part in whole if "." not in part.strip("."))
    return "".join(char if char.isalpha() else " " for char in plain).split()


def _points(words: set[str], signs: _Signs) -> int:
    """How well words fit a language: 0 if the signs do not suffice, otherwise more for more signs."""
    sure, common, names = (words & set(kind.split()) for kind in (signs.sure, signs.common, signs.names))
    spelled = [word for word in words - sure - common - names if not word.isascii() and set(word) & set(signs.letters)]
    strong = 2 * len(sure) + len(common)
    if strong == 0 or strong + bool(names or spelled) < 2:
        return 0
    return strong + len(names) + len(spelled)
