"""The loop of the program neural-style with its defaults, in PyTorch: L-BFGS without a line
search on unbounded pixels of 0..255, from faint noise. What it reaches, and how long it
takes, is what other ways are compared with. The picture that such a program saves is
clamped to 0..255: its total is told too.

With --adam the same pixels are moved by Adam instead, kept within range. Told besides is the
total of the mean of its images, newer ones weighing more, as the program style-transfer-pytorch
saves it."""

import argparse
import sys
import time

import torch
from PIL import Image

sys.dont_write_bytecode = True  # no __pycache__ in the repository
from oracle import ROOT, Losses, Vgg16, read_picture, settings  # noqa: E402

MEAN = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)


class Mean:
    """A moving mean whose first values do not count for more than later ones."""

    DECAY = 0.99

    def __init__(self):
        self.sum, self.weight = 0, 0

    def add(self, value):
        self.sum = self.DECAY * self.sum + (1 - self.DECAY) * value
        self.weight = self.DECAY * self.weight + (1 - self.DECAY)

    def value(self):
        return self.sum / self.weight


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=ROOT / "weights/vgg16.safetensors")
    parser.add_argument("--content", default=ROOT / "assets/china.jpg")
    parser.add_argument("--style", default=ROOT / "assets/night.jpg")
    parser.add_argument("--size", type=int, default=512, help="long side of both pictures")
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--threads", type=int, help="threads of PyTorch (as many as it likes by itself)")
    parser.add_argument("--adam", type=float, metavar="RATE", help="Adam at this rate, for pixels in 0..1")
    parser.add_argument("--output", help="save the picture here, as PNG")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    content, style = (read_picture(p, arguments.size, torch.float32) for p in (arguments.content, arguments.style))
    weights = settings("max")
    weights["smoothness"]["weight"] = 150405  # as in presets/neural-style.yaml
    losses = Losses(Vgg16(arguments.weights, torch.float32), weights, content, style)
    torch.manual_seed(0)
    pixels = (torch.randn_like(content) * 0.001).requires_grad_()
    mean = Mean()
    begin, count = time.perf_counter(), 0

    def evaluate():
        nonlocal count
        count += 1
        optimizer.zero_grad()
        total = losses((pixels + MEAN) / 255)[0]
        total.backward()
        if arguments.adam:
            mean.add(pixels.detach())
        if count % 50 == 0 or count == arguments.iterations:
            took = time.perf_counter() - begin
            with torch.no_grad():
                saved = losses(((pixels + MEAN) / 255).clamp(0, 1))[0]
                averaged = f", averaged {losses((mean.value() + MEAN) / 255)[0]:.6g}" if arguments.adam else ""
            print(f"{count}: {took:.0f} s, total {total:.6g}, as saved {saved:.6g}{averaged}", flush=True)
        return total

    if arguments.adam:
        optimizer = torch.optim.Adam([pixels], lr=255 * arguments.adam, betas=(0.9, 0.99))
        for _ in range(arguments.iterations):
            optimizer.step(evaluate)
            with torch.no_grad():
                pixels.clamp_(-MEAN, 255 - MEAN)
    else:
        optimizer = torch.optim.LBFGS(
            [pixels],
            max_iter=arguments.iterations,
            max_eval=arguments.iterations,
            tolerance_change=-1,
            tolerance_grad=-1,
            history_size=100,
        )
        optimizer.step(evaluate)
    if arguments.output:
        saved = ((pixels.detach() + MEAN) / 255).clamp(0, 1) * 255
        Image.fromarray(saved[0].round().to(torch.uint8).permute(1, 2, 0).numpy()).save(arguments.output)


if __name__ == "__main__":
    main()
