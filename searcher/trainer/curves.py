"""Plot the losses and validation results of a run over its steps."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from searcher.trainer.metrics import read_metrics

# Panel title → its curves: key in metrics.jsonl → label.
PANELS: dict[str, dict[str, str]] = {
    "loss": {"loss": "sum", "contrastive": "contrastive", "prototypes": "prototypes", "distillation": "distillation"},
    "zero-shot top-1": {"zero_shot": ""},
    "text → image recall": {f"text_to_image_r{k}": f"@{k}" for k in (1, 5, 10)},
    "image → text recall": {f"image_to_text_r{k}": f"@{k}" for k in (1, 5, 10)},
    "logit scale": {"logit_scale": ""},
    "learning rate": {"lr": ""},
}


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw `metrics.jsonl` as a PNG. The file is replaced atomically. Panels without values are left out."""
    lines = read_metrics(metrics)
    known = {key for line in lines for key in line}
    panels = {title: [key for key in curves if key in known] for title, curves in PANELS.items()}
    panels = {title: keys for title, keys in panels.items() if keys}
    if not panels:
        return
    figure = Figure(figsize=(4.5 * len(panels), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (title, keys) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for key in keys:
            points = [(line["step"], line[key]) for line in lines if key in line]
            marker = "." if len(points) < 30 else ""
            axis.plot(*zip(*points, strict=True), linewidth=1.2, marker=marker, label=PANELS[title][key])
        if len(keys) > 1:
            axis.legend(fontsize="small")
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    partial = picture.with_name(picture.name + ".part")
    figure.savefig(partial, format="png", dpi=110)
    partial.replace(picture)
