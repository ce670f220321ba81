"""Processes for training tests, forked from one that has imported PyTorch: importing it takes seconds for each."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["searcher.trainer.loop"])


def start(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Call a function of a module in a new process, which leads a process group of its own."""
    process = SERVER.Process(target=_lead, args=(function, *arguments))
    process.start()
    return process


def _lead(function: Callable[..., None], *arguments: Any) -> None:
    os.setsid()
    function(*arguments)


def run_on_two(function: Callable[[Path], None], folder: Path) -> None:
    """Call `function(folder)` in two processes that train together on the CPU, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [start(_join, rank, port, function, folder) for rank in range(2)]
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]


def _join(rank: int, port: int, function: Callable[[Path], None], folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": ""}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    function(folder)
