#!/usr/bin/env python3
"""Measure what the dashboard costs, in one run, on this machine.

Four figures: how long after launch the first frame stands and the first iteration
is done, how long a key takes to show while the painter is busy, and the time of an
iteration under the dashboard compared with one of a headless run. The two kinds of
run take turns, so that a machine that gets slower gets slower for both.

    scripts/measure_dashboard.py [--binary target/release/impasto] [--size 512]

Only the standard library is used. The dashboard runs in a pseudo-terminal of
120x36 cells whose output is read and thrown away.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, ROWS = 120, 36
END_OF_FRAME = b"\x1b[?2026l"


def homes(folder):
    """Where state and runs go: nothing of this stays."""
    return {"XDG_STATE_HOME": str(folder / "state"), "XDG_DATA_HOME": str(folder / "data")}


class Dashboard:
    """impasto in a pseudo-terminal of its own."""

    def __init__(self, arguments, folder):
        environment = dict(os.environ, TERM="xterm-256color", COLORTERM="truecolor")
        for name in ("TMUX", "STY", "SSH_CONNECTION", "SSH_TTY", "NO_COLOR"):
            environment.pop(name, None)
        environment |= homes(folder)
        self.began = time.monotonic()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.execve(arguments[0], arguments, environment)

    def read(self, seconds):
        """What came within so many seconds at most; None at the end."""
        if not select.select([self.terminal], [], [], max(seconds, 0))[0]:
            return b""
        try:
            return os.read(self.terminal, 1 << 16) or None
        except OSError:
            return None

    def wait_for(self, *wanted, seconds=120):
        """Reads until one of the texts comes; gives the time that took."""
        start, seen = time.monotonic(), b""
        while time.monotonic() - start < seconds:
            came = self.read(0.05)
            if came is None:
                break
            seen = (seen + came)[-(1 << 18):]
            if any(text in seen for text in wanted):
                return time.monotonic() - start
        sys.exit(f"the dashboard never showed {wanted}; its last words: {seen[-300:]!r}")

    def press(self, key):
        os.write(self.terminal, key)

    def drain(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read(end - time.monotonic()) is not None:
            pass

    def stop(self):
        """Ends the run, and reads on until the process ends."""
        self.press(b"\x03")
        # The question's letters come in pieces: cells that stay are not sent.
        self.drain(0.5)
        self.press(b"s")
        self.finish()

    def finish(self):
        """Reads on until the process ends."""
        while self.read(1) is not None:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def run_arguments(options, folder, iterations, name, size=None):
    assets = ROOT / "assets"
    schedule = f"schedule=[{{size: {size or options.size}, iterations: {iterations}}}]"
    return [
        str(options.binary), "run", str(assets / "china.jpg"), str(assets / "night.jpg"),
        "-o", str(folder / f"{name}.png"), "--preset", "neural-style", "--set", "optimizer=adam",
        "--set", schedule, "--device", options.device, "--events", str(folder / f"{name}.json"),
    ]


def iteration_times(events):
    elapsed = [
        step["elapsed"]
        for step in map(json.loads, events.read_text().splitlines())
        if step["event"] == "step"
    ]
    # The first iterations warm the caches.
    return [after - before for before, after in zip(elapsed[2:], elapsed[3:])]


def first_frame(options, folder):
    arguments = run_arguments(options, folder, 1_000_000, "first")
    dashboard = Dashboard(arguments, folder)
    dashboard.wait_for(END_OF_FRAME)
    took = time.monotonic() - dashboard.began
    dashboard.wait_for(b"it/s")
    dashboard.stop()
    return took


def first_iteration(options, folder, under_dashboard):
    """Seconds from the launch to the first iteration's losses in the file of events, at 256 pixels."""
    events = folder / "began.json"
    events.unlink(missing_ok=True)
    arguments = run_arguments(options, folder, 2, "began", 256)
    began = time.monotonic()
    if under_dashboard:
        dashboard = Dashboard([*arguments, "--graphics", "cells"], folder)
    else:
        headless = subprocess.Popen([*arguments, "--headless"], cwd=folder, env=os.environ | homes(folder),
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (events.exists() and '"step"' in events.read_text()):
        time.sleep(0.002)
    took = time.monotonic() - began
    if under_dashboard:
        dashboard.drain(1.5)
        dashboard.press(b"q")
        dashboard.finish()
    else:
        headless.wait()
    return took


def key_times(options, folder, presses):
    dashboard = Dashboard(run_arguments(options, folder, 1_000_000, "keys"), folder)
    dashboard.wait_for(b"it/s")
    times = []
    for press in range(presses):
        dashboard.drain(0.3 + 0.037 * (press % 10))
        dashboard.press(b"l")
        # The chart's title says which scale it has; cells that stay are not sent.
        times.append(dashboard.wait_for(b"inear", b"og"))
    dashboard.stop()
    return times


def painted(options, folder, turn, under_dashboard):
    name = f"{'dashboard' if under_dashboard else 'headless'}-{turn}"
    arguments = run_arguments(options, folder, options.iterations, name)
    if under_dashboard:
        dashboard = Dashboard([*arguments, "--graphics", "cells"], folder)
        events = folder / f"{name}.json"
        while not (events.exists() and '"finished"' in events.read_text()):
            if dashboard.read(0.2) is None:
                break
        dashboard.press(b"q")
        dashboard.finish()
    else:
        subprocess.run([*arguments, "--headless"], check=True, cwd=folder, env=os.environ | homes(folder),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return iteration_times(folder / f"{name}.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/impasto")
    parser.add_argument("--size", type=int, default=512, help="long side in pixels")
    parser.add_argument("--iterations", type=int, default=15, help="of every run")
    parser.add_argument("--turns", type=int, default=3, help="runs of each kind")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        first_frame(options, folder)  # warms the file cache
        frames = [first_frame(options, folder) for _ in range(5)]
        print(f"first frame: {1e3 * statistics.median(frames):.0f} ms after launch "
              f"(median of {len(frames)}, worst {1e3 * max(frames):.0f} ms)")
        for under_dashboard, kind in ((False, "headless"), (True, "under the dashboard")):
            starts = [first_iteration(options, folder, under_dashboard) for _ in range(5)]
            print(f"first iteration at 256 px, {kind}: {statistics.median(starts):.2f} s after launch "
                  f"(median of {len(starts)}, worst {max(starts):.2f} s)")
        keys = key_times(options, folder, 40)
        print(f"key to screen while painting: {1e3 * statistics.median(keys):.1f} ms "
              f"(median of {len(keys)}, worst {1e3 * max(keys):.1f} ms)")
        times = {False: [], True: []}
        for turn in range(options.turns):
            for under_dashboard in (False, True):
                times[under_dashboard] += painted(options, folder, turn, under_dashboard)
        headless, dashboard = (statistics.median(times[kind]) for kind in (False, True))
        print(f"an iteration at {options.size} px: headless {headless:.4f} s, under the "
              f"dashboard {dashboard:.4f} s: {100 * (dashboard / headless - 1):+.1f} % "
              f"(medians of {len(times[False])} and {len(times[True])}, in turns)")


if __name__ == "__main__":
    main()
