#!/usr/bin/env bash
# Fetches NVRTC, NVIDIA's compiler as a library, for the test that compiles the CUDA
# kernels for every architecture, and prints where it is. No GPU is needed. (On a
# machine that paints on a GPU, libtorch brings its own.)
#
#   IMPASTO_NVRTC=$(scripts/nvrtc.sh) cargo test --release --lib cuda
set -euo pipefail

readonly package=nvidia-cuda-nvrtc==13.0.88
readonly folder=${XDG_CACHE_HOME:-$HOME/.cache}/impasto/nvrtc
readonly library=$folder/nvidia/cu13/lib/libnvrtc.so.13

if [[ ! -e $library ]]; then
    mkdir -p -- "${folder%/*}"
    partial=$(mktemp -d -- "$folder.XXXXXX")
    trap 'rm -rf -- "$partial"' EXIT
    python=python3
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv -- "$partial/venv" >&2
        python=$partial/venv/bin/python
    fi
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --target "$partial/nvrtc" "$package" >&2
    rm -rf -- "$folder"
    mv -- "$partial/nvrtc" "$folder"
fi
printf '%s\n' "$library"
