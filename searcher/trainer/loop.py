"""The contrastive loop, to be read from top to bottom: data → augment → encode → loss → step."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor, nn

from searcher.datasets import ClassFolder, Pair, Source, read_class_folder, read_source
from searcher.errors import SearcherError
from searcher.photos.decode import open_photo
from searcher.trainer import checkpoint
from searcher.trainer.curves import draw_curves
from searcher.trainer.data import Augment, PairDataset, Schedule, SentenceDataset, loader
from searcher.trainer.export import export_model
from searcher.trainer.loss import clip_loss, distillation_loss, prototype_loss

MAX_LOGIT_SCALE = math.log(100)  # Radford et al. 2021, section 2.5
LOG_EVERY = 20  # steps
SAVE_EVERY = 300  # seconds between two checkpoints
VAL_IMAGES = 2000  # at most, evenly spaced


@dataclass(frozen=True)
class Settings:
    """One run. Times are in epochs or steps; the defaults suit a small model on a CPU."""

    sources: tuple[Path, ...]
    out: Path
    model: str = "resnet18-48"
    weights: tuple[float, ...] = ()  # how often an epoch takes each record of a source
    init: Path | None = None  # an open_clip checkpoint to start from
    freeze: str | None = None  # "image" or "text": the tower that is not trained
    val: Path | None = None  # class folders for the zero-shot accuracy while training
    epochs: float = 10.0
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 200  # steps
    workers: int = 1
    seed: int = 0
    precision: str = "float32"  # of the exported model folder
    resume: bool = False


def train(settings: Settings, report: Callable[[dict[str, Any]], None]) -> Path:
    """Train, and leave in `settings.out` an open_clip checkpoint, the model folder for search, metrics and curves.

    `report` is called with each line of `metrics.jsonl`. Returns the folder. Raises SearcherError in one line.
    """
    out = settings.out
    state = out / checkpoint.STATE
    if state.exists() and not settings.resume:
        raise SearcherError(f"{out} holds a run already: --resume continues it, or choose another --out")
    config = checkpoint.model_config(settings.model)
    sources = open_sources(settings)
    classes = read_class_folder(settings.val) if settings.val else None
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    model: Any
    model, tokenizer = checkpoint.create(config, out)
    if settings.init:
        checkpoint.load_weights(model, settings.init)
    model = model.to(memory_format=torch.channels_last)
    freeze(model, settings.freeze)

    # The whole picture squashed into the square: a search should see what lies at the edges, too.
    preprocess = dict(open_clip.get_model_preprocess_cfg(model)) | {"resize_mode": "squash"}
    augment = Augment(int(np.max(preprocess["size"])), preprocess["mean"], preprocess["std"])
    dataset, weights = open_dataset(settings, sources, augment, tokenizer)
    schedule = Schedule(weights, settings.batch_size, settings.seed)
    total = max(1, round(settings.epochs * schedule.steps_per_epoch))

    optimizer = torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay), lr=settings.lr, betas=(0.9, 0.98), fused=True
    )
    step, bad = 0, sum(len(source.bad) for source in sources) if isinstance(sources, list) else 0
    if settings.resume and state.exists():
        facts = checkpoint.load_state(state, model, optimizer)
        step, bad = facts["step"], facts["bad"]
    metrics = Metrics(out, step, report)

    frozen = FrozenText(model, tokenizer, dataset) if settings.freeze == "text" else None
    saved = started = time.monotonic()
    seen = 0
    for batch in loader(dataset, schedule.from_step(step, total), settings.workers):
        lr = learning_rate(step, total, settings.lr, settings.warmup)
        for group in optimizer.param_groups:
            group["lr"] = lr
        bad += int(batch.pop("bad"))
        if not batch:
            raise SearcherError("no image of a whole batch could be read")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = batch_loss(model, batch, settings.freeze, frozen)
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        step += 1
        seen += len(batch["texts"])

        last = step == total
        if last or step % LOG_EVERY == 0:
            rate = seen / (time.monotonic() - started)
            line = {
                "step": step,
                "epoch": step / schedule.steps_per_epoch,
                "loss": round(loss.item(), 5),
                "lr": lr,
                "logit_scale": round(model.logit_scale.exp().item(), 3),
                "gradient": round(gradient.item(), 4),
                "per_second": round(rate, 1),
                "seconds_left": round((total - step) * settings.batch_size / rate),
                "bad": bad,
            }
            if classes and (last or step % (LOG_EVERY * 20) == 0):
                line["zero_shot"] = round(zero_shot(model, tokenizer, augment, classes), 4)
            metrics.write(line)
        if last or time.monotonic() - saved > SAVE_EVERY:
            checkpoint.save_state(state, model, optimizer, {"step": step, "bad": bad})
            draw_curves(metrics.path, out / "curves.png")
            saved = time.monotonic()

    checkpoint.save_open_clip(out, model, config, preprocess)
    export_model(model, preprocess, tokenizer, config, out, name=out.name, precision=settings.precision)
    return out


def batch_loss(model: Any, batch: dict[str, Tensor], freeze: str | None, frozen: "FrozenText | None") -> Tensor:
    """The loss of one batch: contrastive where it has images, distillation where it has a teacher's embeddings."""
    if "teacher" in batch:
        return distillation_loss(model.encode_text(batch["texts"], normalize=True), batch["teacher"])
    text = frozen.features(batch) if frozen else model.encode_text(batch["texts"], normalize=True)
    pixels = batch["images"].contiguous(memory_format=torch.channels_last)
    with torch.set_grad_enabled(freeze != "image"):
        image = model.encode_image(pixels, normalize=True)
    with torch.autocast("cpu", enabled=False):
        scale = model.logit_scale.exp()
        loss = clip_loss(image.float(), text.float(), scale, batch["ids"])
        if frozen and frozen.prototypes is not None:
            loss = loss + prototype_loss(image.float(), frozen.prototypes, scale, batch["classes"])
    return loss


