"""The picture of a run: loss, zero-shot accuracy, logit scale and learning rate over the steps."""

import json
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CURVES = {"loss": "loss", "zero_shot": "zero-shot top-1", "logit_scale": "logit scale", "lr": "learning rate"}


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw `metrics.jsonl` as a PNG, replaced as a whole; a curve without values is left out."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    shown = [key for key in CURVES if any(key in line for line in lines)]
    figure = Figure(figsize=(4.5 * len(shown), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, key in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        points = [(line["step"], line[key]) for line in lines if key in line]
        axis.plot(*zip(*points, strict=True), linewidth=1.2, marker="." if len(points) < 30 else "")
        axis.set_title(CURVES[key])
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    partial = picture.with_name(picture.name + ".part")
    figure.savefig(partial, format="png", dpi=110)
    partial.replace(picture)
