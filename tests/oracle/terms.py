"""An independent reference for what lies beyond Gram matrices: other statistics, several
styles, masks, the Laplacian, normalised gradients and other norms of smoothness.

PyTorch, float64, autograd. Writes terms.json beside itself; README.md tells what is
in it. Nothing here is shared with impasto's own code, on purpose.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

from oracle import BLOCKS, FORMULAS, LAYERS, ROOT, Vgg16, first_pixels, samples, triangle, values, write

# Further pictures, in the same way as those of oracle.py.
FORMULAS["second"] = "(90*((x + 2*y)//10 % 2) + 3*triangle(2*x + 11*c, 25) + (5*x*y + 40*c) % 60) % 256"
# Masks: the same in all channels.
FORMULAS["left"] = "255 - np.clip(16*(x - 20), 0, 255) + 0*c"
FORMULAS["lower"] = "np.clip(255*(y >= 24), 0, 255) + 0*x + 0*c"
FORMULAS["corner"] = "255*((x < 30) & (y < 30)) + 0*c"

WIDTH, HEIGHT = 56, 48
STYLE_SIZE, SECOND_SIZE = (64, 52), (48, 60)


def made_picture(name, width, height):
    c, y, x = np.mgrid[0:3, 0:height, 0:width]
    k = eval(FORMULAS[name], {"x": x, "y": y, "c": c, "triangle": triangle, "np": np})
    assert k.min() >= 0 and k.max() <= 255
    return torch.from_numpy(k / 255.0)[None]


def grey(name, width, height):
    """A mask, 1×1×H×W."""
    return made_picture(name, width, height)[:, :1]


# --- Statistics: each a function of features (C×N) and weights (N, mean 1) -------------


def weighted_moments(f, w):
    mean = (f * w).sum(1) / w.sum()
    second = (f * w) @ f.T / w.sum()
    return mean, second


def gram(f, w, shift=0.0):
    f = f + shift
    return ((f * w) @ f.T) / f.numel()


def mean_std(f, w):
    mean = (f * w).sum(1) / w.sum()
    variance = (((f - mean[:, None]) ** 2) * w).sum(1) / w.sum()
    return mean, (variance + 1e-3).sqrt()


def quantiles(f, w, count):
    """The values of each channel at `count` evenly spaced shares of the weight: linear
    between the middles of neighbouring values' shares."""
    rows = []
    for channel in f.numpy():
        order = np.argsort(channel, kind="stable")
        weights = w.numpy()[order]
        middles = (np.cumsum(weights) - weights / 2) / weights.sum()
        rows.append(np.interp((np.arange(count) + 0.5) / count, middles, channel[order]))
    return torch.from_numpy(np.stack(rows))


def target(statistic, f, w, positions, shift):
    """What a style is reduced to; a list of tensors that can be averaged."""
    if statistic == "gram":
        return [gram(f, w, shift)]
    if statistic == "mean-std":
        return list(mean_std(f, w))
    if statistic == "covariance":
        return list(weighted_moments(f, w))
    if statistic == "histogram":
        return [quantiles(f, w, positions)]
    raise ValueError(statistic)


def distance(statistic, f, w, aim, shift):
    if statistic == "gram":
        return ((gram(f, w, shift) - aim[0]) ** 2).mean()
    if statistic == "mean-std":
        mean, deviation = mean_std(f, w)
        return ((mean - aim[0]) ** 2).mean() + ((deviation - aim[1]) ** 2).mean()
    if statistic == "covariance":
        mean, second = weighted_moments(f, w)
        one = torch.eye(len(mean), dtype=f.dtype)
        wanted = aim[1] - torch.outer(aim[0], aim[0])
        epsilon = 1e-4 * wanted.trace() / len(mean)
        wanted = wanted + epsilon * one
        own = second - torch.outer(mean, mean) + epsilon * one
        values, vectors = torch.linalg.eigh(wanted)
        root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
        between = torch.linalg.eigvalsh(root @ own @ root).clamp_min(epsilon.item() ** 2).sqrt().sum()
        return ((mean - aim[0]) ** 2).mean() + (wanted.trace() + own.trace() - 2 * between) / len(mean)
    if statistic == "histogram":
        sorted_f, order = torch.sort(f.detach(), dim=1, stable=True)
        weights = w[order]
        middles = (weights.cumsum(1) - weights / 2) / weights.sum(1, keepdim=True)
        count = aim[0].shape[1]
        matched = torch.stack(
            [
                torch.from_numpy(np.interp(m.numpy() * count - 0.5, np.arange(count), a.numpy()))
                for m, a in zip(middles, aim[0])
            ]
        )
        return (weights * (f.gather(1, order) - matched) ** 2).mean()
    raise ValueError(statistic)


