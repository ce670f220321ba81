"""`Model`: a pair of image and text encoders that share one embedding space, with preprocessing and tokenizer."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Union

import numpy as np

from searcher.models.folder import ModelFolder, slug
from searcher.models.layout import COMPACT, SIDES, TOKENIZER, UNPADDED, ModelError
from searcher.models.scripts import known_script
from searcher.models.store import find_model

if TYPE_CHECKING:
    from PIL import Image

    from searcher.models.preprocess import Preprocess
    from searcher.models.session import Encoder
    from searcher.models.tokenizer import TextTokenizer

BATCH_SIZE = 32  # images or texts per pass through an encoder
CPU = ("CPUExecutionProvider",)
# Published logit scale and bias of each family, used if the model's files do not give them. CLIP clamps its scale
# at 100. SigLIP's values are those of ViT-B-16.
FAMILY_SCALE = {"clip": (100.0, 0.0), "siglip": (117.33, -12.93)}


class Model:
    """The image and text encoders of one model folder. It is a `DualEncoder`, and safe to share by threads.

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
        manifest = folder.manifest
        self._folder = folder
        self._asked_precision = precision
        self._threads = threads
        # What is opened when it is first used. Each has a lock of its own, because they are opened at the same time.
        self._precision: str | None = None
        self._tokenizer: TextTokenizer | None = None
        self._encoders: dict[str, Encoder] = {}
        self._locks = {what: threading.Lock() for what in (*SIDES, "tokenizer", "precision", "digest")}
        self.folder: Path = folder.path
        self.info: Mapping[str, Any] = manifest.as_dict()
        self.name = folder.name
        self.slug = slug(self.name)
        self.version = manifest.version
        self.dim = folder.dim
        self.image_size = folder.image_size
        self.logit_scale = manifest.logit_scale
        self.logit_bias = manifest.logit_bias
        self.languages: tuple[str, ...] | None = manifest.languages or None

    @classmethod
    def open(cls, name_or_path: str | Path = "builtin", *, precision: str | None = None, threads: int = 0) -> Self:
        """Open a model. `name_or_path` is a name in the store, "builtin", or the path of a model folder.

        `threads` is the number of ONNX Runtime threads (0: one per physical core). Raises NotFound if there is no such
        model, and ModelError (one line) if it is broken or does not have that precision.
        """
        return cls(ModelFolder.read(find_model(name_or_path)), precision=precision, threads=threads)

    @property
    def precision(self) -> str:
        """The precision in use.

        GPUs have no kernels for dynamic int8. If a GPU is available and no precision was asked for, float32
        is used instead of int8.
        """
        with self._locks["precision"]:
            if self._precision is None:
                self._precision = self._asked_precision or self._default_precision()
            return self._precision

    def _default_precision(self) -> str:
        default = self._folder.precision
        if default == "int8" and "float32" in self._folder.precisions:
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

        drift = self._folder.manifest.drift.get(precision)
        return drift is not None and acceptable(drift)

    def in_precision(self, precision: str) -> Self:
        """Open the same model in another precision. Raises ModelError if it does not have that precision."""
        return type(self)(self._folder, precision=precision, threads=self._threads)

    @property
    def digest(self) -> str:
        with self._locks["digest"]:
            return self._folder.digest

    @property
    def preprocessing(self) -> "Preprocess":
        """What `preprocess` does: size, mean, standard deviation, …"""
        return self._folder.preprocess

    @property
    def tokenizer(self) -> "TextTokenizer":
        """Texts → token ids. Raises ModelError if the tokenizer cannot be used."""
        with self._locks["tokenizer"]:
            if self._tokenizer is None:
                self._tokenizer = self._open_tokenizer()
            return self._tokenizer

    def _open_tokenizer(self) -> "TextTokenizer":
        from searcher.models.tokenizer import TextTokenizer

        folder = self._folder
        try:
            return TextTokenizer.load(folder.path / TOKENIZER, folder.config["text_cfg"], folder.tokenizer_settings)
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

    def cuts(self, text: str) -> bool:
        """Whether `encode_texts` reads only the beginning of `text`, because it is longer than the context."""
        return self.tokenizer.cuts(text)

    @property
    def on_cpu(self) -> bool:
        """Whether the image encoder runs on the CPU, and not on a GPU. Opens it. Raises ModelError."""
        return self._encoder("visual").provider in CPU

    def preprocess(self, image: "Image.Image") -> np.ndarray:
        """Convert an upright RGB image to float32 (3, H, W) for `encode_pixels`."""
        return self._folder.preprocess(image)

    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        """Embed preprocessed images: float32 (b, 3, H, W) → float32 (b, dim) of unit length.

        Raises ModelError if the encoder cannot be loaded or run, or if it returns numbers that are not finite.
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
        one, and its colours are assumed to be sRGB. Raises PhotoError if a file is not a readable image, and
        ModelError as `encode_pixels` does.
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
        tokenizer cannot be used, or if the encoder returns numbers that are not finite.
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
            encoder = self._encoder("textual")
            arrays = self.text_inputs(encoder, texts[start : start + BATCH_SIZE])
            parts.append(self._checked(encoder.run(*arrays)))
        return np.concatenate(parts)

    def text_inputs(self, encoder: "Encoder", texts: Sequence[str]) -> tuple[np.ndarray, ...]:
        """Convert texts to what `encoder`, a text encoder of this model, takes: int64 (n, length) per input."""
        ids = self.tokenizer(texts)
        if encoder.input_shape[1] == UNPADDED:  # a short query is several times faster than a full context
            ids = self.tokenizer.trim(ids)
        # some multilingual text encoders also take the attention mask
        return (ids,) if encoder.inputs == 1 else (ids, self.tokenizer.mask(ids))

    def _encoder(self, side: str) -> "Encoder":
        with self._locks[side]:
            if side not in self._encoders:
                self._encoders[side] = self._open_encoder(side)
            return self._encoders[side]

    def _open_encoder(self, side: str) -> "Encoder":
        from searcher.models.session import Encoder

        path = self.folder / self._folder.encoders(self.precision)[side]
        providers = CPU if self.precision == "int8" else None  # other providers have no int8 kernels
        opened = Encoder(path, threads=self._threads, providers=providers, unpack=self.precision == COMPACT)
        kind, axes, inputs = ("an image", 4, (1,)) if side == "visual" else ("a text", 2, (1, 2))
        if len(opened.input_shape) != axes or opened.inputs not in inputs:
            raise ModelError(f"{opened.path} is not {kind} encoder: its input does not have {axes} axes")
        return opened

    def _try_encoder(self, side: str) -> None:
        with suppress(Exception):  # it is raised again when the encoder is used, in the caller's own thread
            self._encoder(side)

    def _checked(self, vectors: np.ndarray) -> np.ndarray:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            shape = "x".join(str(side) for side in vectors.shape[1:])
            raise ModelError(f"model {self.folder}: an encoder returns {shape} numbers but config.json says {self.dim}")
        if not np.isfinite(vectors).all():
            raise ModelError(f"model {self.folder}: an encoder returns vectors that are not finite; use another model")
        return vectors
