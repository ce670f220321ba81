"""What a user should know before a model answers a question."""

from typing import TYPE_CHECKING

from searcher.models.remarks import language_remark
from searcher.progress import Progress
from searcher.tagger.question import Question
from searcher.tagger.scorer import is_calibrated

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


def remark(question: Question, model: "DualEncoder", progress: Progress) -> None:
    """Tell the user if the model is not calibrated for the question, or does not know the language of a label."""
    if not is_calibrated(question, model):
        progress.notice(
            f"Uncalibrated: the model {model.name} was not measured on labelled photos, so its relevance is a guess."
        )
    found = next(filter(None, (language_remark(model, name) for name in question.names)), None)
    if found is not None:
        progress.notice(found)
