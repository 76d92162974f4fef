#!/usr/bin/env bash
# Installs TensorBoard into a virtual environment, for the test that reads exported runs
# back with it, and prints the environment's Python.
#
#   IMPASTO_TENSORBOARD_PYTHON=$(scripts/tensorboard.sh) cargo test --release --test tensorboard
set -euo pipefail
cd "$(dirname "$0")/.."

readonly version=2.21.0
target=${CARGO_TARGET_DIR:-target}
mkdir -p -- "$target"
target=$(cd -- "$target" && pwd)
readonly folder=$target/tensorboard-venv
readonly python=$folder/bin/python

complete() {
    "$python" - "$version" 2>/dev/null <<'END'
import sys
from tensorboard import version
from tensorboard.backend.event_processing import event_accumulator
sys.exit(version.VERSION != sys.argv[1])
END
}

# One whose packages did not all arrive counts as none.
if ! complete; then
    rm -rf -- "$folder"
    if python3 -c 'import ensurepip' 2>/dev/null; then
        python3 -m venv -- "$folder" >&2
        pip=("$python" -m pip)
    else
        # Debian has pip without what a virtual environment gets its own from.
        python3 -m venv --without-pip -- "$folder" >&2
        pip=(python3 -m pip --python "$python")
    fi
    "${pip[@]}" install --quiet --disable-pip-version-check "tensorboard==$version" >&2
fi
printf '%s\n' "$python"