class FrozenText:
    """What a text tower that is not trained says, computed once: of each caption, and of each class as a whole."""

    @torch.no_grad()
    def __init__(self, model: Any, tokenizer: Any, dataset: Any) -> None:
        self.model, self.known = model, dict[int, Tensor]()
        self.prototypes: Tensor | None = None  # float32 [classes, d], unit length
        if len(getattr(dataset, "captions_of", ())) > 1:
            means = [
                model.encode_text(tokenizer(list(captions)), normalize=True).float().mean(0)
                for captions in dataset.captions_of.values()
            ]
            self.prototypes = nn.functional.normalize(torch.stack(means), dim=-1)

    @torch.no_grad()
    def features(self, batch: dict[str, Tensor]) -> Tensor:
        """Text features [n, d] of a batch: each caption is encoded once in a run."""
        captions = batch["ids"][:, 0].tolist()
        new = {caption: row for row, caption in enumerate(captions) if caption not in self.known}
        if new:
            features = self.model.encode_text(batch["texts"][list(new.values())], normalize=True).float()
            self.known.update(zip(new, features, strict=True))
        return torch.stack([self.known[caption] for caption in captions])


def open_sources(settings: Settings) -> list[Source] | Path:
    """The pairs of all sources, or the one file of sentences. Raises SearcherError before anything is written."""
    if settings.weights and len(settings.weights) != len(settings.sources):
        raise SearcherError(f"{len(settings.weights)} weights for {len(settings.sources)} sources")
    texts = [path for path in settings.sources if path.suffix == ".txt"]
    if not texts:
        return [read_source(path) for path in settings.sources]
    if len(settings.sources) > 1 or settings.freeze != "image":
        raise SearcherError("sentences are a source of their own: give one .txt file, and --freeze image")
    if not texts[0].is_file():
        raise SearcherError(f"no such file: {texts[0]}")
    return texts[0]


def open_dataset(
    settings: Settings, sources: list[Source] | Path, augment: Augment, tokenizer: Any
) -> tuple[Any, np.ndarray]:
    """The records of all sources and the weight of each: float [records]."""
    if isinstance(sources, Path):
        sentences = SentenceDataset(sources, tokenizer)
        return sentences, np.ones(len(sentences.sentences))
    pairs: list[Pair] = []
    per_pair: list[float] = []
    for source, weight in zip(sources, settings.weights or (1.0,) * len(sources), strict=True):
        pairs += source.pairs
        per_pair += [weight] * len(source.pairs)
    return PairDataset(pairs, augment, tokenizer, settings.seed), np.array(per_pair)


def freeze(model: Any, tower: str | None) -> None:
    """Lock one tower: no gradients, and no running statistics either."""
    model.train()
    if tower is None:
        return
    image = set(model.visual.parameters())
    for name, parameter in model.named_parameters():
        if name != "logit_scale" and (parameter in image) == (tower == "image"):
            parameter.requires_grad_(False)
    if tower == "image":
        model.visual.eval()
    else:
        for name, child in model.named_children():
            if name != "visual":
                child.eval()


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay on matrices and filters only: not on gains, biases and the logit scale."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def learning_rate(step: int, total: int, peak: float, warmup: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warmup = min(warmup, total // 10)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


@torch.no_grad()
def zero_shot(model: Any, tokenizer: Any, augment: Augment, classes: ClassFolder) -> float:
    """Top-1 accuracy of naming images by `a photo of a …`, over at most VAL_IMAGES images."""
    images = [(path, label) for label, paths in enumerate(classes.images) for path in paths]
    images = images[:: math.ceil(len(images) / VAL_IMAGES)]
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prompts = model.encode_text(tokenizer([f"a photo of a {name}" for name in classes.names]), normalize=True)
        hits = 0
        for start in range(0, len(images), 250):
            part = images[start : start + 250]
            pixels = torch.stack([augment.plain(open_photo(path).image) for path, _ in part])
            nearest = (model.encode_image(pixels, normalize=True) @ prompts.T).argmax(1)
            hits += int((nearest == torch.tensor([label for _, label in part])).sum())
    for module, training in was_training.items():
        module.training = training
    return hits / len(images)


class Metrics:
    """`metrics.jsonl`, cut back to the step that a run resumes from."""

    def __init__(self, out: Path, step: int, report: Callable[[dict[str, Any]], None]) -> None:
        self.path, self.report = out / "metrics.jsonl", report
        lines = self.path.read_text().splitlines() if step and self.path.exists() else []
        self.path.write_text("".join(f"{line}\n" for line in lines if json.loads(line)["step"] <= step))

    def write(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.report(line)
