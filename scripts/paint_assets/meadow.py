"""meadow: a spring morning in broken colour, short comma dabs over a warm ground."""

import numpy as np

from strokes import Canvas, look, noise, ramp, rgb, scatter, smoothstep, vary

WIDTH, HEIGHT = 1000, 800
HORIZON = 268

SKY = rgb("2f7fc9", "4fa3dc", "86b9e8", "b9a6e4", "efa9cf", "ffb9a0", "ffd98f", "fff3cf")
TREES = rgb("2a1f5c", "353f94", "2a6f9a", "2f9484", "6fb55a", "e0cf5a", "f29a4a")
GRASS = rgb("12404f", "1a6a55", "3a9a4a", "7fc043", "c9d84a", "f7e67a")
SHADE = rgb("3b2f78", "55489f", "4a6fb0", "3f8f8f", "5aa56a")
PATH = rgb("b58ac4", "e0a5b4", "f2c29a", "fbe3b8", "c7a6dd")
FLOWERS = [
    rgb("b80f3a", "e0242f", "f5502f", "ff8450"),
    rgb("e0559a", "f285b5", "fbb4cf", "fddbe4"),
    rgb("7a3fb0", "9a63cf", "bb93e6", "dcc6f4"),
    rgb("f6b820", "fbd648", "fff0a0", "fffbe8"),
    rgb("f3b8c4", "fbd9d0", "fff6ea", "fffdf6"),
]


def scene(rng):
    """Where the path, the trees, the flower drifts and the shadows lie: (height, width) fields."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    deep = np.clip((y - HORIZON) / (HEIGHT - HORIZON), 0, 1)
    middle = 610 - 330 * deep + 120 * np.sin(3.6 * deep + 0.5)
    path = 1 - smoothstep(0.7, 1.15, np.abs(x - middle) / (14 + 105 * deep**1.2))
    line = x[0]
    crowns = (
        62 + 26 * np.sin(line / 61) + 17 * np.sin(line / 23 + 1) + 95 * np.exp(-(((line - 835) / 120) ** 2))
    )
    crowns += 46 * np.exp(-(((line - 190) / 95) ** 2))
    trees = (y > HORIZON - crowns + 16 * noise(rng, WIDTH, HEIGHT, 40, 2)) & (y < HORIZON + 10)
    drifts = [noise(rng, WIDTH, HEIGHT, (300, 110), 3) for _ in FLOWERS]
    shadow = noise(rng, WIDTH, HEIGHT, (420, 90), 3)
    return deep, path, trees, drifts, shadow


def meadow():
    canvas = Canvas(WIDTH, HEIGHT, rgb("a8576b"), seed=1874)
    rng = canvas.rng
    deep, path, trees, drifts, shadow = scene(rng)
    cloud = noise(rng, WIDTH, HEIGHT, (380, 150), 4)

    # A shadowy underpainting, so that gaps between the dabs read as depth.
    for place in scatter(rng, WIDTH, HEIGHT - HORIZON, 13, margin=10) + [0, HORIZON]:
        colour = vary(rng, ramp(SHADE, 0.5 + 0.6 * look(shadow, place) + rng.normal(0, 0.2)) * 0.85, 0.03)
        comma(canvas, place, 34, 15, rng.normal(-0.1, 0.3), colour)

    for layer, (size, share) in enumerate([(3.0, 1.0), (2.0, 1.0), (1.35, 0.9), (0.95, 0.55)]):
        seeds = scatter(rng, WIDTH, HEIGHT, 8.6 * size, margin=20)
        seeds = seeds[rng.random(len(seeds)) < share]
        # Far dabs first, so that near grass overlaps what lies behind it.
        rows = seeds[:, 1] + rng.normal(0, 14, len(seeds))
        for place in seeds[np.argsort(rows)]:
            dab(canvas, place, size, layer, deep, path, trees, drifts, shadow, cloud)
    return canvas.lit()


def dab(canvas, place, size, layer, deep, path, trees, drifts, shadow, cloud):
    rng, near = canvas.rng, look(deep, place)
    if look(trees, place):
        light = 0.36 + 0.3 * look(cloud, place * [3, 2]) + rng.normal(0, 0.15) + 0.08 * layer
        colour, angle, length, width = ramp(TREES, light), rng.normal(-1.1, 0.5), 15 * size, 7.5 * size
    elif place[1] < HORIZON:
        height = place[1] / HORIZON
        light = 0.2 + 0.42 * height + 0.62 * look(cloud, place) + rng.normal(0, 0.09)
        colour, angle = ramp(SKY, light), -0.35 + 1.5 * look(cloud, place * 0.7) + rng.normal(0, 0.2)
        if rng.random() < 0.12:
            colour = rgb("7fc4d6", "c9a2e6", "ffb59c", "9fd8c0")[rng.integers(4)]
        length, width = 22 * size, 7.5 * size
    elif look(path, place) > rng.uniform(0.25, 0.75):
        light = 0.5 + 0.4 * look(shadow, place) + rng.normal(0, 0.2)
        colour, angle, length = ramp(PATH, light), rng.normal(0.05, 0.22), (13 + 11 * near) * size
        width = (5 + 3.5 * near) * size
    else:
        return grass(canvas, place, size, layer, near, drifts, shadow)
    return comma(canvas, place, length, width, angle, vary(rng, colour, 0.025, 0.14, 0.04))


def grass(canvas, place, size, layer, near, drifts, shadow):
    rng = canvas.rng
    shaded = look(shadow, place) + rng.normal(0, 0.12) > 0.28
    colours = SHADE if shaded else GRASS
    colour = ramp(colours, 0.46 + 0.1 * layer + 0.3 * look(drifts[0], place * 0.8) + rng.normal(0, 0.17))
    angle, length, width = rng.normal(-1.4, 0.33), (10 + 20 * near) * size, (4.2 + 3.6 * near) * size
    # A drift of flowers shows where its noise is high; blossoms sit on top of the grass.
    kind = int(np.argmax([look(drift, place) + rng.normal(0, 0.13) for drift in drifts]))
    if look(drifts[kind], place) > rng.uniform(-0.1, 0.7) + 0.1 * (layer == 0):
        colour = ramp(FLOWERS[kind], rng.beta(1.6, 1.8)) * (0.8 if shaded else 1)
        angle, length, width = rng.uniform(-0.7, 0.7), (6 + 6.5 * near) * size, (4.5 + 5 * near) * size
    comma(canvas, place, length, width, angle, vary(rng, colour, 0.03, 0.12, 0.05))


def comma(canvas, place, length, width, angle, colour):
    """One short, slightly bent dab around a point."""
    rng = canvas.rng
    length *= rng.uniform(0.7, 1.25)
    t = np.linspace(-0.5, 0.5, 7)
    bend = angle + rng.normal(0, 0.55) * t
    step = length / 7
    path = place + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], -1), 0) * step
    second = vary(rng, colour, 0.05, 0.2, 0.09)
    canvas.stroke(
        path, max(3, width * rng.uniform(0.75, 1.2)), colour, second, body=1.5, dry=0.3, streak=0.08, wet=0.14
    )
