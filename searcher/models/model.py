"""`Model`: an aligned pair of encoders, image and text, with everything that turns photos and words into
vectors.
"""

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
}  # kernels for the CPU alone
# Published values of a family whose files do not tell theirs: CLIP clamps at 100; SigLIP's are those of
# ViT-B-16.
FAMILY_SCALE = {"clip": (100.0, 0.0), "siglip": (117.33, -12.93)}


class Model:
    """Image and text encoders of one model folder. Each is opened when it is first used: a search loads only
    one.

    Attributes: `name`, `version`, `dim`, `image_size` (shorter side, pixels), `precision` ("float32",
    "int8", …), `digest` (hex; of float32 encoders, preprocessing and tokenizer), `slug` (name for file
    names), `logit_scale` (factor on the cosine; None: unknown), `logit_bias`, `languages` (ISO 639; None:
    unknown), `folder`, `info` (searcher.json).
    """

    def __init__(self, folder: ModelFolder, *, precision: str | None = None, threads: int = 0) -> None:
        if precision is not None:
            folder.encoders(precision)  # raises if there is none
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
        """Open a model by its name in the store, "builtin", or the path of a model folder.

        `threads` for the network, 0: one a physical core. Raises ModelError (one line) if it is not there or
        broken.
        """
        return cls(ModelFolder.read(find_model(name_or_path)), precision=precision, threads=threads)

    @cached_property
    def precision(self) -> str:
        """The precision in use. A graphics card has no kernels for dynamic int8: it gets float32."""
        default = self._asked_precision or self._folder.precision
        if self._asked_precision is None and default == "int8" and "float32" in self._folder.precisions:
            from searcher.models.session import available_providers

            if "CUDAExecutionProvider" in available_providers():
                return "float32"
        return default

    @property
    def close_to_float32(self) -> bool:
        """Whether its vectors may stand beside float32's in one index, by the drift that was measured."""
        return self._is_close(self.precision)

    def mixes_with(self, precision: str) -> bool:
        """Whether its vectors may stand beside those of another of its precisions."""
        return precision == self.precision or (self.close_to_float32 and self._is_close(precision))

    def _is_close(self, precision: str) -> bool:
        if precision == "float32":
            return True
        from searcher.models.drift import acceptable

        drift = (self.info.get("drift") or {}).get(precision)
        return drift is not None and acceptable(drift)

    def in_precision(self, precision: str) -> "Model":
        """The same model in another precision. Raises ModelError where it has none such."""
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
        """ "siglip" for models trained with a sigmoid loss (a logit bias, or so named), else "clip"."""
        sigmoid = self.logit_bias is not None or self._folder.config.get("init_logit_bias") is not None
        return "siglip" if sigmoid or "siglip" in self.name.lower() else "clip"

    @property
    def scale_and_bias(self) -> tuple[float, float]:
        """Logit scale and bias to compute probabilities with: the model's own, else its family's published
        ones.
        """
        scale, bias = FAMILY_SCALE[self.family]
        if self.logit_scale is None:
            return scale, bias
        return self.logit_scale, self.logit_bias or 0.0

    def known_script(self, text: str) -> bool:
        """Whether the model's languages are written in the letters of `text` (True where they are
        unknown).
        """
        return known_script(text, self.languages)

    def preprocess(self, image: "Image.Image") -> np.ndarray:
        """An upright RGB picture → float32 (3, H, W), for `encode_pixels`. Safe to call in threads."""
        return self.preprocessing(image)

    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        """Preprocessed float32 (b, 3, H, W) → float32 (b, dim), unit length."""
        if len(batch) == 0:
            return np.zeros((0, self.dim), dtype=np.float32)
        encoder = self._encoder("visual")
        step = encoder.pace.step if encoder.provider in CPU else len(batch)
        begun = time.perf_counter()
        parts = [encoder.run(batch[start : start + step]) for start in range(0, len(batch), step)]
        encoder.pace.note(step, len(batch), time.perf_counter() - begun)
        return self._checked(np.concatenate(parts))

    def encode_images(self, images: Sequence[Union["Image.Image", str, Path]]) -> np.ndarray:
        """PIL images or paths → float32 (n, dim), unit length. Raises PhotoError for a file that is none.

        An EXIF orientation that an image still carries is honoured, its colours are taken for sRGB. A file is decoded
        as `index` decodes it.
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
        """Texts → float32 (n, dim), unit length; what is longer than the model's context is cut."""
        if texts and "textual" not in self._encoders:
            # ONNX Runtime opens a session without Python's lock: the tokenizer is read meanwhile
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
            # multilingual text encoders may want the attention mask beside the ids
            arrays = (ids,) if encoder.inputs == 1 else (ids, self.tokenizer.mask(ids))
            parts.append(self._checked(encoder.run(*arrays)))
        return np.concatenate(parts)

    def _encoder(self, side: str) -> "Encoder":
        with self._lock:
            if side not in self._encoders:
                from searcher.models.session import Encoder

                path = self.folder / self._folder.encoders(self.precision)[side]
                providers = CPU if self.precision == "int8" else None  # others have no kernels for it
                opened = Encoder(path, threads=self._threads, providers=providers)
                kind, axes = ("image", 4) if side == "visual" else ("text", 2)
                if len(opened.input_shape) != axes:
                    raise ModelError(f"{opened.path} is no {kind} encoder: its input has not {axes} axes")
                self._encoders[side] = opened
            return self._encoders[side]

    def _try_encoder(self, side: str) -> None:
        with suppress(ModelError):  # raised again where it is used
            self._encoder(side)

    def _checked(self, vectors: np.ndarray) -> np.ndarray:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            shape = "x".join(str(side) for side in vectors.shape[1:])
            raise ModelError(f"model {self.folder}: an encoder returns {shape} numbers, config.json says {self.dim}")
        return vectors
