"""Claim: labels taught with five examples per class from CIFAR-10's training part are more accurate on its test part
than the zero-shot names.

    python benchmarks/teach.py MODEL CIFAR [--photos 200] [--rounds 3]

CIFAR is a folder with `train` and `test`, each with one folder per class. The script makes a library of --photos test
photos per class (0: all) and labels it with the ten names and `--one`. Then it teaches each name with five training
photos, drawn at random again in each round, and labels the library again. It calls the same code as the commands.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from searcher.library import Library

EXAMPLES = 5


def accuracy(library: Library, names: list[str]) -> float:
    """The share of photos whose best tag is the name of their folder."""
    library.tag(names, one=True)
    right = [Path(photo.path).parent.name == photo.tags[0].label for photo in library.tagged(names)]
    return sum(right) / len(right)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("cifar", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    names = sorted(folder.name for folder in (arguments.cifar / "test").iterdir() if folder.is_dir())
    work = Path(tempfile.mkdtemp(prefix="searcher-teach-"))
    try:
        for name in names:
            (work / "photos" / name).mkdir(parents=True)
            for photo in sorted((arguments.cifar / "test" / name).iterdir())[: arguments.photos or None]:
                (work / "photos" / name / photo.name).symlink_to(photo.absolute())
        with Library.open(work / "library", model=arguments.model, create=True) as library:
            library.index(work / "photos")
            zero_shot = accuracy(library, names)
            taught = []
            for number in range(arguments.rounds):
                for name in names:
                    photos = sorted((arguments.cifar / "train" / name).iterdir())
                    chosen = random.Random(f"{number} {name}").sample(photos, EXAMPLES)
                    library.teach(name, chosen)
                taught.append(accuracy(library, names))
    finally:
        shutil.rmtree(work)
    each = ", ".join(f"{share:.1%}" for share in taught)
    mean = sum(taught) / len(taught)
    print(f"{arguments.model}: zero-shot names {zero_shot:.1%}; taught by {EXAMPLES} per class {mean:.1%} ({each})")
    return int(mean <= zero_shot)


if __name__ == "__main__":
    sys.exit(main())
