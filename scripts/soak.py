#!/usr/bin/env python3
"""A long run of a tiny picture: does memory stay flat, and do the run's files stay bounded?

    scripts/soak.py                      # 100,000 iterations, some minutes on a processor core

Prints a line every ten seconds: iterations, the process's memory, the size of the run's folder,
open files. Needs Python's standard library alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impasto", default=ROOT / "target/release/impasto", help="the program")
    parser.add_argument("--iterations", type=int, default=100_000)
    parser.add_argument("--every", type=float, default=10, help="seconds between two lines")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [arguments.impasto, "run", ROOT / "assets/china.jpg", ROOT / "assets/night.jpg"]
        command += ["--headless", "--device", "cpu", "-o", Path(folder) / "out.png", "--run-dir", run]
        # Shallow layers, so that an iteration takes a millisecond.
        for setting in (
            f"schedule=[{{size: 24, iterations: {arguments.iterations}}}]",
            "content.layers={relu2_1: 1}",
            "style.layers={relu1_1: 1}",
            "optimizer={kind: adam, rate: 0.02}",
        ):
            command += ["--set", setting]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, "OMP_NUM_THREADS": "1"})
        print("iterations   memory kB   folder kB   files", flush=True)
        while process.poll() is None:
            time.sleep(arguments.every)
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                files = len(os.listdir(f"/proc/{process.pid}/fd"))
                memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
                step = (run / "metrics.jsonl").read_text().splitlines()[-1]
            except (OSError, StopIteration, IndexError):
                continue
            iteration = step.split('"iteration":')[1].split(",")[0]
            size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) // 1024
            print(f"{iteration:>10}  {memory:>10}  {size:>10}  {files:>6}", flush=True)
        sys.exit(process.returncode)


if __name__ == "__main__":
    main()
