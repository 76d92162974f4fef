"""A small studio: a canvas that takes brush strokes, and what the paintings share.

The canvas keeps two layers, colour and relief (how thick the paint lies). A
stroke writes both; `Canvas.lit` then lights the relief from the upper left, so
that every stroke gets a bright flank and a shadow beside it. All lengths are in
pixels of the finished picture; inside, the canvas is `scale` times as large.
Colours are RGB, 0 to 1.
"""

import colorsys

import numpy as np
from PIL import Image

# Distance between the samples of a stroke, in canvas pixels: below 0.71 no
# pixel inside a stroke is missed, whatever its direction.
STEP = 0.7


def rgb(*codes):
    """Colours from hexadecimal codes: one code gives (3,), several give (n, 3)."""
    rows = [[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes]
    return np.array(rows[0] if len(rows) == 1 else rows, np.float32)


def ramp(stops, t):
    """The colour at `t` (0 to 1, an array of any shape) on a palette (n, 3)."""
    at = np.clip(np.asarray(t, np.float32), 0, 1) * (len(stops) - 1)
    low = np.minimum(at.astype(int), len(stops) - 2)
    part = (at - low)[..., None]
    return stops[low] * (1 - part) + stops[low + 1] * part


def vary(rng, colour, hue=0.02, saturation=0.1, value=0.06):
    """A neighbour of a colour: no two strokes are mixed quite alike."""
    h, s, v = colorsys.rgb_to_hsv(*np.clip(colour, 0, 1))
    h = (h + rng.normal(0, hue)) % 1
    s = np.clip(s * (1 + rng.normal(0, saturation)), 0, 1)
    v = np.clip(v + rng.normal(0, value), 0.02, 1)
    return np.array(colorsys.hsv_to_rgb(h, s, v), np.float32)


def smoothstep(low, high, x):
    """0 before `low`, 1 past `high`, a smooth step between them; `high` may be the lesser."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng, width, height, cell, octaves=3):
    """Smooth noise (height, width), about -1 to 1; `cell` is the coarsest feature in pixels.

    `cell` may be a pair (across, down): unequal values give grain.
    """
    across, down = cell if isinstance(cell, tuple) else (cell, cell)
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        columns = max(2, int(width * 2**octave / across) + 2)
        rows = max(2, int(height * 2**octave / down) + 2)
        grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        fine = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(fine) * 0.5**octave
    return total * 0.8


def blur(field, sigma):
    """Gaussian blur of a (height, width) field, edges repeated."""
    reach = max(1, int(3 * sigma + 0.5))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        padding = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        wide = np.pad(field, padding, mode="edge")
        size = field.shape[axis]
        parts = (wide[i : i + size] if axis == 0 else wide[:, i : i + size] for i in range(len(taps)))
        field = sum(tap * part for tap, part in zip(taps, parts))
    return field


def scatter(rng, width, height, spacing, margin=0.0):
    """Points (n, 2) on a jittered grid, in random order: even cover without rows."""
    xs = np.arange(-margin, width + margin, spacing)
    ys = np.arange(-margin, height + margin, spacing)
    points = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    points = points + rng.uniform(-0.6, 0.6, points.shape) * spacing
    return points[rng.permutation(len(points))]


def look(field, points):
    """The values of a (height, width, ...) field at points (..., 2), edges repeated."""
    height, width = field.shape[:2]
    x = np.clip(points[..., 0].astype(int), 0, width - 1)
    y = np.clip(points[..., 1].astype(int), 0, height - 1)
    return field[y, x]


def trace(flow, seeds, lengths, steps=14, region=None):
    """Paths (n, steps, 2) that follow a flow field (height, width, 2) from their seeds.

    `lengths` (n,) are in pixels. Where `region` (height, width) is given, a path
    stops before it would leave the region that it started in.
    """
    place = np.array(seeds, np.float32)
    stride = (np.asarray(lengths, np.float32) / (steps - 1))[:, None]
    home = None if region is None else look(region, place)
    paths, going = [place.copy()], np.ones(len(place), bool)
    for _ in range(steps - 1):
        way = look(flow, place)
        way = way / (np.linalg.norm(way, axis=1, keepdims=True) + 1e-6)
        ahead = place + way * stride
        if region is not None:
            going &= look(region, ahead) == home
        place = np.where(going[:, None], ahead, place)
        paths.append(place.copy())
    return np.stack(paths, 1)


def distance(label, far=200):
    """For each pixel, the distance to the nearest edge between labels, exact up to `far`."""
    border = np.zeros(label.shape, bool)
    for axis in (0, 1):
        change = np.diff(label, axis=axis) != 0
        first, second = [slice(None)] * 2, [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        border[tuple(first)] |= change
        border[tuple(second)] |= change
    down = np.full(label.shape, float(far), np.float32)
    down[border] = 0
    for y in range(1, len(down)):
        down[y] = np.minimum(down[y], down[y - 1] + 1)
    for y in range(len(down) - 2, -1, -1):
        down[y] = np.minimum(down[y], down[y + 1] + 1)
    squared = down**2
    nearest = squared.copy()
    for shift in range(1, far):
        nearest[:, shift:] = np.minimum(nearest[:, shift:], squared[:, :-shift] + shift * shift)
        nearest[:, :-shift] = np.minimum(nearest[:, :-shift], squared[:, shift:] + shift * shift)
    return np.sqrt(nearest)


class Canvas:
    """Colour and relief, and the brush that lays both."""

    def __init__(self, width, height, ground, seed, scale=2):
        self.width, self.height, self.scale = width, height, scale
        self.rng = np.random.default_rng(seed)
        shape = (height * scale, width * scale)
        self.colour = np.empty((*shape, 3), np.float32)
        self.colour[:] = ground
        self.relief = np.zeros(shape, np.float32)

    def stroke(self, path, width, colour, second=None, body=1.0, dry=0.25, streak=0.07, wet=0.1):
        """Draws a loaded bristle brush along a path (n, 2).

        `second` is the colour at the brush's other edge; `body` how thick the
        paint lies; `dry` the share of the length over which the bristles run
        out; `streak` how much they differ in tone; `wet` how much of the paint
        beneath is picked up.
        """
        rng, points = self.rng, np.asarray(path, np.float32) * self.scale
        gone = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        total, half = gone[-1], width * self.scale / 2
        if total < 2:
            return
        n, m = max(6, int(total / STEP)), max(4, int(2 * half / STEP))
        at = np.linspace(0, total, n)
        x, y = np.interp(at, gone, points[:, 0]), np.interp(at, gone, points[:, 1])
        dx, dy = np.gradient(x), np.gradient(y)
        norm = np.hypot(dx, dy) + 1e-6
        u, v = np.linspace(0, 1, n)[:, None], np.linspace(-1, 1, m)

        # Each bristle touches down and runs dry at its own place.
        bristle = self._bristles(m)
        cap = min(0.45, half / total)
        round_end = cap * (1 - np.sqrt(1 - v * v))
        first = round_end + cap * 0.4 * rng.random(m)
        last = 1 - 0.8 * round_end - dry * np.abs(self._bristles(m)) * 0.6
        mask = (u >= first) & (u <= last)

        x = x[:, None] - (dy / norm)[:, None] * v * half
        y = y[:, None] + (dx / norm)[:, None] * v * half
        column, row = np.rint(x).astype(np.int32), np.rint(y).astype(np.int32)
        rows, columns = self.relief.shape
        mask &= (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        if not mask.any():
            return
        index = (row * columns + column)[mask]

        # The tone of a bristle drifts along the stroke between a few knots.
        knots = 4
        hats = np.clip(1 - np.abs(u * (knots - 1) - np.arange(knots)), 0, 1).astype(np.float32)
        drift = hats @ (0.7 * bristle + 0.6 * np.stack([self._bristles(m) for _ in range(knots)]))
        paint = np.broadcast_to(np.asarray(colour, np.float32), (n, m, 3))
        if second is not None:
            share = smoothstep(-0.5, 1.1, v + 0.35 * drift)[..., None].astype(np.float32)
            paint = paint * (1 - share) + np.asarray(second, np.float32) * share
        paint = paint * (1 + streak * drift[..., None])

        # Paint is pushed up at the brush's edges and where the brush lands.
        rim = 0.45 * np.exp(-(((np.abs(v) - 0.8) / 0.16) ** 2))
        across = (1 - v**4) * 0.75 + rim + 0.2 * bristle
        along = 1 - 0.35 * u + 0.35 * np.exp(-((u / (cap + 1e-3)) ** 2))
        thick = body * (across * along + 0.1 * drift)

        flat, relief = self.colour.reshape(-1, 3), self.relief.reshape(-1)
        flat[index] = paint[mask] * (1 - wet) + flat[index] * wet
        relief[index] = thick[mask] + 0.3 * relief[index]

    def _bristles(self, m):
        """One number for each of `m` samples across the brush, about -1.5 to 1.5, in tufts."""
        tufts = max(3, m // 3)
        rough = np.interp(np.linspace(0, tufts - 1, m), np.arange(tufts), self.rng.normal(0, 1, tufts))
        return np.clip(rough, -1.5, 1.5).astype(np.float32)

    def lit(self, depth=0.6, gloss=0.5):
        """The picture (height, width, 3): relief lit from the upper left, at its final size."""
        relief = blur(self.relief, 0.8)
        down, across = np.gradient(relief)
        slope = np.tanh(1.9 * (across + down))
        hollow = np.tanh(1.2 * (relief - blur(relief, 5.0)))
        shade = 1 + depth * np.minimum(slope, 0) + 0.2 * np.minimum(hollow, 0)
        shine = gloss * np.maximum(slope, 0) ** 1.5
        paint = np.clip(self.colour, 0, 1) * shade[..., None]
        # A highlight keeps most of the paint's hue: white only in part.
        lamp = 0.55 * np.sqrt(np.clip(paint, 0, 1)) + 0.45
        return shrink(paint + (lamp - paint) * shine[..., None], self.scale)


def shrink(picture, scale):
    """Averages blocks of scale x scale pixels."""
    rows, columns = picture.shape[0] // scale, picture.shape[1] // scale
    blocks = picture[: rows * scale, : columns * scale].reshape(rows, scale, columns, scale, -1)
    return blocks.mean((1, 3))
