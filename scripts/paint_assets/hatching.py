"""hatching: an ink and chalk drawing of terraced hills on toned paper.

Layers of hatching at different angles follow the form; a layer draws only where
the picture is darker than its threshold, so tones are built by crossing. White
chalk answers on the lit side.
"""

import numpy as np

from strokes import Canvas, blur, look, noise, rgb, scatter, smoothstep, vary

WIDTH, HEIGHT = 1000, 780

PAPER = rgb("d9b98a")
INK = rgb("15162b", "1d2547", "2a2233")
SEPIA = rgb("5a2413", "7a3218", "8f4a22")
CHALK = rgb("fff7e6", "fbe8cf", "f3f4f2")


def ridge(rng, base, height, cell):
    """A skyline: sums of smooth noise, coarse to fine."""
    line = noise(rng, WIDTH, 2, cell, 4)[0]
    return base - height * line


def scene(rng):
    """Tone (0 dark, 1 light) and the direction of the slope, both (height, width)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    # The sun's low disc and long, curling clouds.
    sun = np.hypot(x - 690, y - 175)
    clouds = noise(rng, WIDTH, HEIGHT, (420, 95), 4)
    tone = 0.6 + 0.28 * np.exp(-sun / 130) + 0.42 * clouds
    tone[sun < 62] = 1.0
    lie = 0.12 + 0.5 * blur(clouds, 12)
    # Around the sun the lines bend into rings; a line has no head or tail, so its
    # doubled angle is what blends.
    ring = np.arctan2(x - 690, -(y - 175))
    near = smoothstep(215, 150, sun)
    lie = 0.5 * np.arctan2(
        near * np.sin(2 * ring) + (1 - near) * np.sin(2 * lie),
        near * np.cos(2 * ring) + (1 - near) * np.cos(2 * lie),
    )

    layers = [
        (330, 70, 420, 0.16),
        (405, 80, 330, 0.06),
        (500, 90, 380, -0.02),
        (610, 85, 460, -0.1),
        (710, 60, 300, -0.16),
    ]
    edges = np.zeros_like(tone)
    for base, height, cell, shift in layers:
        skyline = ridge(rng, base, height, cell)
        inside = y > skyline
        depth = y - skyline
        form = noise(rng, WIDTH, HEIGHT, (190, 230), 3)
        slope = np.gradient(skyline)[None, :].repeat(HEIGHT, 0)
        # Lit from the sun's side: what falls away to the left lies in shade.
        light = 0.5 - 0.55 * np.tanh(1.6 * slope) * np.exp(-depth / 200) + 0.55 * form + shift
        light -= 0.22 * np.exp(-depth / 16) - 0.18 * smoothstep(40, 150, depth)
        tone = np.where(inside, light, tone)
        lie = np.where(inside, np.arctan(slope * 0.7) + 0.9 * form + 0.35, lie)
        edges = np.where(inside, (depth < 2.2).astype(np.float32), edges)
    return tone, lie, edges


def hatching():
    canvas = Canvas(WIDTH, HEIGHT, PAPER, seed=1504)
    rng = canvas.rng
    paper(canvas)
    tone, lie, edges = scene(rng)

    # Angle to the slope, gap between lines, threshold, inks, line width.
    passes = [
        (0.0, 6.0, 0.86, SEPIA, 1.6), (0.0, 6.6, 0.6, INK, 2.0), (0.85, 7.4, 0.42, INK, 1.6),
        (-0.75, 8.4, 0.27, INK, 1.6), (1.57, 8.4, 0.1, INK, 1.6),
    ]  # fmt: skip
    for turn, gap, threshold, inks, width in passes:
        hatch(canvas, tone, lie + turn, gap, threshold, inks, width, dark=True)
    hatch(canvas, tone, lie + 0.3, 6.0, 0.72, CHALK, 2.6, dark=False)
    hatch(canvas, tone, lie - 0.4, 6.5, 0.95, CHALK, 2.6, dark=False)
    outline(canvas, edges)
    return canvas.lit(depth=0.2, gloss=0.08)


def paper(canvas):
    """Laid paper: mottled, with fibres and faint ribs."""
    rows, columns = canvas.relief.shape
    mottle = noise(canvas.rng, columns, rows, 500, 6)
    fibres = noise(canvas.rng, columns, rows, (26, 5), 2)
    ribs = np.sin(np.arange(rows) * 2 * np.pi / 9)[:, None]
    canvas.colour *= (1 + 0.05 * mottle + 0.035 * fibres + 0.012 * ribs)[..., None]


def hatch(canvas, tone, angle, gap, threshold, inks, width, dark):
    """Lines along `angle`, drawn while the tone stays on the layer's side of the threshold."""
    rng = canvas.rng
    taken = np.zeros((HEIGHT, WIDTH), bool)
    for seed in scatter(rng, WIDTH, HEIGHT, gap * 1.25):
        path = follow(tone, angle, taken, seed, gap, threshold, dark, rng.uniform(60, 150))
        if path is None:
            continue
        press = np.clip(abs(look(tone, path[len(path) // 2]) - threshold) * 2.2, 0.0, 0.6)
        colour = vary(rng, inks[rng.integers(len(inks))], 0.01, 0.1, 0.02)
        path = path + rng.normal(0, 0.25, path.shape)
        canvas.stroke(
            path, width * (0.65 + press), colour, body=0.5, dry=0.35, streak=0.05, wet=0.12 if dark else 0.2
        )


def follow(tone, angle, taken, seed, gap, threshold, dark, longest):
    """A line through `seed`, at least a gap from its neighbours; None where there is no room."""
    step, halves = 4.0, []
    for way in (1, -1):
        place, half, heading = np.array(seed, float), [], None
        while len(half) * step < longest:
            x, y = int(place[0]), int(place[1])
            if not (0 <= x < WIDTH and 0 <= y < HEIGHT) or taken[y, x]:
                break
            if (tone[y, x] > threshold) == dark:
                break
            half.append(place.copy())
            turn = angle[y, x]
            ahead = np.array([np.cos(turn), np.sin(turn)])
            # An angle means the same line as its opposite: keep going forwards.
            heading = way * ahead if heading is None else ahead * (1 if ahead @ heading >= 0 else -1)
            place += step * heading
        halves.append(half)
    line = halves[1][:0:-1] + halves[0]
    if len(line) < 4:
        return None
    reach = int(gap * 0.62)
    for x, y in np.array(line).astype(int):
        taken[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = True
    return np.array(line)


def outline(canvas, edges):
    """The skylines, gone over with a broad pen in short pulls."""
    rng = canvas.rng
    for x in range(0, WIDTH, 9):
        ys = np.flatnonzero(edges[:, x])
        for y in ys[np.r_[True, np.diff(ys) > 3]] if len(ys) else []:
            path = [(x, y)]
            for ahead in range(x + 3, min(WIDTH, x + 34), 3):
                near = np.flatnonzero(edges[max(0, path[-1][1] - 7) : path[-1][1] + 8, ahead])
                if not len(near):
                    break
                path.append((ahead, max(0, path[-1][1] - 7) + near[0]))
            if len(path) > 3:
                wavy = np.array(path, float) + rng.normal(0, 0.5, (len(path), 2))
                canvas.stroke(wavy, rng.uniform(2.0, 3.8), INK[rng.integers(3)], body=0.6, dry=0.3)
