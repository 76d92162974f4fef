#!/usr/bin/env python3
"""Which schedule and optimizer reaches a low total loss soonest.

Every way paints the same pairs with the losses of the preset neural-style, the last
scale being of one size for all, and `impasto measure` measures the finished pictures in
float32. What comes out is a table: time and total of each way over those of the plain
one, which has the schedule of the program neural-style: one scale, from noise, L-BFGS,
500 iterations.

    scripts/compare_schedules.py                          # all ways, five bundled pairs
    scripts/compare_schedules.py --only plain "two scales"  # these alone
    scripts/compare_schedules.py --results FILE           # go on where FILE ends
    scripts/compare_schedules.py --reference PYTHON       # and neural-style's own loop

With --reference, that program's own loop in PyTorch (tests/oracle/neural_style.py) paints
too, by the Python named, which must have torch, numpy and Pillow; its pictures are
measured as all others are. A second table then tells when each way first has the total
that this loop ends with, before it clamps its pixels to save them.

Needs Python's standard library alone. Let nothing else run meanwhile: it takes hours on a
few processor cores.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PAIRS = ["china:night", "chelsea:mosaic", "coffee:wave", "chelsea:hatching", "china:meadow"]

LBFGS = "kind: lbfgs"
PLAIN = "plain"
REFERENCE = "neural-style's own loop"


def adam(rate):
    return f"kind: adam, rate: {rate}"


# A way: what it starts from, its optimizer, and its scales, each a share of the last
# one's size and a number of iterations. "three scales, longer" is the default preset's.
WAYS = {
    PLAIN: ("noise", LBFGS, [(1, 500)]),
    "from the content": ("content", LBFGS, [(1, 500)]),
    "two scales": ("content", LBFGS, [(1 / 2, 40), (1, 115)]),
    "two scales, longer": ("content", LBFGS, [(1 / 2, 60), (1, 260)]),
    "three scales": ("content", LBFGS, [(1 / 4, 60), (1 / 2, 50), (1, 103)]),
    "three scales, longer": ("content", LBFGS, [(1 / 4, 60), (1 / 2, 50), (1, 260)]),
    "four scales": ("content", LBFGS, [(1 / 4, 80), (1 / 2, 80), (0.707, 50), (1, 75)]),
    "three scales, from noise": ("noise", LBFGS, [(1 / 4, 60), (1 / 2, 50), (1, 103)]),
    "three scales, Adam 0.02": ("content", adam(0.02), [(1 / 4, 60), (1 / 2, 50), (1, 103)]),
    "three scales, Adam 0.05": ("content", adam(0.05), [(1 / 4, 60), (1 / 2, 50), (1, 103)]),
}


def picture(name):
    """A bundled picture by its name, or any file."""
    bundled = ROOT / "assets" / f"{name}.jpg"
    return bundled if bundled.exists() else Path(name)


def measured(arguments, pair, way, folder):
    """Paints one pair one way, and measures the picture. Returns what it took and what came of it."""
    content, style = (picture(name) for name in pair.split(":"))
    output = folder / "painted.png"
    if way == REFERENCE:
        painted = paint_by_reference(arguments, content, style, output)
    else:
        painted = paint(arguments, content, style, way, output)
    command = [arguments.impasto, "measure", output, content, style]
    command += ["--preset", "neural-style", "--device", arguments.device, "--json"]
    losses = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return {"pair": pair, "way": way, "size": arguments.size, "total": losses["total"]} | painted


def paint_by_reference(arguments, content, style, output):
    """Paints by neural-style's own loop. Returns the seconds that it took, without its preparations, and its
    total before pixels are clamped."""
    _, _, [(_, iterations)] = WAYS[PLAIN]
    command = [arguments.reference, ROOT / "tests/oracle/neural_style.py", "--content", content, "--style", style]
    command += ["--size", str(arguments.size), "--iterations", str(iterations), "--output", output]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(run.stdout, end="", flush=True)
    seconds, unclamped = re.match(r".*: (\d+) s, total ([^,]+),", run.stdout.splitlines()[-1]).groups()
    return {"seconds": float(seconds), "iterations": iterations, "unclamped": float(unclamped)}


def paint(arguments, content, style, way, output):
    """Paints by impasto. Returns the seconds that it took, and at which second its last scale first had which
    total."""
    start, optimizer, scales = WAYS[way]
    size, device = arguments.size, arguments.device
    schedule = ", ".join(f"{{size: {round(size * share)}, iterations: {count}}}" for share, count in scales)
    settings = [f"start={start}", f"optimizer={{{optimizer}}}", f"schedule=[{schedule}]"]
    command = [arguments.impasto, "run", content, style, "--preset", "neural-style", "--device", device, "-o", output]
    command += [word for setting in settings for word in ("--set", setting)] + ["--headless", "--events", "-"]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed: {run.stderr}")
    events = [json.loads(line) for line in run.stdout.splitlines()]
    finished = next(event for event in events if event["event"] == "finished")
    curve, least = [], math.inf
    for step in (event for event in events if event["event"] == "step" and event["scale"] == len(scales)):
        if step["total"] < least:
            least = step["total"]
            curve.append((step["iteration"], round(step["elapsed"], 2), float(f"{least:.6g}")))
    return {"seconds": finished["elapsed"], "iterations": finished["iterations"], "curve": curve}


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(results, pairs, ways):
    """Time and total over the plain way's: a mean, and the totals pair by pair."""
    found = {(result["way"], result["pair"]): result for result in results}
    print(f"\n| way | scales | time | total | {' | '.join(pair.replace(':', ', ') for pair in pairs)} |")
    print(f"| --- | --- | --- | --- |{' --- |' * len(pairs)}")
    for way in ways:
        if not all((way, pair) in found and (PLAIN, pair) in found for pair in pairs):
            continue
        time, total = (
            [found[way, pair][what] / found[PLAIN, pair][what] for pair in pairs] for what in ("seconds", "total")
        )
        scales = ", ".join(f"{share:.3g}×{count}" for share, count in WAYS[PLAIN if way == REFERENCE else way][2])
        totals = " | ".join(f"{value:.3f}" for value in total)
        print(f"| {way} | {scales} | {mean(time):.3f} | {mean(total):.3f} | {totals} |")


