"""Run one encoder as an ONNX Runtime session. Inputs and outputs are identified by position."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from searcher.models.layout import ModelError
from searcher.photos.cores import usable_cores

# These are used if they are installed, fastest first. The CPU provider is always available.
PROVIDERS = ("CUDAExecutionProvider", "CoreMLExecutionProvider", "OpenVINOExecutionProvider")
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class Encoder:
    """An encoder file that is ready to run. It is thread-safe, because ONNX Runtime sessions are."""

    def __init__(
        self, path: Path, *, threads: int = 0, providers: tuple[str, ...] | None = None, unpack: bool = False
    ) -> None:
        """Open `path` with `threads` threads (0: one per physical core).

        unpack: convert int8 weights to float32 now, once, and compute in float32. Otherwise ONNX Runtime chooses
        for each operation, and the embeddings depend on the CPU.
        If an accelerator is installed but does not work, the CPU is used, unless `providers` are given.
        Raises ModelError if the file cannot be loaded or is not a supported encoder.
        """
        wanted = providers or available_providers()
        if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
            raise ModelError(f"{path} cannot be loaded: ONNX Runtime opens no path that is not UTF-8")
        try:
            self._session = _open(path, threads, wanted, unpack)
        except Exception as error:  # ONNX Runtime's exceptions have no other common base class
            if len(wanted) == 1 or providers is not None:
                raise ModelError(f"{path} cannot be loaded: {_reason(error)}") from error
            # an accelerator is installed, but it does not work or does not support this model
            try:
                self._session = _open(path, threads, wanted[-1:], unpack)
            except Exception as second:
                raise ModelError(f"{path} cannot be loaded: {_reason(second)}") from second
        self.path = path
        self.pace = Pace()
        self._inputs = self._session.get_inputs()
        if len(self._inputs) not in (1, 2) or not self.input_shape or self.input_shape[0] == 0:
            raise ModelError(f"{path} is not a supported encoder: it must have one or two inputs with a batch axis")
        for given in self._inputs:
            if given.type not in _DTYPES:
                raise ModelError(f"{path} is not a supported encoder: its input type is {given.type}")

    @property
    def provider(self) -> str:
        """The execution provider in use, e.g. "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])

    @property
    def input_shape(self) -> list[Any]:
        """Shape of the first input. A fixed dimension is a number and a dynamic one is a name or None."""
        return list(self._inputs[0].shape)

    @property
    def inputs(self) -> int:
        return len(self._inputs)

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """Run the encoder on one array per input, with the batch as the first axis.

        Returns float32 (b, dim) of unit length. If the file has a fixed batch size, it is run in a loop.
        Raises ModelError if the encoder cannot be run.
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
        if output.ndim < 2 or len(output) != len(arrays[0]):
            raise ModelError(f"{self.path} is not a supported encoder: its output is not one row per input")
        return unit_length(output)

    def _fixed(self, arrays: tuple[np.ndarray, ...], start: int, size: int) -> np.ndarray:
        parts = [array[start : start + size] for array in arrays]
        found = len(parts[0])
        if found < size:  # fill up the last batch by repeating its last row
            parts = [np.concatenate([part, np.repeat(part[-1:], size - found, axis=0)]) for part in parts]
        return self._once(tuple(parts))[:found]

    def _once(self, arrays: tuple[np.ndarray, ...]) -> np.ndarray:
        feeds = {given.name: array for given, array in zip(self._inputs, arrays, strict=True)}
        try:
            return np.asarray(self._session.run(None, feeds)[0], dtype=np.float32)
        except Exception as error:
            raise ModelError(f"{self.path} cannot be run: {_reason(error)}") from error


class Pace:
    """Find the number of photos per pass that is fastest on this CPU. It is thread-safe.

    Larger passes do not fit into the CPU's cache, and smaller ones leave cores idle. Each step is tried twice
    on the first batches of a run, and the fastest one is kept. (ViT-B-32-256 in int8 embedded 29, 28, 26 and
    23 photos per second at 8, 16, 32 and 64 photos per pass, on two cores.) The steps are at most 4 photos per core,
    because memory grows with the largest one that was tried: an index run with that model takes 500 MB on two cores,
    but 710 MB if 32 photos per pass are tried.
    """

    MEASURED = 32  # photos of a batch that is large enough, and the largest step

    def __init__(self, cores: int | None = None) -> None:
        largest = min(self.MEASURED, max(8, 4 * (usable_cores() if cores is None else cores)))
        self.steps = (largest // 2, largest)
        # The first trial does not count, because it allocates memory.
        self._trials = [self.steps[-1], *self.steps, *reversed(self.steps)]
        self._best: dict[int, float] = {}
        self._lock = threading.Lock()

    @property
    def step(self) -> int:
        """The number of photos to embed per pass now."""
        with self._lock:
            return self._trials[0] if self._trials else min(self._best, key=lambda step: self._best[step])

    def note(self, step: int, photos: int, seconds: float) -> None:
        """Record that a batch of `photos` took `seconds` with `step` photos per pass.

        Batches that are too small to measure are ignored.
        """
        with self._lock:
            if photos < self.MEASURED or self._trials[:1] != [step]:
                return
            if len(self._trials) <= 2 * len(self.steps):
                self._best[step] = min(self._best.get(step, seconds / photos), seconds / photos)
            self._trials = self._trials[1:]


def _open(path: Path, threads: int, providers: tuple[str, ...], unpack: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if threads == 0 and usable_cores() < (os.cpu_count() or 1):
        threads = usable_cores()  # by default, ONNX Runtime starts one thread per core of the whole machine
    options.intra_op_num_threads = threads
    # Spinning threads would waste CPU time in a short search and slow down the decoding threads while indexing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if unpack:
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # else DequantizeLinear is no constant
    options.log_severity_level = 4  # errors are raised as exceptions, so they need not be logged
    # Doubling the memory at each step, as by default, would take 50 MB more than ViT-B-32-256 needs.
    memory = {"CPUExecutionProvider": {"arena_extend_strategy": "kSameAsRequested"}}
    return onnxruntime.InferenceSession(
        str(path),
        options,
        providers=list(providers),
        provider_options=[memory.get(name, {}) for name in providers],
        enable_fallback=0,  # ONNX Runtime's own fallback prints to stdout
    )


def available_providers() -> tuple[str, ...]:
    """The execution providers of the installed ONNX Runtime, fastest first. The CPU is last."""
    installed = onnxruntime.get_available_providers()
    return (*(name for name in PROVIDERS if name in installed), "CPUExecutionProvider")


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Scale each row of (n, dim) to length 1. Returns float32.

    A row of zeros stays zero. A row whose length is not a finite number becomes NaN.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        norms[~np.isfinite(norms)] = np.nan
        return np.asarray(vectors / np.maximum(norms, np.float32(1e-12)), dtype=np.float32)


def _reason(error: Exception) -> str:
    line = " ".join(str(error).split())
    # "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from … failed:Protobuf parsing failed."
    return line.split(" : ", 3)[-1][:300] if line.startswith("[ONNXRuntimeError]") else line[:300]
