"""A query in a foreign language with Latin letters is noticed, and an English one is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.models.available import MULTILINGUAL, available_models
from searcher.models.languages import _LANGUAGES, LANGUAGE_NAMES, languages_of
from searcher.models.remarks import language_remark
from tests.histogram_model import HistogramModel

# With foreign names, dishes and loanwords, and with English words that are function words elsewhere.
ENGLISH = """
a dog on the beach; red car; sunset; two kids in a garden; birthday cake; cat on sofa; mountains in winter; no parking
a man with a tan; man on the moon; old man in a hut; war memorial; do i look good; bald man; fast car; fast food
café au lait; crème brûlée; crème de la crème; pain au chocolat; croque monsieur; foie gras; coq au vin; hors d'oeuvres
pad thai; phở; bánh mì; chili con carne; arroz con pollo; tacos al pastor; pico de gallo; dulce de leche; jalapeño
spaghetti alla carbonara; espresso con panna; tiramisù; pizza al taglio; pastéis de nata; smörgåsbord; döner kebab
la tour eiffel in paris; Tour de France; Notre Dame de Paris; Arc de Triomphe; Château de Versailles; Île de la Cité
Musée du Louvre; Côte d'Azur; Cirque du Soleil; Champs-Élysées; Jardin des Plantes; Moët & Chandon; L'Oréal
el capitan; El Niño; Playa del Carmen; Plaza de España; Cinco de Mayo; Día de los Muertos; Torres del Paine; Big Sur
Rio de Janeiro beach; São Paulo; Praia da Rocha; Pão de Açúcar; Santa Maria del Fiore; Piazza di Spagna; Lago di Como
Die Hard poster; das keyboard; Das Boot; Haus der Kunst; Unter den Linden; Frankfurt am Main; Über driver; Mein Kampf
Vincent van Gogh; van life; Den Haag; Sint Maarten; Leonardo da Vinci; Mies van der Rohe; Oscar de la Hoya
Łódź; Kraków; Malmö; Tromsø; Ærø; İstanbul; Beşiktaş stadium; piñata at a party; papier-mâché mask; déjà vu
MIT campus dome; comic con cosplay; en route; en suite bathroom; on air; met gala; E.T. on a bike; S.C.U.B.A. diver
na; som tam; Uma Thurman; Che Guevara; Lana Del Rey; uno cards; per capita; over the rainbow; under the bridge
"""

FOREIGN = {
    "de": "ein Hund am Strand; Katze auf dem Sofa; Hund und Katze; unser Urlaub in Italien; Bild von meiner Tochter",
    "fr": "chien sur la plage; une femme avec un chapeau; un bateau sur le lac; l'été dans les Alpes",
    "es": "perro en la playa; un gato en el sofá; niños jugando en el parque; gente bailando en la calle",
    "it": "cane sulla spiaggia; una donna con il cappello; un gatto nel giardino; la casa dei miei genitori",
    "pt": "um cachorro na praia; uma mulher com chapéu; um gato no sofá; minha filha na praia",
    "nl": "een hond op het strand; kat op de bank; mijn dochter aan zee; het huis van mijn ouders",
    "pl": "pies na plaży; góry w śniegu; dzieci bawiące się w parku; zdjęcie ze ślubu",
    "sv": "en hund på stranden; hund och katt; barn som leker i parken är glada; min dotter vid havet",
    "da": "hund på stranden; hund og kat; børn der leger ved søen",
    "no": "hund på stranden; hund og katt; en båt på vannet",
    "tr": "kanepede bir kedi; annem için çiçek",
    "cs": "pes na pláži; žena s kloboukem; západ slunce nad mořem",
    "hu": "egy kutya a tengerparton; a lányom és a fiam",
    "ro": "câine pe plajă; munți cu zăpadă",
    "fi": "auringonlasku meren yllä",
    "id": "wanita dengan topi; gunung yang bersalju",
    "vi": "con chó trên bãi biển; núi và tuyết",
}


@pytest.mark.parametrize("query", [query for line in ENGLISH.strip().splitlines() for query in line.split("; ")])
def test_an_english_query_is_no_other_language(query: str) -> None:
    assert languages_of(query) == ()
    assert languages_of(query.lower()) == ()


@pytest.mark.parametrize(
    ("code", "query"), [(code, query) for code, row in FOREIGN.items() for query in row.split("; ")]
)
def test_a_foreign_query_is_noticed(code: str, query: str) -> None:
    assert code in languages_of(query)
    assert languages_of(query.upper()) == languages_of(query) or "i" in query.lower()  # Turkish has two letters i


def test_languages_that_fit_equally_well_are_all_named() -> None:
    assert languages_of("hund og kat") == ("da", "no")


def test_every_language_has_a_name_and_each_word_one_place() -> None:
    assert set(_LANGUAGES) | {"en"} == set(LANGUAGE_NAMES)
    for signs in _LANGUAGES.values():
        words = f"{signs.sure} {signs.common} {signs.names}".split()
        assert len(words) == len(set(words))
        assert all(word == word.lower() and word.isalpha() for word in words)


def words_of(kind: str) -> set[str]:
    return {word for signs in _LANGUAGES.values() for word in getattr(signs, kind).split()}


ONLY_IN_NAMES = sorted(words_of("names") - words_of("sure") - words_of("common"))


@given(st.text())
def test_any_text_has_known_languages_or_none(text: str) -> None:
    assert set(languages_of(text)) <= set(LANGUAGE_NAMES)


@given(st.lists(st.sampled_from(ONLY_IN_NAMES)))
def test_words_of_names_alone_are_no_language(words: list[str]) -> None:
    assert languages_of(" ".join(words)) == ()


@given(st.lists(st.sampled_from(sorted(words_of("sure")))))
def test_an_english_word_is_enough_for_english(words: list[str]) -> None:
    assert languages_of(" ".join([*words, "the"])) == ()


@pytest.mark.parametrize(
    ("languages", "query", "said"),
    [
        (
            ("en",),
            "ein Hund am Strand",
            "“ein Hund am Strand” seems to be German, but the model histogram knows only English.",
        ),
        (("en",), "hund og kat", "seems to be Danish or Norwegian, but"),
        (("en", "fr"), "ein Hund am Strand", "knows only English and French."),
        (("en",), "кот", "“кот” has letters of another script, but the model histogram knows only English."),
        (("en", "de"), "ein Hund am Strand", None),
        (("en-GB", "de-AT"), "ein Hund am Strand", None),
        (("en", "nb"), "a dog on the beach", None),
        (None, "ein Hund am Strand", None),
        ((), "ein Hund am Strand", None),
    ],
)
def test_the_languages_of_the_model_decide(languages: tuple[str, ...] | None, query: str, said: str | None) -> None:
    model = HistogramModel()
    model.languages = languages
    remark = language_remark(model, query)
    if said is None:
        assert remark is None
    else:
        assert remark is not None
        assert said in remark
        assert remark.endswith(f"For other languages: `searcher models pull {MULTILINGUAL}`")


def test_the_recommended_model_is_the_smallest_multilingual_one_without_torch() -> None:
    """Among those whose size and quality are published."""
    rows = [row for row in available_models() if row["languages"] is None and row["hub"] and row["imagenet"]]
    assert min(rows, key=lambda row: row["millions"])["hub"] == MULTILINGUAL
