#!/usr/bin/env bash
# The tests on every Python from 3.11 that is installed, and with the lowest versions that pyproject.toml states.
#   bash scripts/ci_full.sh                                  # all of them
#   bash scripts/ci_full.sh lowest 3.13 -- tests/retrieval   # these, and what pytest is given
set -euo pipefail
wanted=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do wanted+=("$1"); shift; done
[ $# -eq 0 ] || shift
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

interpreter() { # of a minor version; nothing where none runs
    local python
    for python in "python3.$1" "$HOME/.pyenv/versions/3.$1".*/bin/python; do
        if "$python" -c "import sys; sys.exit(sys.version_info[1] != $1)" 2>/dev/null; then echo "$python"; return; fi
    done
}

failed=()
[ ${#wanted[@]} -gt 0 ] || wanted=(lowest 3.11 3.12 3.13 3.14)
for name in "${wanted[@]}"; do
    case $name in
    lowest) check lowest 3.11 lowest-direct "$@" ;;
    3.*)
        python=$(interpreter "${name#3.}")
        if [ -n "$python" ]; then check "$name" "$python" highest "$@"; else echo "$name: not installed, not run"; fi
        ;;
    *)
        echo "no such environment: $name (lowest, 3.11, 3.12 ...)" >&2
        exit 2
        ;;
    esac
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
