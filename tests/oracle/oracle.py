"""An independent reference for impasto's numbers: PyTorch, float64, autograd.

Writes features.json, losses.json and descent.json beside itself; README.md tells what
is in them. Nothing here is shared with impasto's own code, on purpose.
"""

import argparse
import hashlib
import json
import re
import struct
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# VGG-16: the number of convolutions in each block.
BLOCKS = [2, 2, 3, 3, 3]
LAYERS = [f"relu{b}_{i}" for b, n in enumerate(BLOCKS, 1) for i in range(1, n + 1)]
# What the network was trained with, in its own order: blue, green, red.
MEAN_BGR = [103.939, 116.779, 123.68]


# --- The network --------------------------------------------------------------------


def read_safetensors(path):
    """All tensors of a safetensors file, as numpy arrays by name."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        dtype = {"F16": "<f2", "F32": "<f4"}[entry["dtype"]]
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], dtype).reshape(entry["shape"])
    return tensors


class Vgg16:
    """The convolution layers of VGG-16, as plain functions of a picture."""

    def __init__(self, path, dtype=torch.float64):
        self.weights = {
            name: torch.from_numpy(array.astype(np.float64)).to(dtype)
            for name, array in read_safetensors(path).items()
        }
        self.mean = torch.tensor(MEAN_BGR, dtype=dtype).view(1, 3, 1, 1)

    def features(self, picture, pooling, wanted):
        """The feature maps (1×C×H×W) of the `wanted` layers of a picture (1×3×H×W,
        RGB in 0..1). Nothing behind the last of them is computed."""
        maps = {}
        wanted = set(wanted)
        x = picture.flip(1) * 255 - self.mean
        for block, count in enumerate(BLOCKS, 1):
            for index in range(1, count + 1):
                if len(maps) == len(wanted):
                    return maps
                name = f"{block}_{index}"
                x = F.conv2d(x, self.weights[f"conv{name}.weight"], self.weights[f"conv{name}.bias"], padding=1)
                x = F.relu(x)
                if f"relu{name}" in wanted:
                    maps[f"relu{name}"] = x
            # Average pooling is doubled, so that what follows sees about the
            # magnitudes that it was trained on with max pooling.
            x = F.max_pool2d(x, 2) if pooling == "max" else 2 * F.avg_pool2d(x, 2)
        return maps


# --- The losses ---------------------------------------------------------------------


def gram(maps):
    """The Gram matrix of a feature map, over the number of its values."""
    _, channels, height, width = maps.shape
    flat = maps.reshape(channels, height * width)
    return flat @ flat.T / (channels * height * width)


def smoothness(picture):
    """The sum of the absolute differences of neighbours, over the number of values."""
    across = (picture[..., :, 1:] - picture[..., :, :-1]).abs().sum()
    down = (picture[..., 1:, :] - picture[..., :-1, :]).abs().sum()
    return (across + down) / picture.numel()


class Losses:
    """The losses of a picture against the targets of a content and a style picture."""

    def __init__(self, network, settings, content, style):
        self.network, self.settings = network, settings
        pooling = settings["pooling"]
        with torch.no_grad():
            self.content = network.features(content, pooling, settings["content"]["layers"])
            maps = network.features(style, pooling, settings["style"]["layers"])
            self.style = {layer: gram(maps[layer]) for layer in maps}

    def __call__(self, picture):
        """(total, content loss by layer, style loss by layer, smoothness loss): the
        losses are not yet weighted, the total is."""
        s = self.settings
        wanted = {**s["content"]["layers"], **s["style"]["layers"]}
        maps = self.network.features(picture, s["pooling"], wanted)
        content = {l: ((maps[l] - self.content[l]) ** 2).mean() for l in s["content"]["layers"]}
        style = {l: ((gram(maps[l]) - self.style[l]) ** 2).mean() for l in s["style"]["layers"]}
        smooth = smoothness(picture)
        total = s["smoothness"]["weight"] * smooth
        total = total + s["content"]["weight"] * sum(w * content[l] for l, w in s["content"]["layers"].items())
        total = total + s["style"]["weight"] * sum(w * style[l] for l, w in s["style"]["layers"].items())
        return total, content, style, smooth


# --- Pictures -----------------------------------------------------------------------


def triangle(n, half):
    """A triangle wave in integers: 0 up to `half` and down again, for n >= 0."""
    n = n % (2 * half)
    return half - abs(n - half)


# Made-up pictures, unlike each other: k of 0..255 for the pixel in column x, row y and
# channel c (0 red, 1 green, 2 blue); its value is k / 255. In integers only, so that any
# language gets the same picture. The texts go into the JSON files as they are.
FORMULAS = {
    "image": "(7*x + 13*y + 29*c + 5*((x*y*(c + 3)) % 31)) % 256",
    "content": "4*triangle(x + 2*y + 9*c, 40) + 3*triangle(2*x + y*y//8 + 17*c, 30)",
    "style": "120*((x//8 + y//8 + c) % 2) + triangle(3*x + 5*y + 40*c, 60) + (x*x + 3*y*y + 7*c) % 75",
}


def made_picture(name, width, height, dtype=torch.float64):
    """One of the made-up pictures, 1×3×H×W, RGB in 0..1."""
    c, y, x = np.mgrid[0:3, 0:height, 0:width]
    k = eval(FORMULAS[name], {"x": x, "y": y, "c": c, "triangle": triangle})
    assert k.min() >= 0 and k.max() <= 255
    return torch.from_numpy(k / 255.0).to(dtype)[None]


def first_pixels(picture):
    """The RGB bytes of the first four pixels: a quick check of a rebuilt picture."""
    return (picture[0, :, 0, :4].T * 255).round().int().flatten().tolist()


def read_picture(path, long_side, dtype=torch.float64):
    """A picture file, scaled with Lanczos in linear light; 1×3×H×W, sRGB in 0..1."""
    pixels = np.asarray(Image.open(path).convert("RGB")) / 255.0
    linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    height, width = linear.shape[:2]
    scale = long_side / max(width, height)
    # Halves are rounded up, as most languages do (Python rounds them to even).
    size = tuple(max(1, int(side * scale + 0.5)) for side in (width, height))
    channels = [Image.fromarray(linear[..., c].astype(np.float32)).resize(size, Image.LANCZOS) for c in range(3)]
    linear = np.stack([np.asarray(c, dtype=np.float64) for c in channels]).clip(0, 1)
    pixels = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return torch.from_numpy(pixels).to(dtype)[None]


# --- The results --------------------------------------------------------------------

SIZES = [(48, 40), (37, 45)]
STYLE_SIZE = (64, 52)


def samples(tensor, count):
    """`count` values of the flattened tensor, as [index, value]: every other one from
    anywhere, the rest from where it is not zero (most of a deep feature map is)."""
    flat = tensor.flatten()
    (filled,) = flat.nonzero(as_tuple=True)
    # 0.618… spreads the picks evenly without falling into step with rows or channels.
    at = [(0.5 + i * 0.6180339887) % 1 for i in range(count)]
    picks = [int(p * len(flat)) if i % 2 else filled[int(p * len(filled))].item() for i, p in enumerate(at)]
    return [[i, flat[i].item()] for i in sorted(set(picks))]


def features_results(network):
    results = []
    for width, height in SIZES:
        picture = made_picture("image", width, height)
        for pooling in ["max", "average"]:
            maps = network.features(picture, pooling, LAYERS)
            results.append(
                {
                    "width": width,
                    "height": height,
                    "first_pixels": first_pixels(picture),
                    "pooling": pooling,
                    "layers": {
                        layer: {
                            "shape": list(m.shape[1:]),
                            "sum": m.sum().item(),
                            "sum_of_squares": (m**2).sum().item(),
                            "max": m.max().item(),
                            "samples": samples(m, 12),
                        }
                        for layer, m in maps.items()
                    },
                }
            )
    return {"formulas": FORMULAS, "picture": "image", "features": results}


FIVE_STYLE_LAYERS = {f"relu{b}_1": 1.0 for b in range(1, 6)}


def settings(pooling="max", content=(5.0, {"relu4_2": 1.0}), style=(100.0, FIVE_STYLE_LAYERS), smooth=100.0):
    return {
        "pooling": pooling,
        "content": {"weight": content[0], "layers": content[1]},
        "style": {"weight": style[0], "layers": style[1]},
        "smoothness": {"weight": smooth},
    }


MANY_CONTENT = {"relu2_2": 0.5, "relu3_3": 1.0, "relu4_2": 2.0}
LATE_STYLE = {"relu1_2": 1.0, "relu2_2": 0.5, "relu3_3": 0.25, "relu4_3": 0.2, "relu5_3": 3.0}
EVERY_STYLE = {layer: 0.25 * (i % 4) for i, layer in enumerate(LAYERS)}
CASES = [
    ("the usual settings", 0, settings()),
    ("the usual settings, average pooling", 0, settings("average")),
    ("the usual settings, odd size", 1, settings()),
    ("the usual settings, odd size, average pooling", 1, settings("average")),
    ("several content layers, late style layers, no smoothness", 0, settings("max", (3.0, MANY_CONTENT), (40.0, LATE_STYLE), 0.0)),
    ("the same, odd size, average pooling", 1, settings("average", (3.0, MANY_CONTENT), (40.0, LATE_STYLE), 0.0)),
    ("every layer in the style, some of weight zero", 1, settings("max", (1.0, {"relu5_3": 1.0}), (10.0, EVERY_STYLE), 20.0)),
    ("one layer for content and style alike", 0, settings("average", (2.0, {"relu3_1": 1.5}), (7.0, {"relu3_1": 0.5}), 1.0)),
    ("content only", 0, settings("max", (5.0, {"relu4_2": 1.0}), (0.0, FIVE_STYLE_LAYERS), 0.0)),
    ("style only", 0, settings("max", (0.0, {"relu4_2": 1.0}), (100.0, FIVE_STYLE_LAYERS), 0.0)),
    ("smoothness only", 1, settings("max", (0.0, {"relu4_2": 1.0}), (0.0, {"relu1_1": 1.0}), 100.0)),
]


def values(losses):
    return {layer: loss.item() for layer, loss in losses.items()}


def losses_results(network):
    results = []
    for name, size, s in CASES:
        width, height = SIZES[size]
        content, style = made_picture("content", width, height), made_picture("style", *STYLE_SIZE)
        picture = made_picture("image", width, height).requires_grad_()
        total, by_content, by_style, smooth = Losses(network, s, content, style)(picture)
        (gradient,) = torch.autograd.grad(total, picture)
        results.append(
            {
                "name": name,
                "width": width,
                "height": height,
                "style_width": STYLE_SIZE[0],
                "style_height": STYLE_SIZE[1],
                "first_pixels": {
                    "image": first_pixels(picture.detach()),
                    "content": first_pixels(content),
                    "style": first_pixels(style),
                },
                "settings": s,
                "content": values(by_content),
                "style": values(by_style),
                "smoothness": smooth.item(),
                "total": total.item(),
                "gradient": {
                    "sum": gradient.sum().item(),
                    "l2_norm": gradient.norm().item(),
                    "max_abs": gradient.abs().max().item(),
                    "samples": samples(gradient, 24),
                },
            }
        )
    return {"formulas": FORMULAS, "cases": results}


def descend_lbfgs(losses, start, evaluations, scale, line_search):
    """The totals of every evaluation of L-BFGS, its variables being pixels × `scale`."""
    variables, totals = (start * scale).requires_grad_(), []
    optimizer = torch.optim.LBFGS(
        [variables], lr=1, max_iter=evaluations, max_eval=evaluations, history_size=100,
        tolerance_grad=0, tolerance_change=0, line_search_fn=line_search,
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        total = losses(variables / scale)[0]
        total.backward()
        totals.append(total.item())
        return total

    optimizer.step(closure)
    return totals


def descend_plain_lbfgs(losses, start, evaluations):
    # Not pixels in 0..1: the first step has an L1 norm of 1 whatever the units, which is
    # so far there that it can cross negative curvature. PyTorch then keeps no pair,
    # takes the bare gradient (1e6 a pixel) for its second step, and never comes back.
    return descend_lbfgs(losses, start, evaluations, 255, None)


def descend_searching_lbfgs(losses, start, evaluations):
    return descend_lbfgs(losses, start, evaluations, 1, "strong_wolfe")


def descend_adam(losses, start, evaluations):
    """The totals of every evaluation of Adam, the picture kept in 0..1."""
    picture, totals = start.clone().requires_grad_(), []
    optimizer = torch.optim.Adam([picture], lr=0.02, betas=(0.9, 0.99))
    for _ in range(evaluations):
        optimizer.zero_grad()
        total = losses(picture)[0]
        total.backward()
        totals.append(total.item())
        optimizer.step()
        with torch.no_grad():
            picture.clamp_(0, 1)
    return totals


def descent_results(network, content_path, style_path, long_side, evaluations):
    content, style = read_picture(content_path, long_side), read_picture(style_path, long_side)
    s = settings()
    losses = Losses(network, s, content, style)
    with torch.no_grad():
        total, by_content, by_style, smooth = losses(content)
    results = {
        "content_picture": Path(content_path).name,
        "content_sha256": hashlib.sha256(Path(content_path).read_bytes()).hexdigest(),
        "style_picture": Path(style_path).name,
        "style_sha256": hashlib.sha256(Path(style_path).read_bytes()).hexdigest(),
        "width": content.shape[3],
        "height": content.shape[2],
        "style_width": style.shape[3],
        "style_height": style.shape[2],
        "content_mean_rgb": content.mean(dim=(0, 2, 3)).tolist(),
        "style_mean_rgb": style.mean(dim=(0, 2, 3)).tolist(),
        "settings": s,
        "evaluations": evaluations,
        "start": {
            "content": values(by_content),
            "style": values(by_style),
            "smoothness": smooth.item(),
            "total": total.item(),
        },
    }
    descents = {
        "lbfgs": ("history 100, rate 1, no line search, pixels × 255, unbounded", descend_plain_lbfgs),
        "lbfgs_strong_wolfe": ("history 100, rate 1, strong Wolfe line search, unbounded", descend_searching_lbfgs),
        "adam": ("rate 0.02, betas 0.9 and 0.99, pixels kept in 0..1 after each step", descend_adam),
    }
    for name, (words, descend) in descents.items():
        totals = descend(losses, content, evaluations)
        results[name] = {"settings": words, "lowest_total": min(totals), "totals": totals}
    return results


def write(name, results):
    path = HERE / name
    text = json.dumps(results, indent=1)
    # Lists of numbers on one line: smaller, and easier on the eye.
    text = re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers[0].split()), text)
    path.write_text(text + "\n")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default=ROOT / "weights/vgg16.safetensors")
    parser.add_argument("--content", default=ROOT / "assets/china.jpg", help="content picture of the descent")
    parser.add_argument("--style", default=ROOT / "assets/night.jpg", help="style picture of the descent")
    parser.add_argument("--size", type=int, default=96, help="long side of both pictures of the descent")
    parser.add_argument("--evaluations", type=int, default=60, help="evaluations of each descent")
    parser.add_argument("only", nargs="*", help="features, losses, descent: all of them unless named")
    arguments = parser.parse_args()
    wanted = arguments.only or ["features", "losses", "descent"]

    network = Vgg16(arguments.weights)
    if "features" in wanted:
        write("features.json", features_results(network))
    if "losses" in wanted:
        write("losses.json", losses_results(network))
    if "descent" in wanted:
        results = descent_results(network, arguments.content, arguments.style, arguments.size, arguments.evaluations)
        write("descent.json", results)


if __name__ == "__main__":
    main()
