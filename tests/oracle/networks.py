"""VGG-16 and VGG-19 as torchvision lays them out, with made-up weights: what tests/networks.rs
must find when impasto reads such a file. Writes networks.json beside itself; with --files, the
networks as whole files of every format into a folder instead. Needs torch and numpy (--files also
safetensors); README.md tells what is in the file.

The weights, 80 MB for VGG-19, are not kept: both sides make them by the same formula, whose
every step is exact or rounded once, and so have the same ones to the last bit."""

import argparse
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent

# The outputs of the convolutions of each block; a max pooling ends every block.
CHANNELS = [64, 128, 256, 512, 512]
BLOCKS = {"vgg16": [2, 2, 3, 3, 3], "vgg19": [2, 2, 4, 4, 4]}

# For every convention, what a picture in red, green, blue, 0..1, becomes.
CONVENTIONS = {
    "rgb-imagenet": lambda rgb: (rgb - column(0.485, 0.456, 0.406)) / column(0.229, 0.224, 0.225),
    "bgr-minus-mean": lambda rgb: 255 * rgb.flip(1) - column(103.939, 116.779, 123.68),
}
# Inputs in ±128 are too large for weights that keep a magnitude: conv1_1 makes up for it.
FIRST = {"rgb-imagenet": 1, "bgr-minus-mean": 1 / 64}

# The network, the convention, the picture's width and height, the layers of the loss. One
# picture has sides that no pooling divides evenly.
CASES = [
    ("vgg19", "rgb-imagenet", 48, 40, ["relu3_4", "relu4_2"]),
    ("vgg19", "bgr-minus-mean", 37, 45, ["relu1_2", "relu4_4"]),
    ("vgg16", "rgb-imagenet", 37, 45, ["relu3_3", "relu5_1"]),
]

PICTURE = 1000


def column(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)


# --- The made-up numbers -------------------------------------------------------------


def uniform(tensor, shape):
    """Numbers in -1..1, float32, for the tensor of that number: splitmix64 of the tensor's
    number and each element's index. The 24 bits that are kept fit into a float32."""
    with np.errstate(over="ignore"):
        z = np.uint64(tensor << 32) + np.arange(1, np.prod(shape) + 1, dtype=np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    bits = (z >> np.uint64(40)).astype(np.int64)
    return ((bits - 2**23) / 2**23).astype(np.float32).reshape(shape)


def made_picture(width, height):
    """1×3×H×W, RGB in 0..1."""
    return torch.from_numpy((uniform(PICTURE, (1, 3, height, width)) + 1) / 2).double()


def made_network(name, convention):
    """The layers, in float64, and the SHA-256 of the float32 weights and biases in order."""
    layers, inputs, number, digest = [], 3, 0, hashlib.sha256()
    for outputs, count in zip(CHANNELS, BLOCKS[name], strict=True):
        for _ in range(count):
            shape = (outputs, inputs, 3, 3)
            bound = np.float32(np.sqrt(6 / (9 * inputs))) * np.float32(FIRST[convention] if number == 0 else 1)
            weight = bound * uniform(2 * number, shape)
            bias = np.float32(1 / 8) * uniform(2 * number + 1, (outputs,))
            assert weight.dtype == bias.dtype == np.float32
            digest.update(weight.tobytes() + bias.tobytes())
            convolution = torch.nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, dtype=torch.float64)
            convolution.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
            layers += [convolution, torch.nn.ReLU()]
            inputs, number = outputs, number + 1
        layers.append(torch.nn.MaxPool2d(kernel_size=2, stride=2))
    return torch.nn.Sequential(*layers).requires_grad_(False), digest.hexdigest()


# --- The results ---------------------------------------------------------------------


def feature_maps(network, name, x):
    """Every ReLU's output, by its name."""
    maps = []
    for layer in network:
        x = layer(x)
        if isinstance(layer, torch.nn.ReLU):
            maps.append(x)
    return dict(zip(relus(name), maps, strict=True))


