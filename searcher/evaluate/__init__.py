"""Measure models and compare two of them: zero-shot accuracy, and recall@k. This package does not need PyTorch."""

from searcher.evaluate.comparison import Comparison, compare
from searcher.evaluate.measure import read_data, retrieval, retrievals, zero_shot, zero_shots
from searcher.evaluate.results import Recall, Retrieval, ZeroShot

__all__ = [
    "Comparison",
    "Recall",
    "Retrieval",
    "ZeroShot",
    "compare",
    "read_data",
    "retrieval",
    "retrievals",
    "zero_shot",
    "zero_shots",
]
