"""night: a windy night over a lake, in thick strokes that follow the wind."""

import numpy as np

from strokes import Canvas, look, noise, ramp, rgb, scatter, trace, vary

WIDTH, HEIGHT = 1024, 800
SKY, FAR, NEAR, WATER = 0, 1, 2, 3

DEEP = rgb("070d33", "0f1f66", "17369a", "2558bd", "3f86cf", "79b9d6", "cfe4d2")
WARM = rgb("1d4fae", "2f8f9f", "a9bd5c", "f2cf3f", "f8a52a", "fff0a8")
FAR_HILLS = rgb("151a52", "2b3a8c", "4a4fa6", "6d78bd", "5f9fb0")
NEAR_HILLS = rgb("08202b", "0f3d3c", "1f5f4a", "4f8a4a", "a9a63f")
LAKE = rgb("070f36", "10286f", "1a4597", "2f74b5", "67b0c4")
CYPRESS = rgb("050a12", "0a1c1c", "123324", "2c5127", "6b6a2a", "9a5a25")

# Vortices: x, y, radius, turn (sign and strength).
SWIRLS = [(392, 268, 92, 3.4), (590, 330, 66, -3.0), (180, 150, 58, -2.2), (690, 96, 52, 2.4)]
# Lights: x, y, radius of the halo, strength. The first is the moon.
LIGHTS = [
    (846, 150, 112, 1.0), (84, 90, 46, 0.85), (250, 62, 40, 0.8), (470, 92, 54, 0.95), (590, 196, 38, 0.8),
    (92, 318, 44, 0.85), (236, 402, 36, 0.75), (724, 262, 40, 0.8), (960, 330, 46, 0.85), (508, 430, 34, 0.7),
    (790, 410, 36, 0.75), (352, 140, 30, 0.7),
]  # fmt: skip
# Windows on the shore: x, brightness.
LAMPS = [
    (338, 0.6),
    (398, 1.0),
    (418, 0.5),
    (502, 0.8),
    (590, 1.0),
    (624, 0.6),
    (646, 0.9),
    (748, 0.5),
    (856, 1.0),
    (884, 0.5),
]


