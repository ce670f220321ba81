"""Put a trained checkpoint into the package as the built-in model: install.py CHECKPOINT searcher/models/builtin

Weights are stored as int8 with one scale per output channel, and computed in float32. The card is card.md.
"""

import shutil
import sys
from pathlib import Path

from searcher.models.layout import CARD
from searcher.trainer.export import export_model, open_checkpoint

HERE = Path(__file__).parent
LIMIT = 32_000_000  # bytes: every clone carries them


def main(checkpoint: Path, folder: Path) -> None:
    model, tokenizer, config = open_checkpoint(checkpoint)
    export_model(
        model,
        model.visual.preprocess_cfg,
        tokenizer,
        config,
        folder,
        name="builtin",
        precision="compact",
        version="9",
        description="EfficientNet-Lite0 and all-MiniLM-L6-v2, joined by recipes/builtin.",
        source="recipes/builtin",
        languages=["en"],
        licence="Apache-2.0 (see the card for the data)",
    )
    shutil.copyfile(HERE / "card.md", folder / CARD)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB")
    if size > LIMIT:
        sys.exit(f"more than {LIMIT / 1e6:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
