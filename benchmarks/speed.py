"""Claim: `searcher index` with int8 is at least four times as fast as rclip 3.3 on ordinary JPEGs and five times on
12-megapixel ones, keeps the network 95 % busy, and takes at most 400 MB; a cold search takes at most 0.4 times as long.

    python benchmarks/speed.py [--photos 1000] [--large 200] [--rounds 2] [--searches 8]

Both programs use the same architecture, ViT-B-32-256, with the same random weights: rclip gets the float32 encoders,
with the names and types of inputs that it expects, and searcher has them as float32 and as int8. rclip runs in an
environment of its own. The bare network is ONNX Runtime alone, on as many ready tensors. In each round, all of them
take turns, each in a new process with a warm page cache; the ratios are those within a round. rclip's time is that of
its indexing, without the search that it always runs afterwards.

It needs the extra `train`, to make the model. On two cores of a server CPU that are otherwise idle, we estimate ten
minutes, and five more for the first run. With `--photos 64 --large 16 --rounds 1` it takes one and a half.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import network, shared
from searcher.models.folder import ModelFolder

ORDINARY, LARGE = (1.0, 2.0), (12.0, 12.0)  # megapixels
PRECISIONS = ("int8", "float32")
QUERY = "a dog on the beach"
FASTER = {ORDINARY: 4.0, LARGE: 5.0}  # int8 against rclip
BUSY, MEMORY, SEARCH = 0.95, 400e6, 0.4
RCLIP_FOLDER = "ViT-B-32-256-datacomp_s34b_b86k"
# What `rclip QUERY` does before it searches. 8 is its default batch size.
RCLIP_INDEX = "import os; from rclip.main import init_rclip; init_rclip(os.getcwd(), 8)"


def rclip_data() -> Path:
    """rclip's data folder, with our encoders in place of the ones that it would download."""
    folder = shared.cache("rclip-data")
    if (folder / "done").exists():
        return folder
    import onnx
    import open_clip

    source = shared.model("float32")
    (folder / RCLIP_FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer").mkdir(exist_ok=True)
    for side in ("visual", "textual"):
        encoder = onnx.load(source / side / "model.onnx")
        given = encoder.graph.input[0]
        for node in encoder.graph.node:
            node.input[:] = ["ids" if name == given.name else name for name in node.input]
        kind = onnx.TensorProto.INT32 if side == "textual" else onnx.TensorProto.FLOAT
        encoder.graph.node.insert(0, onnx.helper.make_node("Cast", ["input"], ["ids"], to=kind))
        given.name = "input"
        if side == "textual":
            given.type.tensor_type.elem_type = onnx.TensorProto.INT64
        onnx.save(encoder, folder / RCLIP_FOLDER / f"{side}.onnx")
    words = "bpe_simple_vocab_16e6.txt.gz"
    shutil.copy(Path(open_clip.__file__).with_name(words), folder / "tokenizer" / words)
    (folder / "done").touch()
    return folder


class Programs:
    """Runs the programs. work: a folder for libraries, which is emptied."""

    def __init__(self, work: Path) -> None:
        self.work, self.data = work, rclip_data()
        self.rclip = shared.environment("rclip-3.3", "rclip==3.3.*")
        self.models = {precision: shared.model(precision) for precision in PRECISIONS}

    def _searcher(self, *words: str | Path) -> shared.Run:
        program = [sys.executable, shared.ROOT / "cli.py", *words]
        return shared.timed(program, {"SEARCHER_MODELS": str(shared.models())})

    def index(self, photos: Path, precision: str) -> shared.Run:
        library = self.work / precision
        shutil.rmtree(library, ignore_errors=True)
        return self._searcher("index", photos, "--library", library, "--model", self.models[precision].name)

    def search(self, precision: str) -> shared.Run:
        return self._searcher("search", QUERY, "--library", self.work / precision)

    def rclip_index(self, photos: Path) -> shared.Run:
        for file in self.data.glob("db.*"):
            file.unlink()
        return shared.timed([self.rclip, "-c", RCLIP_INDEX], {"RCLIP_DATADIR": str(self.data)}, photos)

    def rclip_search(self, photos: Path) -> shared.Run:
        command = [self.rclip, "-m", "rclip", QUERY, "-n"]
        return shared.timed(command, {"RCLIP_DATADIR": str(self.data)}, photos)

    def bare(self, precision: str, images: int) -> float:
        """Photos per second of ONNX Runtime alone."""
        folder = self.models[precision]
        file, side = shared.visual(folder, precision), ModelFolder.read(folder).image_size
        return network.measure(Path(sys.executable), "onnxruntime", file, side, images)


class Results:
    """The rows of the table. missed: how many do not reach what they should."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []
        self.missed = 0

    def add(self, *cells: str, reach: str = "", missed: bool = False) -> None:
        """cells: what was measured, ours, theirs, the ratio, and the ratio of CPU times."""
        self.rows.append((*cells, f"{reach}, missed" if missed else reach))
        self.missed += missed


def measure_indexing(
    programs: Programs, count: int, megapixels: tuple[float, float], rounds: int, results: Results
) -> None:
    photos = shared.photos(count, megapixels)
    ours: dict[str, list[shared.Run]] = {precision: [] for precision in PRECISIONS}
    bare: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    theirs: list[shared.Run] = []
    for number in range(rounds):
        for precision in PRECISIONS:
            ours[precision].append(programs.index(photos, precision))
            if megapixels == ORDINARY:
                bare[precision].append(programs.bare(precision, count))
        theirs.append(programs.rclip_index(photos))
        speeds = [f"{name} {count / runs[-1].seconds:.1f}" for name, runs in (*ours.items(), ("rclip", theirs))]
        print(f"round {number + 1} of {rounds}, {photos.parent.name}, photos/s: {', '.join(speeds)}", flush=True)

    kind = "ordinary JPEGs" if megapixels == ORDINARY else "12-megapixel JPEGs"
    peer = f"rclip {count / min(run.seconds for run in theirs):.1f}/s"
    for precision, runs in ours.items():
        speed = f"{count / min(run.seconds for run in runs):.1f}/s"
        ratios = [other.seconds / mine.seconds for mine, other in zip(runs, theirs, strict=True)]
        limit = FASTER[megapixels] if precision == "int8" else 0
        reach = f"≥ {limit:g}×" if limit else ""
        cpu = shared.spread([other.cpu / mine.cpu for mine, other in zip(runs, theirs, strict=True)])
        cells = f"index {count} {kind}, {precision}", speed, peer, shared.spread(ratios), cpu
        results.add(*cells, reach=reach, missed=max(ratios) < limit)
        if bare[precision]:
            busy = [count / run.seconds / other for run, other in zip(runs, bare[precision], strict=True)]
            network = f"network {max(bare[precision]):.1f}/s"
            cells = f"the same, {precision}, and the bare network", speed, network, shared.spread(busy, " %"), ""
            results.add(*cells, reach="≥ 95 %", missed=max(busy) < BUSY)
    memory = max(run.memory for run in ours["int8"])
    peak = f"rclip {max(run.memory for run in theirs) / 1e6:.0f} MB"
    cells = f"memory for {kind}, int8", f"{memory / 1e6:.0f} MB", peak, "", ""
    results.add(*cells, reach="≤ 400 MB", missed=memory > MEMORY)


def measure_search(programs: Programs, photos: Path, searches: int, results: Results) -> None:
    """Search the libraries that indexing these photos has left."""
    runs = []
    for number in range(searches + 1):
        run = [programs.search("int8"), programs.search("float32"), programs.rclip_search(photos)]
        runs += [run] if number else []  # the first run warms the page cache
    for column, precision in enumerate(PRECISIONS):
        ratios = [run[column].seconds / run[2].seconds for run in runs]
        cpu = [run[column].cpu / run[2].cpu for run in runs]
        ours, theirs = (f"{min(run[side].seconds for run in runs):.2f} s" for side in (column, 2))
        cells = f"one cold search, {precision}", ours, f"rclip -n {theirs}", shared.spread(ratios), shared.spread(cpu)
        if precision == "int8":
            results.add(*cells, reach=f"≤ {SEARCH}×", missed=min(ratios) > SEARCH)
        else:
            results.add(*cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000, help="ordinary ones, of one to two megapixels")
    parser.add_argument("--large", type=int, default=200, help="photos of 12 megapixels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--searches", type=int, default=8)
    arguments = parser.parse_args()
    work, results = Path(tempfile.mkdtemp(prefix="searcher-speed-")), Results()
    try:
        programs = Programs(work)
        measure_indexing(programs, arguments.large, LARGE, arguments.rounds, results)
        measure_indexing(programs, arguments.photos, ORDINARY, arguments.rounds, results)
        measure_search(programs, shared.photos(arguments.photos, ORDINARY), arguments.searches, results)
    finally:
        shutil.rmtree(work)
    print(f"{shared.ARCHITECTURE}, {os.cpu_count()} cores, {arguments.rounds} rounds: median (lowest to highest)")
    shared.print_table(("what", "searcher", "against", "ratio", "ratio of CPU time", "to reach"), results.rows)
    return int(results.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
