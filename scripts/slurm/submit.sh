#!/usr/bin/env bash
# Hands the scripts of this folder in, each to begin when the one before has ended well: submit.sh [SCRIPT...]
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p logs
[ "$#" -gt 0 ] || set -- [0-9]*.sbatch
before=""
for script in "$@"; do
    before="$(sbatch --parsable ${before:+--dependency=afterok:$before --kill-on-invalid-dep=yes} "$script")"
    before="${before%%;*}"
    echo "$script: job $before"
done
