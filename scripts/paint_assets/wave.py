"""wave: a colour woodblock print of a breaking wave at sunrise.

Flat colours from few blocks, Prussian blue outlines, water drawn as stripes that
run along the wave's face, foam as hooked claws; over it all the grain of the
blocks and the tooth of the paper.
"""

import numpy as np
from PIL import Image, ImageDraw

from strokes import Canvas, blur, distance, noise, ramp, rgb, smoothstep

WIDTH, HEIGHT = 1000, 790
SCALE = 2

PAPER = rgb("f1e3c3")
KEY = rgb("10224f")
BLUES = rgb("14306b", "1f4a8a", "3b74ad", "85b3c9", "cfe0da")
FOAM, SHADE = rgb("f7f0dc"), rgb("b9d2d6")
SKY = rgb("2c4a7c", "6f8fab", "c9c2a8", "efc998", "f0a878", "e58a66")
CLOUD = rgb("f3dfb4")
SUN = rgb("cf3f2a")

# The breaker's outline: up its back, over the crest, down the hollow face, along the sea.
BACK = [
    (-80, 860),
    (-60, 420),
    (0, 300),
    (92, 190),
    (205, 118),
    (330, 84),
    (452, 96),
    (552, 152),
    (612, 240),
    (616, 300),
]
FACE = [
    (590, 262),
    (540, 212),
    (470, 190),
    (396, 206),
    (338, 258),
    (312, 336),
    (322, 420),
    (366, 496),
    (440, 560),
    (560, 612),
]
FOOT = [(720, 640), (880, 640), (1080, 600), (1080, 860)]


def curve(points, pieces=24):
    """A smooth line (n, 2) through the points (a Catmull-Rom spline)."""
    p = np.array([points[0], *points, points[-1]], float)
    t = np.linspace(0, 1, pieces, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:]):
        parts.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    return np.concatenate([*parts, p[-1:]])


class Block:
    """A picture printed from flat shapes, `SCALE` times its final size."""

    def __init__(self, picture):
        self.image = Image.fromarray(picture)
        self.draw = ImageDraw.Draw(self.image)

    def ink(self, colour):
        return tuple(int(round(255 * c)) for c in np.clip(colour, 0, 1))

    def shape(self, points, fill, line=0.0, key=KEY):
        corners = [tuple(p) for p in np.asarray(points) * SCALE]
        if fill is not None:
            self.draw.polygon(corners, fill=self.ink(fill))
        if line:
            self.line(points, line, key)

    def line(self, points, width, colour=KEY):
        """A carved line that swells in the middle and tapers to its ends."""
        points = np.asarray(points, float)
        swell = np.sin(np.linspace(0.12, np.pi - 0.12, len(points))) ** 0.6
        self.brush(points, width * swell, colour)

    def brush(self, points, widths, colour):
        points = np.asarray(points, float) * SCALE
        across = np.gradient(points, axis=0)[:, ::-1] * [-1, 1]
        across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-6
        half = np.asarray(widths)[:, None] * SCALE / 2
        corners = np.concatenate([points + across * half, (points - across * half)[::-1]])
        self.draw.polygon([tuple(c) for c in corners], fill=self.ink(colour))

    def dot(self, x, y, radius, fill, line=1.3):
        for r, colour in ((radius + line, KEY), (radius, fill)):
            self.draw.ellipse(
                [(x - r) * SCALE, (y - r) * SCALE, (x + r) * SCALE, (y + r) * SCALE], fill=self.ink(colour)
            )

    def pixels(self):
        return np.asarray(self.image).astype(np.float32) / 255


def mask(points):
    """Where a closed shape lies: a (HEIGHT, WIDTH) array of bool."""
    image = Image.new("1", (WIDTH, HEIGHT))
    ImageDraw.Draw(image).polygon([tuple(p) for p in points], fill=1)
    return np.asarray(image)


def stripes(rng, along, period):
    """Water: colours by the distance `along` a face, in bands of uneven width with key lines between."""
    warped = along + 9 * noise(rng, WIDTH, HEIGHT, 150, 2)
    at = (warped / period) % 1
    swell = 0.13 * noise(rng, WIDTH, HEIGHT, (130, 130), 2)
    step = np.select(
        [at < 0.10 + swell, at < 0.34 + swell, at < 0.44 + swell, at < 0.66 - swell, at < 0.74 - swell],
        [0, 2, 4, 1, 3],
        1,
    )
    colours = np.concatenate([BLUES, KEY[None]])
    water = colours[step]
    lines = np.abs(at - 0.66 + swell) < 0.028
    lines |= np.abs(at - 0.10 - swell) < 0.02
    water[lines] = KEY
    return water


