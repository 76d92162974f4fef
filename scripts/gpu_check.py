#!/usr/bin/env python3
"""Checks impasto on a GPU and measures it: `make gpu-check`.

Runs the tests that need a GPU, measures how fast it paints, compares the losses
with the CPU's, and measures PyTorch's loops in the same minutes where a Python with
PyTorch and CUDA is there. Prints a table and writes it to gpu-check.txt and
gpu-check.json in the output folder, after every section, so that an end by a time
limit loses nothing.

Needs no compiler and no network: `make gpu-pack` packs it with the binaries into one
archive for a machine without them.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from gpu_check_client import Client, socket_of

ROOT = Path(__file__).resolve().parent.parent

# What an H100 or H200 should reach, in the units of the table.
GOALS = {
    "Adam, 512": 0.85,
    "Adam, 1024": 2.9,
    "Adam, 2048": 11.0,
    "L-BFGS, 512": 1.3,
    "L-BFGS, 1024": 4.2,
    "default at 512, launch to saved": 2.0,
    "default at 512, first loss to saved": 0.6,
    "default at 1024, launch to saved": 4.0,
    "steering at 512": 0.050,
    "steering over the socket": 0.050,
}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/impasto")
    parser.add_argument("--tests", type=Path, help="the binary of the engine's tests")
    parser.add_argument("--pictures", type=Path, default=ROOT / "assets")
    parser.add_argument("--weights", type=Path, default=ROOT / "weights/vgg16.safetensors")
    parser.add_argument("--output", type=Path, default=Path("gpu-check"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--python", default=sys.executable, help="one with PyTorch")
    parser.add_argument("--only", action="append", help="a section; may be given more than once")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and iterations")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds for each section")
    parser.add_argument(
        "--budget", type=float, help="seconds for all sections; by default 340 if quick"
    )
    options = parser.parse_args()
    if options.budget is None:
        options.budget = 340.0 if options.quick else float("inf")
    return options


class Check:
    def __init__(self, options):
        self.options = options
        self.rows = []
        self.failures = []
        self.about = {}
        self.deadline = 0.0
        self.environment = dict(os.environ)
        self.on_gpu = options.device != "cpu"
        folder = libtorch_folder(options.python)
        if folder:
            before = self.environment.get("LD_LIBRARY_PATH")
            folders = [str(folder)] + ([before] if before else [])
            self.environment["LD_LIBRARY_PATH"] = ":".join(folders)
        scratch = options.output / "home"
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            self.environment[name] = str((scratch / name.lower()).resolve())

    def run(self, command, **extra):
        """Runs a command for the rest of the section's time."""
        left = max(1.0, self.deadline - time.monotonic())
        environment = {**self.environment, **extra}
        return subprocess.run(
            [str(word) for word in command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=left,
            stdin=subprocess.DEVNULL,
        )

    def succeed(self, command, **extra):
        done = self.run(command, **extra)
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise RuntimeError(f"{Path(command[0]).name} {command[1]}: {' / '.join(words)}")
        return done.stdout

    @contextlib.contextmanager
    def started(self, command, **streams):
        """A running command, which is killed at the end of the section's time."""
        log = self.options.output / "stderr.txt"
        words = [str(word) for word in command]
        with log.open("w+") as errors:
            child = subprocess.Popen(
                words, env=self.environment, text=True, stdin=subprocess.DEVNULL, stderr=errors, **streams
            )
            left = max(1.0, self.deadline - time.monotonic())
            timer = threading.Timer(left, child.kill)
            timer.start()
            try:
                yield child
            finally:
                timer.cancel()
                child.kill()
                child.wait()

    def lines(self, command):
        """The lines that a command prints, as they come, with the time of each."""
        with self.started(command, stdout=subprocess.PIPE) as child:
            for line in child.stdout:
                yield time.monotonic(), line
            child.wait()
            if child.returncode == -signal.SIGKILL and time.monotonic() >= self.deadline:
                raise subprocess.TimeoutExpired(command, self.options.limit)
            if child.returncode != 0:
                words = (self.options.output / "stderr.txt").read_text().strip()
                raise RuntimeError(f"{Path(command[0]).name} {command[1]}: {words[-300:]}")

    def row(self, what, value, unit, beside=None):
        """A line of the table: a figure, its goal, and what it is compared with."""
        goal = GOALS.get(what) if self.on_gpu else None
        self.rows.append(
            {"what": what, "value": value, "unit": unit, "goal": goal, "beside": beside}
        )

    def fail(self, words):
        self.failures.append(words)

    # ---- Sections -------------------------------------------------------------

    def tests(self):
        """The tests that need a GPU."""
        tests = self.options.tests or self.newest_tests()
        if tests is None:
            self.fail("there is no test binary: give one by --tests")
            return
        extra = {"IMPASTO_REQUIRE_GPU": "1"} if self.on_gpu else {}
        command = [tests, "--test-threads", "4"]
        done = self.run(command, RUST_BACKTRACE="0", **extra)
        result = re.search(r"test result: \w+\. (\d+) passed; (\d+) failed", done.stdout)
        if not result:
            self.fail(f"the tests did not come to an end (exit {done.returncode})")
            return
        passed, failed = map(int, result.groups())
        self.row("tests of the engine passed", passed, "")
        for name in re.findall(r"^test (\S+) \.\.\. FAILED", done.stdout, re.MULTILINE):
            self.fail(f"test {name}")
        (self.options.output / "tests.txt").write_text(done.stdout + done.stderr)
        if failed:
            self.row("tests of the engine failed", failed, "")

    def newest_tests(self):
        """The newest binary of the engine's tests that cargo has built here."""
        found = (ROOT / "target/release/deps").glob("impasto_engine-*")
        found = [path for path in found if path.suffix == "" and os.access(path, os.X_OK)]
        for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
            if "cuda::" in self.run([path, "--list"]).stdout:
                return path
        return None

    def bench(self, label, sizes, settings, iterations=None):
        """Times each size in a process of its own: one that fails costs no other."""
        for size in sizes:
            try:
                self.bench_one(label, size, settings, iterations)
            except RuntimeError as error:
                self.fail(f"{label}, {size}: {error}")

    def bench_one(self, label, size, settings, iterations):
        command = [self.options.binary, "bench", "--json", "--device", self.options.device]
        command += ["--sizes", size, *settings]
        if iterations:
            command += ["--iterations", iterations]
        for timing in json.loads(self.succeed(command)):
            self.row(f"{label}, {size}", 1000 * timing["seconds_per_iteration"], "ms/iteration")
            peak = timing.get("peak_memory_bytes")
            if peak:
                estimate = timing.get("estimated_memory_bytes")
                beside = f"estimate {estimate / 1e9:.2f}" if estimate else None
                self.row(f"{label}, {size}, peak memory", peak / 1e9, "GB", beside)
            if timing.get("tile"):
                self.row(f"{label}, {size}, tiles of", timing["tile"], "px")
            if label == "Adam":
                self.row(f"steering at {size}", timing["steering_seconds"], "s")
                self.row(f"targets at {size}", timing["targets_seconds"], "s")
                self.row(f"first iteration at {size}", timing["first_iteration_seconds"], "s")

    def sizes(self, *all_sizes):
        if not self.on_gpu:
            return [64]
        return all_sizes[: 3 if self.options.quick else None]

    def adam(self):
        """Milliseconds an iteration by Adam, in the default precision."""
        self.bench("Adam", self.sizes(512, 1024, 256, 2048, 4096), ["--set", "optimizer=adam"])
        if self.on_gpu:
            self.run_off("Adam without our kernels")

    def run_off(self, label):
        before = dict(self.environment)
        self.environment["IMPASTO_CUDA_KERNELS"] = "off"
        try:
            self.bench(label, [512], ["--set", "optimizer=adam"])
        finally:
            self.environment = before

    def lbfgs(self):
        """Milliseconds an iteration by L-BFGS with a full history."""
        settings = ["--set", "optimizer=lbfgs"]
        iterations = 300 if self.on_gpu else 5
        self.bench("L-BFGS", self.sizes(512, 1024, 256), settings, iterations)

    def float32(self):
        """Float32: time, and memory against the estimate."""
        settings = ["--set", "optimizer=adam", "--precision", "float32"]
        self.bench("float32", self.sizes(512, 1024), settings)

    def large(self):
        """One piece and tiles at 8192 pixels."""
        if not self.on_gpu:
            return
        adam = ["--set", "optimizer=adam"]
        self.bench("large", [8192], adam, 10)
        self.bench("large in tiles", [8192], [*adam, "--tile", "4096"], 10)

    def picture(self):
        """The preset `default`, from launch to the saved file."""
        for size in self.sizes(512, 1024)[:2]:
            times = []
            for turn in range(3 if self.on_gpu else 1):
                times.append(self.paint(size, turn))
            launch, painting, pauses = min(times)
            self.row(f"default at {size}, launch to saved", launch, "s")
            self.row(f"default at {size}, first loss to saved", painting, "s")
            self.row(f"default at {size}, pauses between scales", pauses, "s")

    def paint(self, size, turn):
        output = self.options.output / f"default-{size}.png"
        command = [self.options.binary, "run"]
        command += [self.options.pictures / "china.jpg", self.options.pictures / "night.jpg"]
        command += ["--device", self.options.device, "--headless", "--size", size]
        command += ["--events", "-", "-o", output, "--run-dir", self.options.output / f"run-{size}-{turn}"]
        if not self.on_gpu:
            command += ["--iterations", 3]
        began = time.monotonic()
        first = last = scale = None
        pauses = 0.0
        for now, line in self.lines(command):
            event = json.loads(line)
            if event["event"] != "step":
                continue
            first = first or now
            if scale not in (None, event["scale"]):
                pauses += now - last
            scale, last = event["scale"], now
        ended = time.monotonic()
        if first is None:
            raise RuntimeError("the run reported no iteration")
        return ended - began, ended - first, pauses

    def numbers(self):
        """The same picture painted on the GPU and on the CPU, measured on the CPU."""
        size = 192 if self.on_gpu else 48
        iterations = 150 if self.on_gpu else 5
        totals = {}
        ways = {"CPU float32": ("cpu", "float32"), "default": (self.options.device, "auto")}
        if self.on_gpu:
            ways["CUDA float32"] = (self.options.device, "float32")
        pictures = [self.options.pictures / name for name in ("china.jpg", "night.jpg")]
        for optimizer in ("lbfgs", "adam"):
            for way, (device, precision) in ways.items():
                output = self.options.output / f"numbers-{optimizer}-{way.replace(' ', '-')}.png"
                schedule = f"schedule=[{{size: {size}, iterations: {iterations}}}]"
                common = [self.options.binary, "run", *pictures, "--headless", "-o", output]
                common += ["--set", schedule, "--set", f"optimizer={optimizer}"]
                common += ["--device", device, "--precision", precision]
                common += ["--run-dir", output.with_suffix(".run")]
                self.succeed(common)
                measure = [self.options.binary, "measure", output, *pictures, "--device", "cpu"]
                total = json.loads(self.succeed([*measure, "--json"]))["total"]
                totals[optimizer, way] = total
                share = total / totals[optimizer, "CPU float32"]
                self.row(f"{optimizer}, {way}: total after {iterations}", total, "", f"{share:.4f} of the CPU's")
                # Two ways down part on the way: what is asked for is the end.
                if abs(share - 1) > 0.05:
                    self.fail(f"{optimizer} in {way} ends at {share:.3f} of the CPU's total")

    def dashboard(self):
        """What the dashboard adds to an iteration: a run in a pseudo-terminal."""
        import pty

        size = 256 if self.on_gpu else 48
        iterations = 3000 if self.on_gpu else 30
        pictures = [self.options.pictures / name for name in ("china.jpg", "night.jpg")]
        rates = {}
        for way in ("headless", "dashboard"):
            events = self.options.output / f"{way}.jsonl"
            events.unlink(missing_ok=True)
            command = [self.options.binary, "run", *pictures, "--device", self.options.device]
            command += ["--set", f"schedule=[{{size: {size}, iterations: {iterations}}}]"]
            command += ["--set", "optimizer=adam", "--events", events]
            command += ["-o", self.options.output / f"{way}.png", "--run-dir", self.options.output / f"{way}.run"]
            words = [str(word) for word in command]
            if way == "headless":
                self.succeed(words + ["--headless"])
            else:
                child, terminal = pty.fork()
                if child == 0:
                    os.execve(words[0], words, {**self.environment, "TERM": "xterm-256color"})
                self.watch(child, terminal, events)
            steps = [json.loads(line) for line in events.read_text().splitlines()]
            steps = [step for step in steps if step["event"] == "step"]
            tail = steps[len(steps) // 3 :]
            span = tail[-1]["iteration"] - tail[0]["iteration"]
            rates[way] = (tail[-1]["elapsed"] - tail[0]["elapsed"]) / max(span, 1)
            self.row(f"{way}, {size}", 1000 * rates[way], "ms/iteration")
        self.row("the dashboard adds", 100 * (rates["dashboard"] / rates["headless"] - 1), "%")

    def watch(self, child, terminal, events):
        """Reads the terminal until the run is over, then leaves the dashboard."""
        import fcntl
        import select
        import struct
        import termios

        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        over = False
        looked = 0.0
        while time.monotonic() < self.deadline:
            ready, _, _ = select.select([terminal], [], [], 0.2)
            try:
                if ready and not os.read(terminal, 65536):
                    break
            except OSError:
                break
            # Seldom, so that looking does not disturb what is measured.
            if over or time.monotonic() - looked < 0.5 or not events.exists():
                continue
            looked = time.monotonic()
            if '"event":"finished"' in events.read_text():
                over = True
                os.write(terminal, b"q")
        else:
            os.kill(child, 9)
        os.waitpid(child, 0)

    def steering(self):
        """From a changed weight, sent over the run's socket, to a picture with it."""
        size = 512 if self.on_gpu else 48
        run = self.options.output / "steering.run"
        output = self.options.output / "steering.png"
        command = [self.options.binary, "run"]
        command += [self.options.pictures / "china.jpg", self.options.pictures / "night.jpg"]
        command += ["--headless", "--device", self.options.device, "-o", output, "--run-dir", run]
        command += ["--set", f"schedule=[{{size: {size}, iterations: 1000000}}]"]
        command += ["--set", "optimizer=adam"]
        times = []
        with self.started(command, stdout=subprocess.DEVNULL) as child:
            client = self.attached(child, run)
            try:
                started = client.event("started")
                client.event("step")
                preset = started["job"]["preset"]
                for _ in range(7 if self.on_gpu else 2):
                    preset["style"]["weight"] *= 1.1
                    times.append(client.steer(preset))
                    time.sleep(0.2)
            finally:
                client.close()
        self.row("steering over the socket", sorted(times)[len(times) // 2], "s")
        self.row("steering over the socket, slowest", max(times), "s")

    def attached(self, child, run):
        """A line to the run, as soon as it has a socket."""
        while time.monotonic() < self.deadline and child.poll() is None:
            path = socket_of(run)
            if path:
                return Client(path, self.deadline)
            time.sleep(0.02)
        raise RuntimeError("the run opened no socket")

    def pytorch(self):
        """PyTorch's loops: the same network, layers and sizes."""
        script = Path(__file__).with_name("gpu_check_pytorch.py")
        sizes = ",".join(map(str, self.sizes(512, 1024)))
        command = [self.options.python, script, "--weights", self.options.weights]
        command += ["--sizes", sizes, "--device", self.options.device]
        if subprocess.run([self.options.python, "-c", "import torch"], capture_output=True).returncode:
            self.row(f"{self.options.python} has no PyTorch", float("nan"), "")
            return
        for _, line in self.lines(command):
            timing = json.loads(line)
            what = f"PyTorch, {timing['way']}, {timing['size']}"
            if "error" in timing:
                self.row(what, float("nan"), "ms/iteration", timing["error"])
            else:
                self.row(what, timing["milliseconds"], "ms/iteration")

    # ---- The table ------------------------------------------------------------

    def describe(self):
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        try:
            self.about["card"] = self.run(query).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            self.about["card"] = "no NVIDIA driver answers"
        self.about["impasto"] = self.succeed([self.options.binary, "--version"]).strip()
        self.about["device"] = self.options.device
        self.about["date"] = time.strftime("%Y-%m-%d")
        doctor = self.run([self.options.binary, "doctor"]).stdout
        libtorch = re.search(r"libtorch\s+(.*)", doctor)
        self.about["libtorch"] = libtorch.group(1).strip() if libtorch else "?"

    def table(self):
        lines = [f"{key}: {value}" for key, value in self.about.items()] + [""]
        for row in self.rows:
            value = f"{row['value']:.4g}" if isinstance(row["value"], float) else str(row["value"])
            goal = ""
            if row["goal"] is not None:
                reached = row["value"] <= row["goal"]
                goal = f"goal {row['goal']:g}: {'reached' if reached else 'not reached'}"
            beside = row["beside"] or ""
            lines.append(f"{row['what']:<44} {value:>10} {row['unit']:<13} {goal} {beside}".rstrip())
        lines += [""] + [f"FAILED: {words}" for words in self.failures]
        return "\n".join(lines).rstrip() + "\n"

    def write(self):
        self.options.output.mkdir(parents=True, exist_ok=True)
        (self.options.output / "gpu-check.txt").write_text(self.table())
        everything = {"about": self.about, "rows": self.rows, "failures": self.failures}
        (self.options.output / "gpu-check.json").write_text(json.dumps(everything, indent=1))


def libtorch_folder(python):
    """The libraries of libtorch, where the binary's own path may not lead."""
    chosen = os.environ.get("LIBTORCH")
    if chosen:
        return Path(chosen) / "lib"
    code = (
        "import importlib.util, os; found = importlib.util.find_spec('torch');"
        "print(os.path.dirname(found.origin) if found else '')"
    )
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    folder = found.stdout.strip()
    return Path(folder) / "lib" if folder else None


SECTIONS = [
    "tests",
    "adam",
    "lbfgs",
    "picture",
    "float32",
    "numbers",
    "pytorch",
    "steering",
    "dashboard",
    "large",
]


def main():
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    options.output = Path(tempfile.mkdtemp(dir=options.output, prefix=time.strftime("%H%M%S-")))
    wanted = options.only or SECTIONS
    unknown = set(wanted) - set(SECTIONS)
    if unknown:
        sys.exit(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    options.binary = options.binary.resolve()
    if not options.binary.exists():
        sys.exit(f"there is no {options.binary}: build it with `make build`, or give --binary")
    check = Check(options)
    check.deadline = time.monotonic() + options.limit
    check.describe()
    end = time.monotonic() + options.budget
    for section in wanted:
        began = time.monotonic()
        if began >= end:
            check.fail(f"{section}: no time was left of {options.budget:.0f} s")
            check.write()
            continue
        check.deadline = min(began + options.limit, end)
        try:
            getattr(check, section)()
        except subprocess.TimeoutExpired:
            check.fail(f"{section}: it took longer than the {time.monotonic() - began:.0f} s it had")
        except (RuntimeError, OSError, ValueError, KeyError, IndexError) as error:
            check.fail(f"{section}: {error}")
        check.row(f"[{section} took]", time.monotonic() - began, "s")
        check.write()
        print(f"{section}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(check.table(), end="")
    print(f"written to {options.output}")
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