def relus(name):
    return [f"relu{block}_{index}" for block, n in enumerate(BLOCKS[name], 1) for index in range(1, n + 1)]


def samples(tensor, count, marked):
    """[c, y, x, value] at `count` places of a 1×C×H×W tensor, among the marked ones."""
    (marked,) = marked.flatten().nonzero(as_tuple=True)
    found = []
    for i in range(count):
        # 0.618… spreads the picks evenly without falling into step with rows or channels.
        index = marked[int((0.5 + i * 0.6180339887) % 1 * len(marked))].item()
        place = np.unravel_index(index, tensor.shape)
        found.append([*map(int, place[1:]), rounded(tensor[place])])
    return found


def rounded(value):
    """Nine digits: a hundred times finer than float32 gets such a sum."""
    return float(f"{float(value):.9g}")


def root_mean_square(tensor):
    return (tensor**2).mean().sqrt()


def result(name, convention, width, height, layers):
    network, digest = made_network(name, convention)
    picture = made_picture(width, height)

    def loss_and_gradient(picture):
        picture = picture.clone().requires_grad_()
        maps = feature_maps(network, name, CONVENTIONS[convention](picture))
        loss = sum((maps[layer] ** 2).mean() for layer in layers)
        return loss.item(), torch.autograd.grad(loss, picture)[0]

    loss, gradient = loss_and_gradient(picture)
    largest = gradient.abs().max()
    # A ReLU's input that is all but zero, or two values of a pooling that are all but equal,
    # may fall to the other side in float32, and the gradient then jumps. Samples are taken
    # where it keeps its value while the picture trembles by more than float32 does.
    steady = torch.ones_like(gradient, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        tremble = 1e-6 * torch.randn(picture.shape, generator=generator, dtype=torch.float64)
        steady &= (loss_and_gradient(picture + tremble)[1] - gradient).abs() < 1e-5 * largest

    maps = feature_maps(network, name, CONVENTIONS[convention](picture))
    names = [key.removesuffix(".weight") for key in network.state_dict() if key.endswith(".weight")]
    print(f"{name} {convention}: {steady.double().mean():.1%} of the gradient is steady")
    return {
        "network": name,
        "convention": convention,
        "width": width,
        "height": height,
        "sha256": digest,
        "layers": {
            layer: {
                "convolution": f"features.{number}",
                "shape": list(values.shape[1:]),
                "mean": rounded(values.mean()),
                "rms": rounded(root_mean_square(values)),
                "samples": samples(values, 8, values != 0),
            }
            for (layer, values), number in zip(maps.items(), names, strict=True)
        },
        "loss": {"layers": layers, "value": rounded(loss)},
        "gradient": {
            "rms": rounded(root_mean_square(gradient)),
            "largest": rounded(largest),
            "samples": samples(gradient, 12, steady),
        },
    }


def write_files(folder):
    """Every case's network as each kind of file that people have of it: 0.9 GB in all."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for name, convention, *_ in CASES:
        network, _ = made_network(name, convention)
        whole = {f"features.{key}": value.float() for key, value in network.state_dict().items()}
        stem = folder / f"{name}-{convention}"
        torch.save(whole, f"{stem}-zip.pth")
        torch.save(whole, f"{stem}-legacy.pth", _use_new_zipfile_serialization=False)
        for word, dtype in [("float32", torch.float32), ("float16", torch.float16), ("bfloat16", torch.bfloat16)]:
            save_file({key: value.to(dtype) for key, value in whole.items()}, f"{stem}-{word}.safetensors")
        print(f"{stem}: five files")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="write the networks as files there")
    options = parser.parse_args()
    if options.files:
        write_files(options.files)
        return
    text = json.dumps({"cases": [result(*case) for case in CASES]}, indent=1)
    # Lists of numbers on one line: smaller, and easier on the eye.
    text = re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers[0].split()), text)
    path = HERE / "networks.json"
    path.write_text(text + "\n")
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
