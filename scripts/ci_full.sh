#!/usr/bin/env bash
# The tests on every Python from 3.11 that is installed, and with the lowest versions that pyproject.toml states.
#   bash scripts/ci_full.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
export OBSNET_SAMPLE_DATA="${OBSNET_SAMPLE_DATA:-$(cd .. && pwd)/shared/data}" MPLBACKEND=Agg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [ -e "$file" ] && printf '%s\0' "$file"
done | tar --null -T - -cf - | tar -xf - -C "$work/tree"
cd "$work/tree"

python3 -m venv "$work/uv" && "$work/uv/bin/pip" install -q uv
uv="$work/uv/bin/uv"

check() { # name, interpreter, resolution, pytest arguments
    local name=$1 python=$2 resolution=$3
    shift 3
    printf '\n=== %s\n' "$name"
    "$uv" venv -q --python "$python" "$work/$name"
    "$uv" pip install -q --python "$work/$name/bin/python" --resolution "$resolution" \
        --index-strategy unsafe-best-match '.[test]'
    "$work/$name/bin/python" -c 'import sys, numpy, scipy, xarray; print(sys.version.split()[0], numpy.__version__, scipy.__version__, xarray.__version__)'
    "$work/$name/bin/python" -m pytest -q "$@" && echo "$name: passed" || { echo "$name: FAILED"; failed+=("$name"); }
}

failed=()
check lowest 3.11 lowest-direct "$@"
for minor in 11 12 13 14; do
    python=$(command -v "python3.$minor" || ls "$HOME/.pyenv/versions/3.$minor".*/bin/python 2>/dev/null | tail -n 1 || true)
    if [ -n "$python" ]; then check "python3.$minor" "$python" highest "$@"; else echo "python3.$minor: not installed, not run"; fi
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
