"""Labels for photos that nobody labelled: zero-shot, or taught by a few examples.

`question`  what is asked: labels, one or any of them
`scorer`    from a question to weights: prompts, background, taught classifiers
`answers`   the maths: softmax among the labels, or each by itself
`run`       a question put to a whole library, from stored embeddings
`loose`     a question put to files
`teach`     labels made from examples
`calibrate` a model's threshold, from labelled photos
`sidecars`  tags into XMP sidecars
`links`     photos sorted into folders of links
"""

from searcher.tagger import teach
from searcher.tagger.question import Question, ask
from searcher.tagger.run import Tagged, TagReport, clear, tag, tag_new, tagged_photos, would_tag

__all__ = ["Question", "TagReport", "Tagged", "ask", "clear", "tag", "tag_new", "tagged_photos", "teach", "would_tag"]
