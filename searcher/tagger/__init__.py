"""Labels photos, with zero-shot labels or with labels taught from a few examples.

`question`   which labels to check photos for, and whether to pick exactly one of them
`scorer`     turns a question into weights: prompts, background prompts, taught classifiers
`answers`    computes the labels: a softmax over all labels, or a sigmoid per label
`run`        answers a question for a whole library, from its stored embeddings
`loose`      answers a question for single files
`teach`      makes labels from examples
`calibrate`  finds a model's threshold on labelled photos
`sidecars`   writes tags to XMP sidecars
`links`      sorts photos into folders of links
"""

from searcher.tagger import teach
from searcher.tagger.question import Question, ask
from searcher.tagger.run import Tagged, TagReport, clear, tag, tag_new, tagged_photos, would_tag

__all__ = ["Question", "TagReport", "Tagged", "ask", "clear", "tag", "tag_new", "tagged_photos", "teach", "would_tag"]
