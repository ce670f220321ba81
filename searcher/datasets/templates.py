"""Prompt templates: the sentences that a class name is put into, at `{}`."""

from pathlib import Path

from searcher.errors import SearcherError

PLACE = "{}"
BARE = (PLACE,)
"""The name alone."""

ENSEMBLE = (
    "a photo of a {}.",
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""What a name is asked with unless said: the CLIP paper's standard prompt, and the seven that its authors found to
be best together on ImageNet (github.com/openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb)."""

TEMPLATES = (
    "a photo of a {}.",
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a photo of the large {}.",
    "a photo of the small {}.",
    "a close-up photo of a {}.",
    "a bright photo of a {}.",
    "a dark photo of a {}.",
    "a cropped photo of a {}.",
    "a good photo of a {}.",
    "a black and white photo of a {}.",
    "a {} in a scene.",
)
"""A dozen of those that the CLIP paper used for ImageNet (Radford et al. 2021, section 3.1.4): captions for training
on class folders."""

NAMED = {"ensemble": ENSEMBLE, "bare": BARE}


def fill(template: str, name: str) -> str:
    """`template` with `name` at each `{}`; other braces, in either of the two, stay as they are."""
    return template.replace(PLACE, name)


def read_templates(spec: str) -> tuple[str, ...]:
    """Templates by what a user gives: "ensemble", "bare", one template with `{}`, or a file with one a line.

    In a file, blank lines and lines that begin with `#` are passed over. Raises SearcherError in one line.
    """
    if spec in NAMED:
        return NAMED[spec]
    if PLACE in spec:
        return (spec,)
    try:
        lines = Path(spec).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        known = ", ".join(NAMED)
        raise SearcherError(f"no templates {spec!r}: name a file, one of {known}, or a template with {{}}") from None
    except (OSError, ValueError) as error:
        raise SearcherError(f"cannot read templates from {spec}: {_reason(error)}") from error
    templates = dict.fromkeys(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return checked(templates, spec)


def checked(templates: "dict[str, None] | list[str]", source: str) -> tuple[str, ...]:
    """The templates, if there are any and each has its `{}`; else SearcherError, naming where they come from."""
    if not templates:
        raise SearcherError(f"no templates in {source}")
    for template in templates:
        if PLACE not in template:
            raise SearcherError(f"{source}: the template {template!r} has no {{}} where the name belongs")
    return tuple(templates)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "not UTF-8 text"
