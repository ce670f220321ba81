"""Texts of the catalog, as JSON can hold them."""


def shown(text: str) -> str:
    """A path or a name. Bytes of it that are not UTF-8 become U+FFFD: JSON that browsers read cannot hold them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
