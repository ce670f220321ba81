"""Measure models and compare two of them: zero-shot accuracy, recall@k, and the quality of tags.

This package does not need PyTorch.
"""

from searcher.evaluate.comparison import Comparison, compare
from searcher.evaluate.measure import read_data, retrieval, retrievals, zero_shot, zero_shots
from searcher.evaluate.results import Recall, Retrieval, ZeroShot
from searcher.evaluate.tags import TagQuality, precision_recall_f1, read_truth, tag_quality

__all__ = [
    "Comparison",
    "Recall",
    "Retrieval",
    "TagQuality",
    "ZeroShot",
    "compare",
    "precision_recall_f1",
    "read_data",
    "read_truth",
    "retrieval",
    "retrievals",
    "tag_quality",
    "zero_shot",
    "zero_shots",
]
