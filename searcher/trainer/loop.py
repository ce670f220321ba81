"""The training loop: data → augment → encode → loss → step."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from searcher.errors import Interrupted, InvalidInput, SearcherError
from searcher.models.layout import CARD, CHECKPOINT_CONFIG, CHECKPOINT_WEIGHTS
from searcher.models.preprocess import Preprocess
from searcher.progress import SILENT, Progress
from searcher.trainer import checkpoint
from searcher.trainer.augment import Augment
from searcher.trainer.card import measure, write_card
from searcher.trainer.config import model_config
from searcher.trainer.curves import draw_curves
from searcher.trainer.data import Layout
from searcher.trainer.distributed import Processes, join
from searcher.trainer.ema import averaged
from searcher.trainer.export import MODEL_PARTS, export_model
from searcher.trainer.features import VIEWS, Trunk, check_views, compute
from searcher.trainer.holdout import hold_out
from searcher.trainer.locked import freeze
from searcher.trainer.metrics import Metrics
from searcher.trainer.pretrained import image_config, load_image_weights, load_text_weights, text_config
from searcher.trainer.sources import Sources, first_bad, open_sources
from searcher.trainer.step import Batch, Objective, backward
from searcher.trainer.stop import StopRequest
from searcher.trainer.text import FrozenText
from searcher.trainer.validate import TorchEncoder, Validation

RESULTS = (CARD, *MODEL_PARTS, CHECKPOINT_CONFIG, CHECKPOINT_WEIGHTS[0])  # what a run writes at its end
DEFAULT_MODEL = "resnet18-64"
MAX_LOGIT_SCALE = math.log(100)  # Radford et al. 2021, section 2.5
LOG_EVERY = 20  # steps
VALIDATE_EVERY = 400  # steps
SAVE_EVERY = 300  # seconds between two checkpoints


@dataclass(frozen=True)
class Settings:
    """The settings of a run. Durations are in epochs or steps. The defaults suit a small model on a CPU."""

    sources: tuple[Path | str, ...]  # a text is the URL of shards
    out: Path
    model: str | None = None  # None: the model of `init`, or DEFAULT_MODEL
    weights: tuple[float, ...] = ()  # how many times per epoch each record of a source is used
    init: Path | None = None  # an open_clip checkpoint to start from, or "builtin"
    image_tower: str | None = None  # a model of timm, in place of that of `model`
    image_weights: Path | None = None  # its pretrained weights
    text_tower: Path | None = None  # the Hugging Face folder of a text model with its weights, in place of `model`'s
    freeze: tuple[str, ...] = ()  # "image", "text": what is not trained, see `locked.freeze`
    views: tuple[str, ...] = VIEWS  # of each photo, for a locked image trunk
    interpolate: float | None = None  # the share of the trained weights in the result; the rest comes from `init`
    val: Path | None = None  # class folders or pairs to measure the model on during training
    val_split: float = 0.05  # without `val`: the share of the photos that is held out for that
    loss: str = "softmax"  # or "sigmoid"
    label_smoothing: float = 0.0
    epochs: float = 10.0
    batch_size: int = 256  # records per step, over all processes
    accumulate: int = 1  # number of parts into which each process splits its share of a batch
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 200  # steps
    average: float = 0.0  # decay of the moving average of the weights, which becomes the result; 0: no average
    min_area: float = 0.5  # the smallest random crop, as a share of the image's area
    grayscale: float = 0.0  # the share of images that are converted to grayscale
    workers: int = 1
    seed: int = 0
    precision: str = "float32"  # of the exported model folder
    resume: bool = False

    def check(self) -> None:
        """Raises InvalidInput if settings contradict each other."""
        if self.interpolate is not None and self.init is None:
            raise InvalidInput("--interpolate averages the result with the starting model, so it needs --init")
        if (self.image_tower or self.text_tower) and (self.model or self.init):
            raise InvalidInput("--image-tower and --text-tower make a new model: use them without --model and --init")
        if self.image_weights and not self.image_tower:
            raise InvalidInput("--image-weights needs --image-tower")
        if "image" in self.freeze:
            check_views(self.views)
        if self.loss == "sigmoid" and self.label_smoothing:
            raise InvalidInput("--label-smoothing can only be used with the softmax loss")


# These settings must not change when a run is resumed. Others may change.
FIXED = (
    "model", "image_tower", "weights", "freeze", "views", "loss", "label_smoothing",
    "val_split", "epochs", "batch_size", "weight_decay", "warmup", "average", "min_area", "grayscale", "seed",
)  # fmt: skip


def train(settings: Settings, progress: Progress = SILENT) -> Path:
    """Train a model and write it to the folder `settings.out`. Returns the folder.

    The folder gets an open_clip checkpoint, the model folder for search, metrics, curves and a model card. `progress`
    gets each line of `metrics.jsonl`, and notices.

    Raises SearcherError (one line) if the settings or the data cannot be used, or if the loss is no longer a number.
    Raises Interrupted after Ctrl-C or SIGTERM. The state of the last step is saved then, and can be resumed.
    """
    try:
        with join() as processes:
            return _train(settings, progress, processes)
    except KeyboardInterrupt:
        pass  # raised below, so that the caller sees no KeyboardInterrupt behind the message
    raise Interrupted(how_to_go_on("Interrupted", settings.out / checkpoint.STATE))


def _train(settings: Settings, progress: Progress, processes: Processes) -> Path:
    settings.check()
    out, state_file = settings.out, settings.out / checkpoint.STATE
    if state_file.exists() and not settings.resume:
        raise InvalidInput(f"{out} already contains a run: use --resume to continue it, or choose another --out")
    theirs = [] if state_file.exists() else [out / name for name in RESULTS if (out / name).exists()]
    if theirs:
        raise InvalidInput(f"{theirs[0]} already exists and would be replaced: choose another --out")
    layout = Layout(settings.batch_size, settings.accumulate, settings.workers, settings.seed, processes)
    start = starting_config(settings)
    config = start["model_cfg"]
    if settings.loss == "sigmoid":  # the initial values of Zhai et al. 2023
        config = {"init_logit_bias": -10, "init_logit_scale": math.log(10)} | config
    sources = open_sources(settings.sources, settings.weights, settings.freeze, processes)
    measured: Any = settings.val
    if not measured:
        sources, measured = hold_out(sources, settings.val_split)
    validation = Validation(measured) if measured and processes.first else None
    if sources.bad:
        progress.notice(first_bad(sources.bad))
    for remark in dict.fromkeys(sources.remarks + (validation.remarks if validation else [])):
        progress.notice(remark)

    torch.manual_seed(settings.seed)
    model: Any
    model, tokenizer = checkpoint.create(config)
    if settings.init:
        checkpoint.load_weights(model, settings.init)
    if settings.image_weights:
        load_image_weights(model, settings.image_weights)
    if settings.text_tower:
        load_text_weights(model, settings.text_tower)
    model = model.to(processes.device, memory_format=torch.channels_last)
    freeze(model, settings.freeze)
    # Search squashes the whole image into a square, so that the edges are not cut off.
    preprocess = dict(open_clip.get_model_preprocess_cfg(model)) | start.get("preprocess_cfg", {})
    preprocess = preprocess | {"size": model.visual.image_size, "resize_mode": "squash", "interpolation": "bicubic"}
    as_search = Preprocess.from_config(preprocess)
    augment = Augment(
        max(as_search.size), as_search.mean, as_search.std, min_area=settings.min_area, grayscale=settings.grayscale
    )
    trunk = Trunk(model.visual, as_search, settings.views, processes) if "image" in settings.freeze else None
    features = compute(trunk, sources.images, progress) if trunk and sources.images else None
    data = sources.data(augment, tokenizer, layout, config["embed_dim"], features)
    total = max(1, round(settings.epochs * data.steps_per_epoch))

    optimizer = torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay), lr=settings.lr, betas=(0.9, 0.98), fused=True
    )
    average = averaged(model, settings.average) if settings.average else None
    state = checkpoint.State(model, optimizer, average)
    fixed = {name: value for name, value in asdict(settings).items() if name in (*FIXED, "lr")}
    facts: dict[str, Any] = {"step": 0, "bad": len(sources.bad), "best": {}, "total": total, "settings": fixed}
    if settings.resume and state_file.exists():
        facts = same_run(checkpoint.read_facts(state_file), facts, progress)
        state.load(state_file)
        progress.notice(f"continuing after step {facts['step']} of {total}")
    out.mkdir(parents=True, exist_ok=True)
    metrics = Metrics(out / "metrics.jsonl", facts["step"], progress) if processes.first else None

    frozen = FrozenText(model, tokenizer, sources.captions_of) if "text" in settings.freeze else None
    objective = Objective(model, processes, settings.loss, settings.label_smoothing, frozen)
    measured_model = average.module if average else model
    known: dict[bytes, torch.Tensor] | None = {} if trunk else None
    encoder = TorchEncoder(measured_model, tokenizer, as_search, config["embed_dim"], processes, known)
    saved = started = time.monotonic()
    first_step = facts["step"]
    parts = data.parts(first_step, total)
    with StopRequest() as stop:
        for step in range(first_step + 1, total + 1):
            lr = learning_rate(step - 1, total, settings.lr, settings.warmup)
            for group in optimizer.param_groups:
                group["lr"] = lr
            batch = take(parts, settings.accumulate, processes)
            terms = backward(objective, batch, (settings.seed, step))
            gradient = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            # The same in every process, because the terms and the gradients are means over all of them.
            if not torch.stack([gradient, *terms.values()]).isfinite().all():
                raise diverged(step, state_file)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            with torch.no_grad():
                model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
            if average:
                average.update_parameters(model)
            # All processes must agree on the step at which they stop.
            asked = torch.tensor(float(stop.asked), device=processes.device)
            bad, stopped = processes.mean(torch.stack([sum_of_bad(batch), asked])).tolist()
            facts["step"] = step
            facts["bad"] += round(bad * processes.count)

            last = step == total
            if metrics and (last or step % LOG_EVERY == 0):
                rate = (step - first_step) * settings.batch_size / (time.monotonic() - started)
                line = {
                    "step": step,
                    "epoch": step / data.steps_per_epoch,
                    "loss": round(sum(term.item() for term in terms.values()), 5),
                    **({name: round(term.item(), 5) for name, term in terms.items()} if len(terms) > 1 else {}),
                    "lr": lr,
                    "logit_scale": round(model.logit_scale.exp().item(), 3),
                    "gradient": round(gradient.item(), 4),
                    "per_second": round(rate, 1),
                    "seconds_left": round((total - step) * settings.batch_size / rate),
                    "bad": facts["bad"],
                }
                if validation and (last or step % VALIDATE_EVERY == 0):
                    reached = validation(encoder, progress)
                    facts["best"] = better(facts["best"], {"step": step} | reached)
                    line |= reached
                metrics.write(line)
            if metrics and (last or stopped or time.monotonic() - saved > SAVE_EVERY):
                if not state.is_finite():
                    raise diverged(step, state_file)
                state.save(state_file, facts)
                draw_curves(metrics.path, out / "curves.png")
                saved = time.monotonic()
            if stopped:
                raise Interrupted(how_to_go_on(f"Interrupted after step {step} of {total}", state_file))

    if processes.first:
        result: Any = average.module if average else model
        if settings.interpolate is not None and settings.init:
            checkpoint.interpolate(result, settings.init, settings.interpolate)
        checkpoint.save_open_clip(out, result, tokenizer, config, preprocess)
        publish(settings, result, (config, preprocess, tokenizer), sources, facts, validation)
    return out


def starting_config(settings: Settings) -> dict[str, Any]:
    """The `model_cfg` of the model to train, and the `preprocess_cfg` if something is known of it."""
    found = checkpoint.config_of_checkpoint(settings.init)
    if not found or settings.model:
        found |= {"model_cfg": model_config(settings.model or DEFAULT_MODEL)}
    config = dict(found["model_cfg"])
    if settings.text_tower:
        config["text_cfg"], config["embed_dim"] = text_config(settings.text_tower)
    if settings.image_tower:
        config["vision_cfg"], found["preprocess_cfg"] = image_config(settings.image_tower)
    return found | {"model_cfg": config}


def diverged(step: int, state_file: Path) -> SearcherError:
    """The error of a run whose loss, gradient or weights are no longer finite numbers."""
    resume = ". Use --resume to continue from the last checkpoint" if state_file.exists() else ""
    return SearcherError(
        f"training failed at step {step}: the loss is not a finite number. "
        f"Lower --lr, and check the data for wrong values{resume}"
    )


def how_to_go_on(what: str, state_file: Path) -> str:
    """The message of an interrupted run."""
    if state_file.exists():
        return f"{what}. Run the same command with --resume to continue"
    return f"{what} before the first checkpoint. Run the same command again to start from the beginning"


def publish(
    settings: Settings, model: Any, made_of: tuple[Any, Any, Any], sources: Sources, facts: Any, validation: Any
) -> None:
    """Write the model folder for search next to the checkpoint, and its model card."""
    config, preprocess, tokenizer = made_of
    out = settings.out
    export_model(model, preprocess, tokenizer, config, out, name=out.absolute().name, precision=settings.precision)
    run = facts["settings"] | {"start": settings.init, "interpolate": settings.interpolate}
    run = {name: value for name, value in run.items() if value not in (None, 0.0, [], ())}
    run |= {"steps": facts["total"], "records that could not be used": facts["bad"]}
    write_card(out, config, run, sources.describe(), measure(out, validation.data) if validation else [])


def take(parts: Iterator[Batch], count: int, processes: Processes) -> list[Batch]:
    """This process's parts of the next batch, moved to its device."""
    return [
        {key: tensor.to(processes.device, non_blocking=True) for key, tensor in part.items()}
        for part in islice(parts, count)
    ]