# --- Masks ---------------------------------------------------------------------------


def guide(mask, layer, guides, shape):
    """The weights of a layer's positions, N; None if nothing is left of the region."""
    if guides == "resized":
        g = F.adaptive_avg_pool2d(mask, shape)
    else:
        # The least value of all pixels that a position sees, layer by layer.
        g = mask
        for block, count in enumerate(BLOCKS, 1):
            for index in range(1, count + 1):
                g = -F.max_pool2d(-g, 3, stride=1, padding=1)
                if f"relu{block}_{index}" == layer:
                    break
            else:
                g = -F.max_pool2d(-g, 2)
                continue
            break
    w = (g**2).flatten()
    return None if w.mean() < 1e-6 else w / w.mean()


# --- All of it -----------------------------------------------------------------------


def laplacian_loss(picture, content):
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=picture.dtype)
    kernel = kernel.expand(1, 3, 3, 3)
    loss = 0
    for pool in (4, 16):
        if min(picture.shape[2:]) // pool >= 3:
            own, wanted = (F.conv2d(F.avg_pool2d(p, pool), kernel) for p in (picture, content))
            loss = loss + ((own - wanted) ** 2).mean()
    return loss


def smoothness(picture, norm):
    down = picture[..., 1:, :] - picture[..., :-1, :]
    right = picture[..., :, 1:] - picture[..., :, :-1]
    if norm == "l1":
        return (down.abs().sum() + right.abs().sum()) / picture.numel()
    near = (down**2).sum() + (right**2).sum()
    if norm == "l2":
        return near / picture.numel()
    falling = picture[..., 1:, 1:] - picture[..., :-1, :-1]
    rising = picture[..., 1:, :-1] - picture[..., :-1, 1:]
    return (2 / 3 * near + 1 / 6 * ((falling**2).sum() + (rising**2).sum())) / picture.numel()


def flat(maps):
    return maps[0].flatten(1)


