import os
from pathlib import Path
from typing import Any

import pytest
import torch

from searcher.errors import SearcherError
from searcher.trainer.distributed import CPU, LOST, fast_dtype, join
from tests.trainer.processes import run_on_two


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"avx2": True, "avx512_f": False, "avx512_bf16": False}, None),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, None),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"neon": True, "bf16": True}, torch.bfloat16),
        ({"neon": True, "bf16": False}, None),
    ],
)
def test_a_cpu_uses_bf16_only_if_it_has_instructions_for_it(
    known: dict[str, Any], expected: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert fast_dtype(CPU) is expected


def test_a_torch_that_cannot_report_cpu_capabilities_uses_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fast_dtype(CPU) is None


def test_without_onednn_float32_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True}, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert fast_dtype(CPU) is None


def lose_one(folder: Path) -> None:
    """The second of two processes ends like one that is killed."""
    try:
        with join() as processes:
            if not processes.first:
                os._exit(0)
            processes.mean(torch.ones(1))
    except SearcherError as error:
        (folder / "said").write_text(str(error))


def test_the_end_of_another_process_is_one_line(tmp_path: Path) -> None:
    run_on_two(lose_one, tmp_path)
    assert (tmp_path / "said").read_text() == LOST
