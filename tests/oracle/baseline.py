"""PyTorch's plain loop, to time impasto against: float32, autograd, Adam, max pooling,
five style layers and one content layer, on the CPU. Nothing is tuned, nothing wasted."""

import time

BEGIN = time.perf_counter()

import argparse  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402

import torch  # noqa: E402

sys.dont_write_bytecode = True  # no __pycache__ in the repository
from oracle import ROOT, Losses, Vgg16, made_picture, settings  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=ROOT / "weights/vgg16.safetensors")
    parser.add_argument("--size", type=int, default=256, help="width and height of all three pictures")
    parser.add_argument("--iterations", type=int, default=20, help="iterations timed, after two that are not")
    parser.add_argument("--threads", type=int, help="threads of PyTorch (as many as it likes by itself)")
    parser.add_argument("--pooling", choices=["max", "average"], default="max")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    content, style = (made_picture(n, arguments.size, arguments.size, torch.float32) for n in ("content", "style"))
    losses = Losses(Vgg16(arguments.weights, torch.float32), settings(arguments.pooling), content, style)
    picture = content.clone().requires_grad_()
    optimizer = torch.optim.Adam([picture], lr=0.02, betas=(0.9, 0.99))
    print(f"start-up: {time.perf_counter() - BEGIN:.2f} s (import, weights, targets)")

    seconds = []
    for _ in range(2 + arguments.iterations):
        begin = time.perf_counter()
        optimizer.zero_grad()
        total = losses(picture)[0]
        total.backward()
        optimizer.step()
        with torch.no_grad():
            picture.clamp_(0, 1)
        total.item()
        seconds.append(time.perf_counter() - begin)
    seconds = seconds[2:]
    print(
        f"iteration: {statistics.median(seconds):.4f} s median, {min(seconds):.4f} s lowest"
        f" ({len(seconds)} at {arguments.size}×{arguments.size}, {torch.get_num_threads()} threads,"
        f" PyTorch {torch.__version__})"
    )
    print(f"last total: {total.item():.6g}")


if __name__ == "__main__":
    main()