def scene(rng):
    """The flow (height, width, 2), the glow of the lights, the wind's bands and the regions."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    stream = y + 34 * np.sin(x / 150 + y / 210) + 46 * noise(rng, WIDTH, HEIGHT, 330, 2)
    for cx, cy, radius, turn in SWIRLS:
        stream += turn * radius * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
    glow = np.zeros_like(x)
    for i, (cx, cy, radius, strength) in enumerate(LIGHTS):
        near = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (0.52 * radius) ** 2))
        stream += (2.6 if i % 2 else -2.6) * radius * near
        glow = np.maximum(glow, strength * near)
    down, across = np.gradient(stream)
    flow = np.stack([down, -across], -1)

    far = (
        520
        + 34 * np.sin(x[0] / 95 + 0.6)
        + 22 * np.sin(x[0] / 41)
        - 50 * np.exp(-(((x[0] - 690) / 120) ** 2))
    )
    near = 588 + 20 * np.sin(x[0] / 130 + 2.2) + 8 * np.sin(x[0] / 37 + 1)
    shore = 640 + 7 * np.sin(x[0] / 90 + 0.4)
    region = np.select([y > shore, y > near, y > far], [WATER, NEAR, FAR], SKY)

    # On land the strokes run with the hills' outlines, on water almost level.
    slopes = {FAR: np.gradient(far), NEAR: np.gradient(near) * 1.6}
    sway = noise(rng, WIDTH, HEIGHT, 90, 2)
    for where, slope in slopes.items():
        lie = np.stack([np.ones_like(x), slope + 0.45 * sway], -1)
        flow[region == where] = lie[region == where]
    level = np.stack([np.ones_like(x), 0.22 * sway], -1)
    flow[region == WATER] = level[region == WATER]
    return flow, glow, stream, region


def night():
    canvas = Canvas(WIDTH, HEIGHT, rgb("0a1030"), seed=1889)
    rng = canvas.rng
    flow, glow, stream, region = scene(rng)
    patch = noise(rng, WIDTH, HEIGHT, 120, 3)
    band = 0.5 + 0.5 * np.sin(stream / 13.5 + 1.4 * patch)

    # Coarse to fine: spacing, width, length, body, how far a tone may stray.
    layers = [
        (20, 30, 130, 0.8, 0.05),
        (12, 15, 92, 1.3, 0.12),
        (10, 9.5, 66, 1.5, 0.16),
        (12, 5.5, 44, 1.4, 0.2),
    ]
    for layer, (spacing, width, length, body, stray) in enumerate(layers):
        seeds = scatter(rng, WIDTH, HEIGHT, spacing, margin=30)
        if layer == 3:
            seeds = seeds[rng.random(len(seeds)) < 0.75]
        lengths = length * rng.uniform(0.65, 1.25, len(seeds)) * (1 - 0.5 * look(glow, seeds))
        widths = width * rng.uniform(0.75, 1.25, len(seeds)) * (1 - 0.3 * look(glow, seeds))
        where = look(region, seeds)
        paths = trace(flow, seeds, lengths, region=region)
        # The land is painted over the sky, the near over the far.
        for i in np.argsort(where, kind="stable"):
            middle = paths[i, 6]
            colour = tone(
                rng,
                where[i],
                middle,
                look(glow, middle),
                look(band, middle),
                look(patch, middle),
                stray,
                layer,
            )
            second = vary(rng, colour * rng.uniform(0.82, 1.2), 0.035, 0.15, 0.05)
            canvas.stroke(paths[i], widths[i], colour, second, body, dry=0.3, streak=0.09)

    lamps(canvas)
    for light in LIGHTS[1:]:
        star(canvas, *light)
    moon(canvas, *LIGHTS[0])
    cypress(canvas, 66, 815, 330, 50)
    cypress(canvas, 236, 815, 350, 46)
    cypress(canvas, 150, 815, 580, 66)
    return canvas.lit()


def tone(rng, where, place, glow, band, patch, stray, layer):
    """The colour of one stroke."""
    jitter = rng.normal(0, stray)
    if where == FAR:
        return vary(rng, ramp(FAR_HILLS, 0.45 + 0.3 * patch + 1.4 * jitter), 0.02)
    if where == NEAR:
        return vary(rng, ramp(NEAR_HILLS, 0.4 + 0.3 * patch + 1.5 * jitter), 0.03)
    if where == WATER:
        depth = (place[1] - 640) / 160
        return vary(rng, ramp(LAKE, 0.55 - 0.3 * depth + 0.22 * patch + 1.5 * jitter), 0.02)
    if layer == 0:
        return vary(rng, ramp(DEEP, 0.12 + 0.25 * glow + 0.1 * band), 0.02)
    if glow > 0.22 + 0.1 * rng.normal():
        return vary(rng, ramp(WARM, 1.15 * glow - 0.1 + 1.3 * jitter), 0.015, 0.08)
    if layer >= 2 and rng.random() < 0.09:
        accents = rgb("5b46a8", "2aa7a0", "e3b648", "7f5bb5", "f0e3a8", "1f8fb0")
        return vary(rng, accents[rng.integers(len(accents))], 0.02)
    return vary(rng, ramp(DEEP, 0.12 + 0.68 * band**1.3 + 0.12 * patch + jitter), 0.018)


def rings(canvas, cx, cy, radius, width, colours, length=0.9, body=1.9, fade=0.6):
    """Short strokes around a centre, from the outside in.

    `colours` runs from rim to heart; `fade` is the share left out at the rim, so
    that it melts into the sky.
    """
    rng = canvas.rng
    count = max(1, int(radius / (0.8 * width)))
    for ring in range(count, 0, -1):
        r = radius * ring / count
        pieces = max(4, int(2 * np.pi * r / (width * 2.4)))
        for piece in rng.permutation(pieces):
            if rng.random() < fade * (ring / count) ** 3:
                continue
            start = 2 * np.pi * (piece + rng.uniform(-0.3, 0.3)) / pieces
            angles = start + np.linspace(0, length * width * 3.2 / r, 9)
            wobble = r * (1 + rng.normal(0, 0.05))
            path = np.stack([cx + wobble * np.cos(angles), cy + wobble * np.sin(angles)], -1)
            colour = vary(rng, ramp(colours, 1 - ring / count + rng.normal(0, 0.09)), 0.012, 0.08)
            canvas.stroke(
                path, width * rng.uniform(0.8, 1.2), colour, vary(rng, colour, 0.03), body, dry=0.15
            )


def star(canvas, cx, cy, radius, strength):
    rings(
        canvas,
        cx,
        cy,
        radius * 0.95,
        6.5,
        rgb("2a68b8", "3f9fa8", "9cc272", "f3d24a", "f9b030", "ffdf70", "fff6cf"),
    )
    dab = np.array([[cx - 5, cy + 2], [cx, cy - 1], [cx + 6, cy]])
    canvas.stroke(dab, 12 * strength, rgb("fffbe6"), rgb("ffe680"), body=3.0, dry=0.1)


def moon(canvas, cx, cy, radius, _strength):
    rng = canvas.rng
    halo = rgb("2b66bb", "3b8fb4", "55b0a0", "a8c878", "e9d65a", "f8c63c", "f7a02f", "e9802b")
    rings(canvas, cx, cy, radius * 1.15, 9, halo)
    # The dark side: bowed dabs all over the disc.
    dabs = scatter(rng, 98, 98, 5.5) - 49
    for x, y in dabs[np.hypot(*dabs.T) < 49]:
        turns = 0.45 - 0.014 * x + np.linspace(-0.25, 0.25, 7)
        bend = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], -1), 0) * 3.6
        path = np.array([cx + x, cy + y]) + bend - bend.mean(0)
        colour = vary(rng, ramp(rgb("123a8c", "1f5fae", "3389b8"), rng.random()), 0.015)
        canvas.stroke(path, 7, colour, vary(rng, colour, 0.03), body=1.6, dry=0.2)
    # The crescent: what a disc keeps when a smaller, shifted disc is cut out of it.
    outer, inner, shift, tilt = 56, 45, 25, 0.5
    for _ in range(420):
        turn = rng.uniform(-2.2, 2.2)
        cut = -shift * np.cos(turn) + np.sqrt(np.maximum(inner**2 - (shift * np.sin(turn)) ** 2, 0))
        if cut > outer - 3:
            continue
        deep = rng.random()
        turns = turn + tilt + np.linspace(-0.17, 0.17, 7)
        r = outer - 2 - (outer - cut - 3) * deep
        path = np.stack([cx + r * np.cos(turns), cy + r * np.sin(turns)], -1)
        colour = ramp(rgb("fffbe0", "fff0a0", "ffd84f", "fdb436"), deep + rng.normal(0, 0.14))
        canvas.stroke(path, 5.5, vary(rng, colour, 0.01), vary(rng, colour, 0.02), body=2.2, dry=0.2)


def lamps(canvas):
    """Windows on the shore and their long reflections."""
    rng = canvas.rng
    for x, bright in LAMPS:
        shore = 640 + 7 * np.sin(x / 90 + 0.4)
        top = shore - rng.uniform(4, 14)
        for _ in range(3):
            at = np.array([x, top]) + rng.normal(0, 2.0, 2)
            canvas.stroke(
                np.array([at, at + [1, 6]]), 6, vary(rng, rgb("ffd35a"), 0.02), rgb("fff1b5"), 2.2, dry=0.1
            )
        y = shore + 5
        while y < shore + 30 + 125 * bright:
            fade = (y - shore) / (HEIGHT - shore)
            for _ in range(2):
                width = rng.uniform(9, 20) * (0.7 + fade)
                left = x - width / 2 + rng.normal(0, 3 + 9 * fade)
                path = np.stack(
                    [
                        left + np.linspace(0, width, 6),
                        y + rng.normal(0, 2) + 1.5 * np.sin(np.linspace(0, 3, 6)),
                    ],
                    -1,
                )
                colour = ramp(
                    rgb("ffe48a", "f9b53a", "e2872e", "8f6a5a"),
                    fade * 1.15 - 0.3 * bright + 0.15 + rng.normal(0, 0.12),
                )
                canvas.stroke(path, 4.5, vary(rng, colour, 0.015), vary(rng, colour, 0.03), 1.6, dry=0.3)
            y += rng.uniform(5, 8) * (1 + fade)


def cypress(canvas, x, foot, height, spread):
    """A dark flame: long strokes that lick upwards, then lighter, finer ones."""
    rng = canvas.rng
    for width, count, body in ((15, 0.6, 1.2), (9, 0.9, 1.5), (5, 0.8, 1.6)):
        for _ in range(int(count * height)):
            up = rng.random()
            outline = spread * min(1, 0.55 + 1.6 * up) * (1 - up) ** 0.75
            side = np.clip(rng.normal(0, 0.5), -1, 1)
            start = np.array([x + 9 * np.sin(up * 4 + x) + side * outline, foot - up * height * 0.93])
            t = np.linspace(0, 1, 10)
            reach = rng.uniform(40, 84) * (1 - 0.3 * up)
            # Tongues lean out at the sides, then turn in and up.
            lean = side * (9 * np.sin(np.pi * t) - 0.5 * outline * t**2) + 3 * np.sin(4.5 * t + 9 * up)
            path = np.stack([start[0] + lean, start[1] - reach * t], -1)
            light = 0.2 + 0.2 * side + {15: 0, 9: 0.1, 5: 0.22}[width]
            colour = vary(rng, ramp(CYPRESS, light + rng.normal(0, 0.14)), 0.03, 0.12, 0.03)
            canvas.stroke(path, width * (1 - 0.4 * up), colour, vary(rng, colour * 1.35, 0.04), body, dry=0.4)
