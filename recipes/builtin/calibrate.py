"""Find the threshold from which on a model's labels are given, and store it in the model folder's searcher.json.

    python recipes/builtin/calibrate.py MODEL CLASS-FOLDER [CLASS-FOLDER ...] [--beta 1] [--store]

The class folders (as for `searcher evaluate`) are asked together: every photo has the one label that its folder is
called, and none of the others. The more classes, the more a threshold holds for other labels. Without --store the
result is only printed.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from searcher.datasets import Label, read_class_folder
from searcher.errors import SearcherError
from searcher.models import Model
from searcher.tagger.calibrate import calibrate, for_all, store_thresholds
from searcher.tagger.question import Question
from searcher.vectors.pipeline import embed_files

MOST_PHOTOS = 100  # of one class: classes count alike, whatever their size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--beta", type=float, default=1.0, help="below 1: rather no label than a wrong one")
    parser.add_argument("--store", action="store_true")
    arguments = parser.parse_args()
    model = Model.open(arguments.model)
    photos: dict[str, list[Path]] = {}
    for folder in arguments.folders:
        classes = read_class_folder(folder)
        for name, images in zip(classes.names, classes.images, strict=True):
            photos.setdefault(name, []).extend(images[:MOST_PHOTOS])
    files = [file for images in photos.values() for file in images]
    numbers = np.repeat(np.arange(len(photos)), [len(images) for images in photos.values()])
    vectors = []
    for embedded in embed_files(model, files):
        if embedded.vector is None:
            raise SearcherError(f"{embedded.key}: {embedded.error}")
        vectors.append(embedded.vector)
        print(f"{len(vectors)}/{len(files)}", end="\r", file=sys.stderr)
    truth = np.arange(len(photos)) == numbers[:, None]
    question = Question(tuple(Label(name, (name,)) for name in photos))
    found = calibrate(model, question, np.stack(vectors), truth, arguments.beta)
    print(json.dumps({"photos": len(files), "labels": len(photos), **found._asdict()}, indent=1))
    if arguments.store:
        store_thresholds(model.folder, for_all(found))
        print(f"stored in {model.folder}/searcher.json", file=sys.stderr)


if __name__ == "__main__":
    main()
