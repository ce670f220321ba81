"""Training with one or several processes: rank, device, precision and communication."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from searcher.errors import SearcherError

CPU = torch.device("cpu")
LOST = "another process of this training has ended: see what it or its machine says, then use --resume on all machines"


@dataclass(frozen=True)
class Processes:
    """The rank and device of this process, and the operations over all training processes.

    One call (`mean_gradients`) averages the gradients over all processes, after the whole backward pass. So the model
    needs no wrapper, a locked tower costs nothing, and accumulation needs no special case.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = CPU
    dtype: torch.dtype | None = None  # of autocast; None means float32

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Compute in the precision of this run.

        On a CPU with a reduced precision, attention is computed with plain matrix products, because the backward pass
        of torch's fused attention is slow (a batch of 128 through a ViT of 36 patches: 250 ms with it, 190 ms without).
        In float32, attention is not changed, so that the gradients match those of the towers to the last digits.
        """
        rounds = self.dtype is not None
        attention = sdpa_kernel(SDPBackend.MATH) if rounds and self.device.type == "cpu" else nullcontext()
        with attention, torch.autocast(self.device.type, self.dtype, enabled=rounds):
            yield

    def gather(self, tensor: Tensor) -> Tensor:
        """[n, …] → [count · n, …]: the rows of all processes, by rank. Gradients flow back to the owner of each row."""
        if self.count == 1:
            return tensor
        rows: Tensor = _Gather.apply(tensor, self)
        return rows

    def collect(self, value: Any) -> list[Any]:
        """The value of every process, by rank. It waits until all have one."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of a tensor over processes, without gradient."""
        tensor = tensor.detach().clone()
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor / self.count

    def mean_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over processes. All gradients are sent in one message."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.count == 1 or not gradients:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, processes: Processes) -> Tensor:
        ctx.rows = slice(processes.rank * len(tensor), (processes.rank + 1) * len(tensor))
        parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(processes.count)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)  # every process has gradients for our rows
        return total[ctx.rows], None


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """bf16 if the device has instructions for it, otherwise None (float32).

    Without such instructions torch would emulate bf16. On a CPU without AVX-512, this takes ten times as long (5.6
    instead of 57 images/s were measured).
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older releases of torch
    native = any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"))
    library = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return torch.bfloat16 if native and library else None


@contextmanager
def join() -> Iterator[Processes]:
    """Join the processes that `torchrun` started, or use this process alone. Uses CUDA if it is available.

    Raises SearcherError if another process ended before its time.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=device, dtype=fast_dtype(device))
        return
    # The timeout is long because the other processes wait while the first one validates.
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(hours=2))
    try:
        yield Processes(dist.get_rank(), count, device, fast_dtype(device))
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):  # gloo has no error of its own
            raise SearcherError(LOST) from error
        raise
    finally:
        dist.destroy_process_group()