def enlarge(picture):
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.array(image.resize((WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.BICUBIC))


def sky(rng):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    picture = ramp(SKY, (y + 26 * noise(rng, WIDTH, HEIGHT, 300, 2)) / 600)
    # Carved rings spread from the sun, thick and thin.
    r = np.hypot(x - 788, y - 372) + 10 * noise(rng, WIDTH, HEIGHT, 200, 2)
    at = (r / 21) % 1
    thick = 0.2 + 0.14 * noise(rng, WIDTH, HEIGHT, 160, 2)
    cut = (at < thick)[..., None]
    paler = ((at > thick + 0.2) & (at < thick + 0.42))[..., None]
    picture = np.where(
        cut, picture * np.float32([0.8, 0.66, 0.7]), np.where(paler, 0.55 * picture + 0.45 * CLOUD, picture)
    )
    block = Block(enlarge(picture))
    sun = np.linspace(0, 2 * np.pi, 160)
    disc = np.stack([788 + 108 * np.cos(sun), 372 + 108 * np.sin(sun)], -1)
    block.shape(disc, SUN, 2.5)
    # Bars of mist with rounded ends, some across the sun.
    for left, right, level, thick in (
        (560, 1060, 120, 20), (700, 1060, 152, 15), (640, 900, 92, 13), (860, 1060, 300, 15),
        (646, 840, 402, 17), (720, 1060, 436, 15), (-40, 150, 70, 18), (-40, 90, 104, 13),
        (600, 760, 470, 13), (830, 1060, 500, 13), (620, 730, 300, 10), (40, 210, 36, 13),
    ):  # fmt: skip
        turn = np.linspace(-np.pi / 2, np.pi / 2, 16)
        ends = [(right + thick * np.cos(t), level + thick * np.sin(t)) for t in turn]
        ends += [(left - thick * np.cos(t), level - thick * np.sin(t)) for t in turn]
        block.shape([*ends, ends[0]], CLOUD)
        block.line(np.linspace((left - 6, level + thick), (right + 6, level + thick), 40), 2.2)
        block.line(np.linspace((left - 6, level - thick), (right + 6, level - thick), 40), 1.6)
        block.line(np.linspace((left + 20, level + 4), (right - 30, level + 4), 30), 1.5, SKY[4])
    return block


def claw(block, rng, root, heading, size, bend):
    """One hooked finger of foam; big ones carry smaller ones."""
    t = np.linspace(0, 1, 16)
    turn = heading + bend * t**1.4
    step = size / 16
    path = root + np.cumsum(np.stack([np.cos(turn), np.sin(turn)], -1) * step, 0)
    widths = 0.36 * size * (1 - t) ** 0.7 * np.minimum(1, 0.55 + 3 * t) + 1.2
    for line in (3.6, 0):
        block.brush(path, widths + line, FOAM if line == 0 else KEY)
        block.dot(*path[0], (widths[0] + line) / 2, FOAM if line == 0 else KEY, 0)
    # Its shaded side.
    side = np.stack([-np.sin(turn), np.cos(turn)], -1) * np.sign(bend)
    block.brush(path[:13] + side[:13] * widths[:13, None] * 0.22, widths[:13] * 0.3, SHADE)
    if size > 34:
        for at in (3, 6, 9):
            sharp = turn[at] - np.sign(bend) * rng.uniform(0.7, 1.1)
            claw(block, rng, path[at], sharp, size * rng.uniform(0.4, 0.52), bend * 1.1)


def foam(block, rng, line, size, bend, lean):
    """Claws along a crest (n, 2), from its far end to its tip."""
    gone = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at, way = 0.0, 0.0
    while at < gone[-1]:
        root, ahead = (np.array([np.interp(d, gone, line[:, k]) for k in (0, 1)]) for d in (at, at + 8))
        if at + 8 < gone[-1]:
            way = np.arctan2(*(ahead - root)[::-1])
        grown = size * (0.62 + 0.5 * at / gone[-1]) * rng.uniform(0.75, 1.2)
        claw(
            block,
            rng,
            root + rng.normal(0, 2, 2),
            way + lean + rng.normal(0, 0.22),
            grown,
            bend * rng.uniform(0.7, 1.3),
        )
        at += grown * 0.3


def spray(block, rng, count, place, spread, largest):
    for x, y in place + rng.normal(0, 1, (count, 2)) * spread:
        block.dot(x, y, rng.uniform(0.9, largest), FOAM)


def swell(block, rng, base, height, phase, period, size):
    """A nearer wave: a peaked skyline, striped water, claws on the crests."""
    x = np.linspace(-20, WIDTH + 20, 260)
    turn = 2 * np.pi * x / period + phase
    # A trochoid: crests lean and are sharper than troughs.
    y = base - height * (1 - np.abs(np.sin(turn / 2 + 0.16 * np.sin(turn))) ** 0.8)
    outline = np.stack([x, y], -1)
    shape = np.concatenate([outline, [(WIDTH + 20, HEIGHT + 20), (-20, HEIGHT + 20)]])
    inside = mask(shape)
    top = np.interp(np.arange(WIDTH), x, y)
    # Deeper down the stripes forget the sharp crests.
    depth = np.mgrid[0:HEIGHT, 0:WIDTH][0] - top
    calm = blur(np.repeat(top[None], 3, 0), 42)[1]
    along = depth + (top - calm) * (1 - np.exp(-np.maximum(depth, 0) / 34))
    water = stripes(rng, along * 0.8, 30)
    press(block, water, inside)
    block.line(outline, 4.5)
    crest = top < base - 0.55 * height
    starts = np.flatnonzero(np.diff(np.r_[0, crest.astype(int), 0]))
    for begin, end in zip(starts[::2], starts[1::2]):
        ridge = np.stack([np.arange(begin, end), top[begin:end]], -1).astype(float)
        if len(ridge) > 24:
            foam(block, rng, ridge, size, 2.3, -1.0)
            spray(block, rng, 16, ridge[len(ridge) // 2] - [0, 26], [40, 16], 3.2)


def press(block, picture, inside):
    """Prints `picture` where `inside` holds."""
    stencil = Image.fromarray((blur(inside.astype(np.float32), 0.6) * 255).astype(np.uint8))
    block.image.paste(
        Image.fromarray(enlarge(picture)), (0, 0), stencil.resize(block.image.size, Image.Resampling.BICUBIC)
    )


def wave():
    canvas = Canvas(WIDTH, HEIGHT, PAPER, seed=1831, scale=SCALE)
    rng = canvas.rng
    block = sky(rng)

    back, face, foot = curve(BACK), curve(FACE), curve(FOOT)
    body = np.concatenate([back, face, foot])
    inside = mask(body)
    # Stripes run along the hollow face, and follow it to the wave's back.
    hollow = distance(mask(np.concatenate([face, foot, [(1080, -60), (640, -60)]])).astype(np.int32), 900)
    press(block, stripes(rng, hollow, 46), inside)
    block.line(back, 5)
    block.line(face, 5)
    foam(block, rng, back[112:], 96, 2.5, -1.0)
    foam(block, rng, face[:80][::-1], 60, -2.0, 1.2)
    spray(block, rng, 120, [640, 330], [60, 70], 4.2)
    spray(block, rng, 60, [470, 70], [130, 26], 3.4)

    for base, height, phase, period, size in (
        (628, 74, 0.4, 600, 40),
        (702, 80, 3.4, 660, 46),
        (778, 84, 5.6, 560, 50),
    ):
        swell(block, rng, base, height, phase, period, size)

    canvas.colour[:] = block.pixels()
    grain(canvas)
    return canvas.lit(depth=0.25, gloss=0.1)


def grain(canvas):
    """The block's growth rings and the paper's tooth, pressed into the ink."""
    rng = canvas.rng
    rows, columns = canvas.relief.shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) / SCALE
    warp = noise(rng, columns, rows, (1500, 420), 4)
    knot = 1.6 * np.exp(-((x - 880) ** 2 / 30000 + (y - 230) ** 2 / 3500)) + 1.2 * np.exp(
        -((x - 120) ** 2 / 26000 + (y - 640) ** 2 / 2400)
    )
    rings = (y / 9.0 + 5.5 * warp + 5 * knot) % 1
    ring = smoothstep(0.0, 0.75, rings) * smoothstep(1.0, 0.86, rings)
    fibre = noise(rng, columns, rows, (90, 3), 1)
    mottle = noise(rng, columns, rows, 26, 3)
    light = canvas.colour.mean(-1, keepdims=True)
    ink = (0.11 * (ring - 0.5) + 0.05 * fibre + 0.035 * mottle)[..., None]
    # Where ink is thin the paper shows; pale areas take the grain darker and warmer.
    canvas.colour = canvas.colour * (1 - ink * (0.5 + 0.7 * light)) + PAPER * np.maximum(-ink, 0) * 0.5
    canvas.relief += 0.25 * mottle + 0.2 * fibre + 0.5 * blur(canvas.colour.mean(-1), 1.0)
