"""Prompt templates: sentences with `{}` in place of a class name."""

import os
from pathlib import Path

from searcher.datasets.text import read_list
from searcher.errors import InvalidInput

PLACE = "{}"
BARE = (PLACE,)
"""The name without a sentence."""

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
"""The default templates: the standard prompt of the CLIP paper, and the seven templates that its authors found to work
best together on ImageNet (github.com/openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb)."""

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
"""Captions for training on class folders: twelve of the templates that the CLIP paper used for ImageNet (Radford et
al. 2021, section 3.1.4)."""

NAMED = {"ensemble": ENSEMBLE, "bare": BARE}


def fill(template: str, name: str) -> str:
    """Replace each `{}` in `template` with `name`. Other braces in `template` and `name` are left unchanged."""
    return template.replace(PLACE, name)


def read_templates(spec: str) -> tuple[str, ...]:
    """Read templates from a user's argument: "ensemble", "bare", one template with `{}`, or the path of a file.

    A file has one template per line. Blank lines and lines that begin with `#` are ignored.

    Raises InvalidInput if the file cannot be read, has no templates, or has a template without `{}`.
    """
    if spec in NAMED:
        return NAMED[spec]
    if PLACE in spec:
        return (spec,)
    path = os.path.expanduser(spec)
    if not os.path.exists(path):  # noqa: PTH110 (Path.exists raises if the name is too long)
        known = ", ".join(NAMED)
        raise InvalidInput(f"unknown templates {spec!r}; use {known}, a template with {{}}, or a file")
    templates = tuple(dict.fromkeys(read_list(Path(path), "templates")))
    if not templates:
        raise InvalidInput(f"no templates in {spec}")
    for template in templates:
        if PLACE not in template:
            raise InvalidInput(f"{spec}: the template {template!r} must contain {{}} for the name")
    return templates
