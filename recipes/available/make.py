"""Write searcher/models/available.json, which `searcher models list --available` shows.

    python recipes/available/make.py openclip_results.csv model_profile.csv

The two tables come from open_clip (docs/ of github.com/mlfoundations/open_clip). The models that run without torch are
those that Immich publishes on the hub (immich_ml/models/constants.py of github.com/immich-app/immich).
"""

import csv
import json
import sys
from pathlib import Path

import open_clip

TARGET = Path(__file__).parents[2] / "searcher/models/available.json"
LEAST = 0.3  # ImageNet top-1; weights below this were published for research on training data, not for searching
IMMICH = [
    "RN101__openai",
    "RN101__yfcc15m",
    "RN50__cc12m",
    "RN50__openai",
    "RN50__yfcc15m",
    "RN50x16__openai",
    "RN50x4__openai",
    "RN50x64__openai",
    "ViT-B-16-SigLIP-256__webli",
    "ViT-B-16-SigLIP-384__webli",
    "ViT-B-16-SigLIP-512__webli",
    "ViT-B-16-SigLIP-i18n-256__webli",
    "ViT-B-16-SigLIP__webli",
    "ViT-B-16-plus-240__laion400m_e31",
    "ViT-B-16-plus-240__laion400m_e32",
    "ViT-B-16__laion400m_e31",
    "ViT-B-16__laion400m_e32",
    "ViT-B-16__openai",
    "ViT-B-32__laion2b-s34b-b79k",
    "ViT-B-32__laion2b_e16",
    "ViT-B-32__laion400m_e31",
    "ViT-B-32__laion400m_e32",
    "ViT-B-32__openai",
    "ViT-H-14-378-quickgelu__dfn5b",
    "ViT-H-14-quickgelu__dfn5b",
    "ViT-H-14__laion2b-s32b-b79k",
    "ViT-L-14-336__openai",
    "ViT-L-14-quickgelu__dfn2b",
    "ViT-L-14__laion2b-s32b-b82k",
    "ViT-L-14__laion400m_e31",
    "ViT-L-14__laion400m_e32",
    "ViT-L-14__openai",
    "ViT-L-16-SigLIP-256__webli",
    "ViT-L-16-SigLIP-384__webli",
    "ViT-SO400M-14-SigLIP-384__webli",
    "ViT-g-14__laion2b-s12b-b42k",
    "XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k",
    "XLM-Roberta-Large-ViT-H-14__frozen_laion5b_s13b_b90k",
    "nllb-clip-base-siglip__mrl",
    "nllb-clip-base-siglip__v1",
    "nllb-clip-large-siglip__mrl",
    "nllb-clip-large-siglip__v1",
    "ViT-B-16-SigLIP2__webli",
    "ViT-B-32-SigLIP2-256__webli",
    "ViT-L-16-SigLIP2-256__webli",
    "ViT-L-16-SigLIP2-384__webli",
    "ViT-L-16-SigLIP2-512__webli",
    "ViT-SO400M-14-SigLIP2-378__webli",
    "ViT-SO400M-14-SigLIP2__webli",
    "ViT-SO400M-16-SigLIP2-256__webli",
    "ViT-SO400M-16-SigLIP2-384__webli",
    "ViT-SO400M-16-SigLIP2-512__webli",
    "ViT-gopt-16-SigLIP2-256__webli",
    "ViT-gopt-16-SigLIP2-384__webli",
]
MULTILINGUAL = ("xlm-roberta", "mt5", "nllb", "i18n", "siglip2", "worldwide")


def plain(name: str) -> str:
    return name.lower().replace("-", "_")


def main(results_csv: str, profile_csv: str) -> None:
    """Join open_clip's registry with its published results, and write the file."""
    with Path(results_csv).open() as file:
        results = {(row["name"], row["pretrained"]): row for row in csv.DictReader(file)}
    with Path(profile_csv).open() as file:
        profiles = {row["model"]: row for row in csv.DictReader(file)}
    published = {plain(name): f"immich-app/{name}" for name in IMMICH}
    rows = []
    for architecture, tag in open_clip.list_pretrained():
        config = open_clip.get_model_config(architecture)
        result = results.get((architecture, tag))
        accuracy = round(float(result["ImageNet 1k"]), 3) if result else None
        if config is None or (accuracy is not None and accuracy < LEAST):
            continue
        profile = profiles.get(architecture)
        millions = result["params (M)"] if result else profile["mparams"] if profile else None
        size = config["vision_cfg"].get("image_size", 224)
        multilingual = any(word in f"{architecture} {tag}".lower() for word in MULTILINGUAL)
        rows.append(
            {
                "name": f"{architecture}/{tag}",
                "hub": published.get(plain(f"{architecture}__{tag}")),
                "dim": config["embed_dim"],
                "image_size": min(size) if isinstance(size, list) else size,
                "millions": None if millions is None else round(float(millions)),
                "languages": None if multilingual else ["en"],
                "imagenet": accuracy,
            }
        )
    rows.sort(key=lambda row: (row["millions"] or 10**6, row["name"]))
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    architectures = json.dumps(open_clip.list_models())
    TARGET.write_text(f'{{"architectures": {architectures},\n"models": [\n{lines}\n]}}\n')
    missing = set(published.values()) - {row["hub"] for row in rows}
    without = sum(row["hub"] is not None for row in rows)
    print(f"{len(rows)} models, {without} without torch; not matched: {missing or 'none'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
