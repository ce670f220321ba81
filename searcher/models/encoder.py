"""DualEncoder: what the rest of the program asks of a model. `Model` is one. Tests and training have others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


class DualEncoder(Protocol):
    """An aligned pair of encoders, image and text. Safe to share by threads."""

    @property
    def name(self) -> str:
        """The name of the model, for people."""
        ...

    @property
    def version(self) -> str | None:
        """The version of the model, None if it has none."""
        ...

    @property
    def slug(self) -> str:
        """The name in a form that is safe in file names."""
        ...

    @property
    def digest(self) -> str:
        """Hex digest that identifies the vectors. Models with the same digest make the same vectors."""
        ...

    @property
    def dim(self) -> int:
        """The length of an embedding."""
        ...

    @property
    def image_size(self) -> int:
        """The shorter side, in pixels, of what the image encoder takes."""
        ...

    @property
    def precision(self) -> str:
        """The precision in use: "float32", "int8", …"""
        ...

    @property
    def folder(self) -> Path:
        """The model folder."""
        ...

    @property
    def info(self) -> Mapping[str, Any]:
        """The content of searcher.json, such as the calibration of `relevance`. A key may be missing or None."""
        ...

    @property
    def languages(self) -> tuple[str, ...] | None:
        """ISO 639 codes of the languages that it knows, None if they are unknown."""
        ...

    @property
    def scale_and_bias(self) -> tuple[float, float]:
        """Logit scale and bias to compute probabilities with."""
        ...

    def mixes_with(self, precision: str) -> bool:
        """Whether its vectors may be compared with those of another of its precisions."""
        ...

    def in_precision(self, precision: str) -> Self:
        """The same model in another precision. Raises SearcherError if it does not have that one."""
        ...

    def known_script(self, text: str) -> bool:
        """Whether the languages of the model are written in the letters of `text`. True if they are unknown."""
        ...

    def cuts(self, text: str) -> bool:
        """Whether `encode_texts` reads only the beginning of `text`, because it is longer than the context."""
        ...

    def preprocess(self, image: "Image.Image") -> "np.ndarray":
        """An upright RGB image → float32 (3, H, W), for `encode_pixels`."""
        ...

    def encode_pixels(self, batch: "np.ndarray") -> "np.ndarray":
        """Preprocessed float32 (b, 3, H, W) → float32 (b, dim), unit length.

        All numbers are finite: a model that returns others raises ModelError, here and in the methods below.
        """
        ...

    def encode_images(self, images: "Sequence[Image.Image | str | Path]") -> "np.ndarray":
        """PIL images or paths → float32 (n, dim), unit length. Raises PhotoError for a file that is not a photo."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        """Texts → float32 (n, dim), unit length. Text beyond the model's context is cut."""
        ...
