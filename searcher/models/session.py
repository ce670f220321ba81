"""One encoder as an ONNX Runtime session: opened without surprises, inputs and outputs taken by position."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from searcher.models.folder import ModelError
from searcher.photos.cores import usable_cores

# Used when they are installed, fastest first; the CPU is always there.
PROVIDERS = ("CUDAExecutionProvider", "CoreMLExecutionProvider", "OpenVINOExecutionProvider")
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class Encoder:
    """An encoder file, ready to run. Thread-safe, as ONNX Runtime sessions are."""

    def __init__(self, path: Path, *, threads: int = 0, providers: tuple[str, ...] | None = None) -> None:
        """Open `path` with `threads` threads (0: one a physical core). Raises ModelError if it is no
        encoder.
        """
        wanted = providers or available_providers()
        try:
            self._session = _open(path, threads, wanted)
        except Exception as error:  # ONNX Runtime's exceptions have no common base but this
            if len(wanted) == 1 or providers is not None:
                raise ModelError(f"{path} cannot be loaded: {_reason(error)}") from error
            # an accelerator that is installed but does not work, or not for this model
            try:
                self._session = _open(path, threads, wanted[-1:])
            except Exception as second:
                raise ModelError(f"{path} cannot be loaded: {_reason(second)}") from second
        self.path = path
        self.pace = Pace()
        self._inputs = self._session.get_inputs()
        for given in self._inputs:
            if given.type not in _DTYPES:
                raise ModelError(f"{path} is no encoder of this kind: its input is {given.type}")

    @property
    def provider(self) -> str:
        """The execution provider in use, e.g. "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])

    @property
    def input_shape(self) -> list[Any]:
        """Shape of the first input: numbers where fixed, names or None where free."""
        return list(self._inputs[0].shape)

    @property
    def inputs(self) -> int:
        return len(self._inputs)

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """Arrays with the batch first, one an input → float32 (b, dim), unit length.

        A file that fixes its batch size is run in a loop.
        """
        fixed = self.input_shape[0]
        arrays = tuple(
            np.ascontiguousarray(array, dtype=_DTYPES[given.type])
            for array, given in zip(arrays, self._inputs, strict=True)
        )
        if isinstance(fixed, int) and fixed != len(arrays[0]):
            output = np.concatenate([self._fixed(arrays, start, fixed) for start in range(0, len(arrays[0]), fixed)])
        else:
            output = self._once(arrays)
        return unit_length(output)

    def _fixed(self, arrays: tuple[np.ndarray, ...], start: int, size: int) -> np.ndarray:
        parts = [array[start : start + size] for array in arrays]
        found = len(parts[0])
        if found < size:  # the last batch is filled up with its last row
            parts = [np.concatenate([part, np.repeat(part[-1:], size - found, axis=0)]) for part in parts]
        return self._once(tuple(parts))[:found]

    def _once(self, arrays: tuple[np.ndarray, ...]) -> np.ndarray:
        feeds = {given.name: array for given, array in zip(self._inputs, arrays, strict=True)}
        try:
            output = self._session.run(None, feeds)[0]
        except Exception as error:
            raise ModelError(f"{self.path} cannot be run: {_reason(error)}") from error
        return np.asarray(output, dtype=np.float32)


class Pace:
    """How many photos a CPU embeds fastest at a time: more fall out of its cache, fewer keep its cores waiting.

    Every step is tried twice in the first batches of a run; what was fastest is kept. (ViT-B-32-256 in int8 did 29, 28,
    26, 23 photos a second at 8, 16, 32, 64.)
    """

    STEPS = (8, 16, 32)

    def __init__(self) -> None:
        # the first one allocates, and does not count
        self._trials = [16, *self.STEPS, *reversed(self.STEPS)]
        self._best: dict[int, float] = {}

    @property
    def step(self) -> int:
        """How many to embed at a time now."""
        return self._trials[0] if self._trials else min(self._best, key=lambda step: self._best[step])

    def note(self, step: int, photos: int, seconds: float) -> None:
        """A batch of `photos` took `seconds`, `step` at a time. Batches too small to tell are passed over."""
        if photos < max(self.STEPS) or self._trials[:1] != [step]:
            return
        if len(self._trials) <= 2 * len(self.STEPS):
            self._best[step] = min(self._best.get(step, seconds / photos), seconds / photos)
        self._trials = self._trials[1:]


def _open(path: Path, threads: int, providers: tuple[str, ...]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if threads == 0 and usable_cores() < (os.cpu_count() or 1):
        threads = usable_cores()  # ONNX Runtime would start one a core of the whole machine
    options.intra_op_num_threads = threads
    # A short search must not burn the cores while it waits, nor an indexing run those that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what is wrong comes as an exception
    # its own falling back prints on stdout
    return onnxruntime.InferenceSession(str(path), options, providers=list(providers), enable_fallback=0)


def available_providers() -> tuple[str, ...]:
    """The execution providers that this machine's ONNX Runtime has, fastest first, the CPU last."""
    installed = onnxruntime.get_available_providers()
    return (*(name for name in PROVIDERS if name in installed), "CPUExecutionProvider")


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows of (n, dim) float32 scaled to length 1; a row of zeros stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.float32(1e-12)), dtype=np.float32)


def _reason(error: Exception) -> str:
    line = " ".join(str(error).split())
    # "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from … failed:Protobuf parsing failed."
    return line.split(" : ", 3)[-1][:300] if line.startswith("[ONNXRuntimeError]") else line[:300]