def sum_of_bad(batch: list[Batch]) -> torch.Tensor:
    """The number of unusable records in this process's share of a batch."""
    return torch.stack([part["bad"].sum() for part in batch]).sum()


def better(best: dict[str, float], reached: dict[str, float]) -> dict[str, float]:
    """The validation result with the higher zero-shot accuracy, or the higher recall@1 from text to image."""
    metric = "zero_shot" if "zero_shot" in reached else "text_to_image_r1"
    return reached if reached.get(metric, -1) > best.get(metric, -1) else best


def same_run(saved: dict[str, Any], now: dict[str, Any], progress: Progress = SILENT) -> dict[str, Any]:
    """The facts of the saved run. Raises InvalidInput if it cannot be continued with these settings or data.

    A run may go on with another learning rate, because a rate that is too high is why some runs fail.
    """
    before, wanted = saved["settings"], {n: list(v) if isinstance(v, tuple) else v for n, v in now["settings"].items()}
    for name in FIXED:
        if before.get(name) != wanted[name]:
            option = "--" + name.replace("_", "-")
            raise InvalidInput(
                f"cannot resume: the run was started with {option} {before.get(name)}, not {wanted[name]}"
            )
    if saved["total"] != now["total"]:
        raise InvalidInput(f"cannot resume: the data now gives {now['total']} steps, not {saved['total']}")
    if before.get("lr") != wanted["lr"]:
        progress.notice(f"the run was started with --lr {before.get('lr')} and continues with {wanted['lr']}")
    return saved | {"settings": before | {"lr": wanted["lr"]}}


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for the optimizer. Only matrices and filters decay, not gains, biases and the logit scale."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def learning_rate(step: int, total: int, peak: float, warmup: int) -> float:
    """Linear warm-up, then a cosine decay to zero."""
    warmup = min(warmup, total // 10)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