def evaluate(network, settings, masks, pictures):
    content, styles, picture = pictures
    style = settings["style"]
    pooling = "max"
    layers = style["layers"]
    statistic_of = lambda layer: style["statistic"].get(layer, style["statistic"]["default"])
    weights = style["blend_weights"] + [1.0] * (len(styles) - len(style["blend_weights"]))
    shares = [w / sum(weights) for w in weights]

    # The regions: (share, mask or None, {style: share within the region}).
    coverage = {}
    for mask in masks:
        added = coverage.get(mask["style"], 0) + grey(mask["mask"], WIDTH, HEIGHT)
        coverage[mask["style"]] = added.clamp(0, 1)
    covered = sum(coverage.values()).clamp(0, 1) if coverage else None
    regions = [(shares[s], m, {s: 1.0}) for s, m in sorted(coverage.items())]
    rest = [s for s in range(len(styles)) if s not in coverage]
    rest_mask = None if covered is None else 1 - covered
    if style["blend"] == "losses":
        regions += [(shares[s], rest_mask, {s: 1.0}) for s in rest]
    elif rest:
        total = sum(shares[s] for s in rest)
        regions.append((total, rest_mask, {s: shares[s] / total for s in rest}))

    with torch.no_grad():
        content_maps = network.features(content, pooling, settings["content"]["layers"])
        style_maps = [network.features(s, pooling, layers) for s in styles]
    shown = picture
    if covered is not None and not rest:
        shown = covered * picture + (1 - covered) * content
    maps = network.features(shown, pooling, {**settings["content"]["layers"], **layers})

    def style_loss(layer, m):
        f = flat(m)
        loss = 0
        for share, mask, members in regions:
            w = torch.ones(f.shape[1], dtype=f.dtype)
            if mask is not None:
                w = guide(mask, layer, style["guides"], m.shape[2:])
                if w is None:
                    continue
            aims = []
            for s, part in members.items():
                a = style_maps[s][layer]
                own = torch.ones(a.shape[2] * a.shape[3], dtype=f.dtype)
                region = [k["region"] for k in masks if k["style"] == s and k.get("region")]
                if region:
                    own = guide(grey(region[0], a_width(styles[s]), styles[s].shape[2]), layer, "resized", a.shape[2:])
                aims.append((part, target(statistic_of(layer), flat(a), own, f.shape[1], style["shift"])))
            aim = [sum(part * tensors[i] for part, tensors in aims) for i in range(len(aims[0][1]))]
            loss = loss + share * distance(statistic_of(layer), f, w, aim, style["shift"])
        return loss

    by_content = {l: ((maps[l] - content_maps[l]) ** 2).mean() for l in settings["content"]["layers"]}
    by_style = {l: style_loss(l, maps[l]) for l in layers}
    smooth = smoothness(shown, settings["smoothness"]["norm"])
    edges = laplacian_loss(shown, content) if settings["content"]["laplacian"] else None
    c, s = settings["content"], settings["style"]
    total = settings["smoothness"]["weight"] * smooth
    if edges is not None:
        total = total + c["laplacian"] * edges
    terms = [(c["weight"] * w, by_content[l], l) for l, w in c["layers"].items()]
    terms += [(s["weight"] * w, by_style[l], l) for l, w in s["layers"].items()]
    outer = total
    for factor, loss, layer in terms:
        total = total + factor * loss
        if settings["normalize_gradients"]:
            # The layer's own gradient, with respect to its features.
            (own,) = torch.autograd.grad(loss, maps[layer], retain_graph=True)
            outer = outer + (maps[layer] * (factor * own / (own.abs().sum() + 1e-8))).sum()
        else:
            outer = outer + factor * loss
    (gradient,) = torch.autograd.grad(outer, picture)
    return total, by_content, by_style, smooth, edges, gradient


def a_width(picture):
    return picture.shape[3]


# --- Colours: the style brought to the content's, on N×3 colours in 0..1 ----------------


def recoloured(style, content, how):
    """Cells 3 and 8 of ColourControl in leongatys/NeuralImageSynthesis, in numpy."""
    x, y = (p[0].flatten(1).numpy().T for p in (style, content))
    if how == "histogram":
        out = []
        for a, b in zip(x.T, y.T):
            ranks = [np.searchsorted(np.sort(a), a, side) for side in ("left", "right")]
            middle = (ranks[0] + ranks[1]) / 2 / len(a)
            out.append(np.interp(middle, (np.arange(len(b)) + 0.5) / len(b), np.sort(b)))
        return np.stack(out, 1)
    grey = np.array([0.299, 0.587, 0.114])
    if how == "luminance":
        return np.repeat((x @ grey)[:, None], 3, 1)
    (mx, my), one = (x.mean(0), y.mean(0)), 1e-5 * np.eye(3)
    cx, cy = np.cov(x.T, bias=True) + one, np.cov(y.T, bias=True) + one

    def power(m, e):
        values, vectors = np.linalg.eigh(m)
        return (vectors * values**e) @ vectors.T

    if how == "cholesky":
        t = np.linalg.cholesky(cy) @ np.linalg.inv(np.linalg.cholesky(cx))
    elif how == "pca":
        t = power(cy, 0.5) @ power(cx, -0.5)
    else:
        root = power(cx, 0.5)
        t = power(cx, -0.5) @ power(root @ cy @ root, 0.5) @ power(cx, -0.5)
    return ((x - mx) @ t.T + my).clip(0, 1)