def reached(result, total):
    """The seconds and iterations of the last scale after which a painting first had this total, if it ever had."""
    before = sum(count for _, count in WAYS[result["way"]][2][:-1])
    return next(((seconds, at - before) for at, seconds, least in result["curve"] if least <= total), None)


def table_of_times(results, pairs, ways):
    """When each way had the total of neural-style's own loop, and how it ended: shares of that loop's time and
    total, and the last scale's iterations."""
    found = {(result["way"], result["pair"]): result for result in results}
    print(f"\n| way | scales | {' | '.join(pair.replace(':', ', ') for pair in pairs)} |")
    print(f"| --- | --- |{' --- |' * len(pairs)}")
    if not all("unclamped" in found.get((REFERENCE, pair), {}) for pair in pairs):
        return
    for way in ways:
        if not all("curve" in found.get((way, pair), {}) for pair in pairs):
            continue
        cells = []
        for pair in pairs:
            reference, painted = found[REFERENCE, pair], found[way, pair]
            total, seconds = reference["unclamped"], reference["seconds"]
            first = reached(painted, total)
            cell = f"after {first[0] / seconds:.2f} ({first[1]} iterations)" if first else "not reached"
            cells.append(f"{cell}; {painted['total'] / total:.3f} after {painted['seconds'] / seconds:.2f}")
        scales = ", ".join(f"{share:.3g}×{count}" for share, count in WAYS[way][2])
        print(f"| {way} | {scales} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impasto", default=ROOT / "target/release/impasto", help="the program")
    parser.add_argument("--size", type=int, default=512, help="long side of the last scale")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pairs", nargs="+", default=PAIRS, metavar="CONTENT:STYLE", help="bundled names or files")
    parser.add_argument("--only", nargs="+", metavar="WAY", help="these ways alone")
    parser.add_argument("--reference", metavar="PYTHON", help="neural-style's own loop too, by this Python")
    parser.add_argument("--results", type=Path, help="keep results here, one JSON object a line, and go on from it")
    arguments = parser.parse_args()

    ways = [way for way in WAYS if way in (arguments.only or WAYS)]
    ways += [REFERENCE] if arguments.reference else []
    results = []
    if arguments.results and arguments.results.exists():
        lines = arguments.results.read_text().splitlines()
        results = [result for result in map(json.loads, lines) if result["size"] == arguments.size]
    done = {(result["way"], result["pair"]) for result in results}
    with tempfile.TemporaryDirectory() as folder:
        for pair in arguments.pairs:
            for way in ways:
                if (way, pair) in done:
                    continue
                result = measured(arguments, pair, way, Path(folder))
                print(f"{pair}, {way}: {result['seconds']:.1f} s, total {result['total']:.6g}", flush=True)
                results.append(result)
                if arguments.results:
                    with arguments.results.open("a") as out:
                        out.write(json.dumps(result) + "\n")
    if PLAIN in ways:
        table(results, arguments.pairs, ways)
    if REFERENCE in ways:
        table_of_times(results, arguments.pairs, ways)


if __name__ == "__main__":
    main()
