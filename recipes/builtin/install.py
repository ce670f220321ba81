"""Put a trained checkpoint into the package as the model in the box: install.py CHECKPOINT searcher/models/builtin

Weights are stored as int8, one scale an output channel, and computed in float32 (`compact`); the card is card.md.
"""

import shutil
import sys
from pathlib import Path

from searcher.models.folder import CARD
from searcher.trainer.export import export_checkpoint

HERE = Path(__file__).parent
LIMIT = 25_000_000  # bytes, in every clone for ever


def main(checkpoint: Path, folder: Path) -> None:
    export_checkpoint(
        checkpoint,
        folder,
        name="builtin",
        precision="compact",
        version="2",
        description="A small pair of encoders, trained from nothing on public photos by recipes/builtin.",
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
