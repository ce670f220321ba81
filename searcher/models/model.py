"""`Model`: a pair of image and text encoders that share one embedding space, with preprocessing and tokenizer."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from searcher.models.folder import (
    PREPROCESS,
    TOKENIZER,
    TOKENIZER_SETTINGS,
    ModelError,
    ModelFolder,
    read_json,
    slug,
)
from searcher.models.scripts import known_script
from searcher.models.store import find_model

if TYPE_CHECKING:
    from PIL import Image

    from searcher.models.preprocess import Preprocess
    from searcher.models.session import Encoder
    from searcher.models.tokenizer import TextTokenizer

BATCH_SIZE = 32
CPU = ("CPUExecutionProvider",)
INT8_ARITHMETIC = {
    ("int8", "visual"),
    ("int8", "textual"),
    ("compact", "textual"),
}  # only the CPU has kernels for these
# Published logit scale and bias of each family, used if the model's files do not give them. CLIP clamps its scale
# at 100. SigLIP's values are those of ViT-B-16.
FAMILY_SCALE = {"clip": (100.0, 0.0), "siglip": (117.33, -12.93)}


class Model:
    """The image and text encoders of one model folder.

    Each encoder is opened when it is first used, so a search loads only the text encoder.

    Attributes: `name`, `version`, `dim`, `image_size` (shorter side, in pixels), `precision` ("float32",
    "int8", …), `digest` (hex digest of the float32 encoders, preprocessing and tokenizer), `slug` (the name
    in a form that is safe in file names), `logit_scale` (factor on the cosine similarity, None if it is
    unknown), `logit_bias`, `languages` (ISO 639 codes, None if they are unknown), `folder` and `info` (the
    content of searcher.json).
    """

    def __init__(self, folder: ModelFolder, *, precision: str | None = None, threads: int = 0) -> None:
        if precision is not None:
            folder.encoders(precision)  # raises ModelError if the model does not have it
        self._asked_precision = precision
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()
        self._encoders: dict[str, Encoder] = {}
        self.folder: Path = folder.path
        self.info: Mapping[str, Any] = folder.manifest
        self.name = folder.name
        self.slug = slug(self.name)
        self.version: str | None = None if self.info.get("version") is None else str(self.info["version"])
        self.dim = folder.dim
        self.logit_scale: float | None = self.info.get("logit_scale")
        self.logit_bias: float | None = self.info.get("logit_bias")
        languages = self.info.get("languages")
        self.languages: tuple[str, ...] | None = tuple(languages) if languages else None

    @classmethod
    def open(cls, name_or_path: str | Path = "builtin", *, precision: str | None = None, threads: int = 0) -> "Model":
        """Open a model. `name_or_path` is a name in the store, "builtin", or the path of a model folder.

        `threads` is the number of ONNX Runtime threads (0: one per physical core). Raises ModelError (one
        line) if the model does not exist or is broken.
        """
        return cls(ModelFolder.read(find_model(name_or_path)), precision=precision, threads=threads)

    @cached_property
    def precision(self) -> str:
        """The precision in use.

        GPUs have no kernels for dynamic int8. If a GPU is available and no precision was asked for, float32
        is used instead of int8.
        """
        default = self._asked_precision or self._folder.precision
        if self._asked_precision is None and default == "int8" and "float32" in self._folder.precisions:
            from searcher.models.session import available_providers

            if "CUDAExecutionProvider" in available_providers():
                return "float32"
        return default

    @property
    def close_to_float32(self) -> bool:
        """Whether its embeddings may be mixed with float32 embeddings in one index, judged by the measured drift."""
        return self._is_close(self.precision)

    def mixes_with(self, precision: str) -> bool:
        """Whether its embeddings may be mixed with those of `precision`, another precision of the same model."""
        return precision == self.precision or (self.close_to_float32 and self._is_close(precision))

    def _is_close(self, precision: str) -> bool:
        if precision == "float32":
            return True
        from searcher.models.drift import acceptable

        drift = (self.info.get("drift") or {}).get(precision)
        return drift is not None and acceptable(drift)

    def in_precision(self, precision: str) -> "Model":
        """Open the same model in another precision. Raises ModelError if it does not have that precision."""
        return Model(self._folder, precision=precision, threads=self._threads)

    @property
    def digest(self) -> str:
        return self._folder.digest

    @cached_property
    def preprocessing(self) -> "Preprocess":
        from searcher.models.preprocess import Preprocess

        try:
            return Preprocess.from_config(self._folder.preprocess_config)
        except (ValueError, TypeError) as error:
            raise ModelError(f"model {self.folder}: {PREPROCESS}: {error}") from error

    @property
    def image_size(self) -> int:
        return min(self.preprocessing.size)

    @cached_property
    def tokenizer(self) -> "TextTokenizer":
        from searcher.models.tokenizer import TextTokenizer

        settings = {}
        if (self.folder / TOKENIZER_SETTINGS).is_file():
            settings = read_json(self.folder, TOKENIZER_SETTINGS)
        try:
            return TextTokenizer.load(self.folder / TOKENIZER, self._folder.config["text_cfg"], settings)
        except Exception as error:  # `tokenizers` raises bare Exception
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"model {self.folder}: {TOKENIZER} cannot be used ({reason})") from error

    @property
    def family(self) -> str:
        """ "siglip" for models trained with a sigmoid loss (they have a logit bias or that name), otherwise "clip"."""
        sigmoid = self.logit_bias is not None or self._folder.config.get("init_logit_bias") is not None
        return "siglip" if sigmoid or "siglip" in self.name.lower() else "clip"

    @property
    def scale_and_bias(self) -> tuple[float, float]:
        """The logit scale and bias for computing probabilities.

        These are the model's own values. If they are unknown, they are the published values of its family.
        """
        scale, bias = FAMILY_SCALE[self.family]
        if self.logit_scale is None:
            return scale, bias
        return self.logit_scale, self.logit_bias or 0.0

    def known_script(self, text: str) -> bool:
        """Whether the model's languages use the letters of `text`. True if the languages are unknown."""
        return known_script(text, self.languages)

    def preprocess(self, image: "Image.Image") -> np.ndarray:
        """Convert an upright RGB image to float32 (3, H, W) for `encode_pixels`. Thread-safe."""
        return self.preprocessing(image)

    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        """Embed preprocessed images: float32 (b, 3, H, W) → float32 (b, dim) of unit length.

        Raises ModelError if the encoder cannot be loaded or run.
        """
        if len(batch) == 0:
            return np.zeros((0, self.dim), dtype=np.float32)
        encoder = self._encoder("visual")
        step = encoder.pace.step if encoder.provider in CPU else len(batch)
        begun = time.perf_counter()
        parts = [encoder.run(batch[start : start + step]) for start in range(0, len(batch), step)]
        encoder.pace.note(step, len(batch), time.perf_counter() - begun)
        return self._checked(np.concatenate(parts))

    def encode_images(self, images: Sequence[Union["Image.Image", str, Path]]) -> np.ndarray:
        """Embed PIL images or image files. Returns float32 (n, dim) of unit length.

        A file is decoded as `index` decodes it. For a PIL image, the EXIF orientation is applied if it has
        one, and its colours are assumed to be sRGB. Raises PhotoError if a file is not a readable image.
        """
        parts = [np.zeros((0, self.dim), dtype=np.float32)]
        for start in range(0, len(images), BATCH_SIZE):
            pixels = [self.preprocess(self._picture(image)) for image in images[start : start + BATCH_SIZE]]
            parts.append(self.encode_pixels(np.stack(pixels)))
        return np.concatenate(parts)

    def _picture(self, image: Union["Image.Image", str, Path]) -> "Image.Image":
        from searcher.photos.decode import open_photo, upright_rgb

        if isinstance(image, str | Path):
            return open_photo(image, min_side=self.image_size).image
        return upright_rgb(image)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts. Returns float32 (n, dim) of unit length.

        A text that is longer than the model's context is truncated. Raises ModelError if the encoder or the
        tokenizer cannot be used.
        """
        if texts and "textual" not in self._encoders:
            # ONNX Runtime releases the GIL while it opens a session, so the tokenizer is read at the same time.
            opening = threading.Thread(target=self._try_encoder, args=("textual",))
            opening.start()
            try:
                _ = self.tokenizer
            finally:
                opening.join()
        parts = [np.zeros((0, self.dim), dtype=np.float32)]
        for start in range(0, len(texts), BATCH_SIZE):
            ids = self.tokenizer(texts[start : start + BATCH_SIZE])
            encoder = self._encoder("textual")
            # some multilingual text encoders also take the attention mask
            arrays = (ids,) if encoder.inputs == 1 else (ids, self.tokenizer.mask(ids))
            parts.append(self._checked(encoder.run(*arrays)))
        return np.concatenate(parts)

    def _encoder(self, side: str) -> "Encoder":
        with self._lock:
            if side not in self._encoders:
                from searcher.models.session import Encoder

                path = self.folder / self._folder.encoders(self.precision)[side]
                providers = CPU if self.precision == "int8" else None  # other providers have no int8 kernels
                opened = Encoder(path, threads=self._threads, providers=providers)
                kind, axes = ("an image", 4) if side == "visual" else ("a text", 2)
                if len(opened.input_shape) != axes:
                    raise ModelError(f"{opened.path} is not {kind} encoder: its input does not have {axes} axes")
                self._encoders[side] = opened
            return self._encoders[side]

    def _try_encoder(self, side: str) -> None:
        with suppress(ModelError):  # it is raised again when the encoder is used
            self._encoder(side)

    def _checked(self, vectors: np.ndarray) -> np.ndarray:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            shape = "x".join(str(side) for side in vectors.shape[1:])
            raise ModelError(f"model {self.folder}: an encoder returns {shape} numbers but config.json says {self.dim}")
        return vectors
