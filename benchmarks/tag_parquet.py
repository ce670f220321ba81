"""How many photos a second `searcher tag --parquet` labels, of shards that are on this machine.

    python benchmarks/tag_parquet.py [--photos 100000] [--labels 1000] [--dim 512]

The embeddings, the labels and the model are those of benchmarks/tag.py, which measures the same for a library. There
are ten shards. With --thumbnails, each photo has one of 8 kB, which is copied.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.tag import TableModel
from searcher.datasets.labels import read_labels
from searcher.scale import tagging
from searcher.scale.shards import Facts, schema
from searcher.tagger.question import Question

SHARDS = 10
THUMBNAIL = 8000  # bytes


def make(folder: Path, photos: int, model: TableModel, thumbnails: bool) -> None:
    random = np.random.default_rng(2)
    facts = Facts(model.name, model.digest, model.version, model.slug, str(model.folder), model.dim, model.precision)
    columns = schema(facts, thumbnails)
    half = model.dim // 2
    for shard, ids in enumerate(np.array_split(np.arange(photos), SHARDS)):
        noise = random.normal(size=(len(ids), model.dim)).astype(np.float32)
        noise[:, :half] *= 0.3
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        there = random.integers(0, len(model.labels), (len(ids), 3))
        vectors = 0.25 * model.labels[there].sum(axis=1) + 0.15 * model.anything + noise
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        given = {
            "id": [f"{id:032x}" for id in ids],
            "path": [f"/photos/{id}.jpg" for id in ids],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), model.dim),
        }
        if thumbnails:
            given["thumbnail"] = [random.bytes(THUMBNAIL) for _ in ids]
        table = pa.table([pa.array(given.get(field.name, [None] * len(ids)), field.type) for field in columns], columns)
        pq.write_table(table, folder / f"{shard:05d}.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--thumbnails", action="store_true")
    arguments = parser.parse_args()
    model = TableModel(arguments.labels, arguments.dim)
    folder = Path(tempfile.mkdtemp(prefix="searcher-tag-parquet-"))
    try:
        make(folder, arguments.photos, model, arguments.thumbnails)
        before = sum(file.stat().st_size for file in folder.iterdir())
        for one in (True, False):
            question = Question(tuple(read_labels("@imagenet")[: arguments.labels]), one=one)
            for run in ("first", "second"):
                start, before_cpu = time.perf_counter(), time.process_time()
                report = tagging.tag_shards(str(folder), question, model).tags
                seconds, cpu = time.perf_counter() - start, time.process_time() - before_cpu
                mode, labels = "--one" if one else "default", sum(report.tagged.values())
                print(
                    f"{mode:<8} {run:<7} {seconds:.1f} s, {cpu:.1f} s of cores: "
                    f"{report.asked:,} photos checked, {labels:,} labels"
                )
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"{memory / 1e9:.2f} GB of memory, making the shards included")
        after = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{before / 1e6:.0f} MB of shards became {after / 1e6:.0f} MB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
