#!/usr/bin/env bash
# All trainings of both reports and the release on one GPU, in minutes, with longer schedules than a CPU affords.
#
#   busi pack --data BUSI --data BUS-BRA --data BUS-UCLM --data BrEaST --out packed/hospitals.zip   # where the data are
#   OUT=results benchmarks/gpu_training.sh packed/hospitals.zip        # on the machine with the GPU
#
# EPOCHS, BATCH and WHAT (abroad, home, release: those to run) can be set. In $OUT lie a weights.tar for each study and
# its reports, each below 16 MiB; the studies themselves stay in runs/ and are resumed by the same command.
set -euo pipefail
cd "$(dirname "$0")/.."
packed=$1
: "${OUT:?name a folder for the results}" "${EPOCHS:=40}" "${BATCH:=32}" "${WHAT:=abroad release home}" "${RUNS:=runs/gpu}"
mkdir -p "$OUT" "$RUNS"

data=()
while read -r folder; do data+=(--data "$folder"); done < <(python - "$packed" "$RUNS/data" <<'PYTHON'
import sys

from busi_model.training.data.pack import unpack

print(*unpack(*sys.argv[1:]), sep="\n")
PYTHON
)
recipe=(--epochs "$EPOCHS" --batch "$BATCH" --start-size 0.75)
if [ "${TINY:-}" ]; then recipe+=(--size 64 --device cpu); fi  # tried where there is no GPU

for what in $WHAT; do
    case $what in
        abroad) python train.py "${data[@]}" "${recipe[@]}" --leave-one-out --out "$RUNS/abroad" ;;
        home) python train.py "${data[@]}" "${recipe[@]}" --cross-validate --out "$RUNS/home" ;;
        release)
            python train.py "${data[@]}" "${recipe[@]}" --folds all --operating-point "$RUNS/abroad" --out "$RUNS/release"
            tar -cf "$OUT/release-weights.tar" -C "$RUNS/release" weights
            ;;
    esac
    if [ -d "$RUNS/$what/evaluation" ]; then
        tar -czf "$OUT/$what-report.tar.gz" -C "$RUNS/$what" evaluation operating_point.json
    fi
done
