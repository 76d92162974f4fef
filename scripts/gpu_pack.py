#!/usr/bin/env python3
"""Packs what `make gpu-check` needs into one archive, for a GPU machine without a
compiler or a network: `make gpu-pack`. There it takes two commands:

    tar xf impasto-gpu-check.tar.xz
    impasto-gpu-check/scripts/gpu_check.py

(`python3 -m tarfile -e impasto-gpu-check.tar.xz` where tar has no xz.) The folder is
laid out as the repository is, so the check finds everything by itself. libtorch is
that of the machine's Python, or of $LIBTORCH.
"""

import argparse
import json
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "impasto-gpu-check"

# The weights are in the archive three times: as a file, and in both binaries. A
# dictionary that reaches back from one to the next stores them once.
DICTIONARY = 64 << 20

FILES = [
    "scripts/gpu_check.py",
    "scripts/gpu_check_client.py",
    "scripts/gpu_check_pytorch.py",
    "weights/vgg16.safetensors",
    "assets/china.jpg",
    "assets/night.jpg",
]


def built_tests():
    """Builds the engine's tests, and gives the path of their binary."""
    command = ["cargo", "test", "--release", "--locked", "--package", "impasto-engine", "--lib", "--no-run"]
    command += ["--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("the tests could not be built")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "impasto_engine":
            return Path(message["executable"])
    sys.exit("cargo named no test binary")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/impasto")
    parser.add_argument("--tests", type=Path, help="built by cargo unless it is given")
    parser.add_argument("--output", type=Path, default=Path(f"{FOLDER}.tar.xz"))
    options = parser.parse_args()
    tests = options.tests or built_tests()
    contents = [(ROOT / name, name) for name in FILES]
    contents.append((options.binary, "target/release/impasto"))
    contents.append((tests, "target/release/deps/impasto_engine-tests"))
    for path, _ in contents:
        if not path.is_file():
            sys.exit(f"there is no {path}: build it with `make build`")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": DICTIONARY}]
    with lzma.open(options.output, "wb", filters=filters) as packed:
        with tarfile.open(fileobj=packed, mode="w|") as archive:
            for path, name in contents:
                archive.add(path, f"{FOLDER}/{name}")
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