def colour_results():
    style, content = made_picture("second", *SECOND_SIZE), made_picture("content", WIDTH, HEIGHT)
    results = {}
    for how in ("luminance", "cholesky", "pca", "symmetric", "histogram"):
        values = recoloured(style, content, how).flatten()
        results[how] = [[i, values[i]] for i in range(0, len(values), len(values) // 40)]
    return results


FIVE = {f"relu{b}_1": 1.0 for b in range(1, 6)}
FOUR = {"relu1_1": 0.5, "relu2_1": 1.0, "relu3_1": 2.0, "relu4_1": 1.0}


def settings(layers=FIVE, statistic="gram", **more):
    if isinstance(statistic, str):
        statistic = {"default": statistic}
    return {
        "content": {"weight": more.get("content", 5.0), "layers": {"relu4_2": 1.0}, "laplacian": more.get("laplacian", 0.0)},
        "style": {
            "weight": more.get("weight", 100.0),
            "layers": layers,
            "statistic": statistic,
            "shift": more.get("shift", 0.0),
            "blend": more.get("blend", "target"),
            "blend_weights": more.get("blend_weights", []),
            "guides": more.get("guides", "resized"),
        },
        "smoothness": {"weight": 100.0, "norm": more.get("norm", "l1")},
        "normalize_gradients": more.get("normalize", False),
    }


MIXED = {"default": "gram", "relu1_1": "histogram", "relu3_1": "mean-std", "relu4_1": "covariance"}
SKY = [{"mask": "left", "style": 0}]
BOTH = [{"mask": "left", "style": 0}, {"mask": "lower", "style": 1}]
PART = [{"mask": "left", "style": 0, "region": "corner"}]
CASES = [
    ("mean and standard deviation", settings(statistic="mean-std"), 1, []),
    ("covariance", settings(FOUR, "covariance"), 1, []),
    ("histogram", settings(statistic="histogram"), 1, []),
    ("a statistic for each layer", settings(statistic=MIXED), 1, []),
    ("activation shift", settings(shift=-1.0), 1, []),
    ("two styles in one target", settings(blend_weights=[0.7, 0.3]), 2, []),
    ("two styles as a sum of losses", settings(blend="losses", blend_weights=[0.7, 0.3]), 2, []),
    ("two styles, mixed statistics", settings(statistic=MIXED, blend_weights=[1.0, 3.0]), 2, []),
    ("a mask, the rest stays", settings(), 1, SKY),
    ("a mask, the rest by the other style", settings(blend_weights=[2.0, 1.0]), 2, SKY),
    ("two masks that overlap, inside", settings(FOUR, guides="inside"), 2, BOTH),
    ("masks with every statistic", settings(statistic=MIXED, shift=-1.0), 2, SKY),
    ("a region of the style", settings(statistic=MIXED), 1, PART),
    ("laplacian", settings(laplacian=30.0, content=0.0, weight=0.0), 1, []),
    ("squared smoothness", settings(norm="l2", content=0.0, weight=0.0), 1, []),
    ("nine-point smoothness", settings(norm="nine-point", content=0.0, weight=0.0), 1, []),
    ("normalised gradients", settings(normalize=True), 1, []),
    ("normalised gradients, masks and statistics", settings(statistic=MIXED, normalize=True), 2, BOTH),
]


def main():
    network = Vgg16(ROOT / "weights/vgg16.safetensors")
    results = []
    for name, s, count, masks in CASES:
        content = made_picture("content", WIDTH, HEIGHT)
        sizes = [("style", STYLE_SIZE), ("second", SECOND_SIZE)][:count]
        styles = [made_picture(n, *size) for n, size in sizes]
        picture = made_picture("image", WIDTH, HEIGHT).requires_grad_()
        total, by_content, by_style, smooth, edges, gradient = evaluate(network, s, masks, (content, styles, picture))
        results.append(
            {
                "name": name,
                "width": WIDTH,
                "height": HEIGHT,
                "styles": [{"picture": n, "width": w, "height": h} for n, (w, h) in sizes],
                "masks": masks,
                "settings": s,
                "content": values(by_content),
                "style": values(by_style),
                "smoothness": smooth.item(),
                "laplacian": None if edges is None else edges.item(),
                "total": total.item(),
                "gradient": {
                    "l2_norm": gradient.norm().item(),
                    "max_abs": gradient.abs().max().item(),
                    "samples": samples(gradient, 24),
                },
            }
        )
        print(name, total.item())
    pictures = {n: first_pixels(made_picture(n, WIDTH, HEIGHT)) for n in FORMULAS}
    write("terms.json", {"formulas": FORMULAS, "first_pixels": pictures, "cases": results, "colours": colour_results()})


if __name__ == "__main__":
    main()
