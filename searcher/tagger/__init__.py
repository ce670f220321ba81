"""Labels photos, with zero-shot labels or with labels taught from a few examples.

`question`   which labels to check photos for, and whether to pick exactly one of them
`context`    the library that is tagged, and the model that answers
`prompts`    embeddings of prompts, kept in the catalog
`taught`     classifiers of labels that were taught from examples
`scorer`     turns a question into weights: prompts, background prompts, taught classifiers
`answers`    computes the labels: a softmax over all labels, or a sigmoid per label
`run`        answers a question for a whole library, from its stored embeddings
`classify`   answers a question for single files
`by_hand`    labels that a person gives to photos, or takes away
`teach`      stores the examples of a label
`calibrate`  finds a model's threshold on labelled photos
`sidecars`   writes tags to XMP sidecars
`links`      sorts photos into folders of links

Import what you need from these files: the package itself imports none of them.
"""
