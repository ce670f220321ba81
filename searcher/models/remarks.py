"""What a user should know about a text that a model is asked about."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from searcher.errors import shortened

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


def language_remark(model: "DualEncoder", text: str) -> str | None:
    """A line that says that a model does not know the script or the language of a text. None if it seems to know it."""
    if not model.languages:
        return None
    from searcher.models.available import MULTILINGUAL
    from searcher.models.languages import LANGUAGE_NAMES, languages_of

    def named(codes: Sequence[str], conjunction: str) -> str:
        *rest, last = [LANGUAGE_NAMES.get(code, code) for code in codes]
        return f"{', '.join(rest)} {conjunction} {last}" if rest else last

    if not model.known_script(text):
        said = f"“{shortened(text)}” has letters of another script"
    else:
        spoken = languages_of(text)
        if not spoken or {code.split("-")[0].lower() for code in model.languages} & set(spoken):
            return None
        said = f"“{shortened(text)}” seems to be {named(spoken, 'or')}"
    knows = f"the model {model.name} knows only {named(model.languages, 'and')}"
    return f"{said}, but {knows}. For other languages: `searcher models pull {MULTILINGUAL}`"
