"""mosaic: a sun over a curling sea, in glass and stone tesserae.

The rows of tiles run along the outlines of the figures (andamento): every row
is a level line of the distance to the nearest outline. Each tile has its own
shade and is set at its own slight tilt.
"""

import numpy as np

from strokes import Canvas, blur, distance, noise, ramp, rgb, scatter, vary

WIDTH, HEIGHT = 1000, 800
TILE = 12.5

GROUT = rgb("3a2c2a")
GOLD = rgb("8a5a12", "c98d1f", "edbb3a", "ffe07a", "fff3b8")
SKY = rgb("fbdc84", "f2a94f", "d9633a", "8f3f55", "3c3f86", "1d3f95", "122a70")
DAY = rgb("f6e7c0", "bfe0d2", "69bcc0", "2f8fb5", "1f5fa8", "173a86")
LAPIS = rgb("0b1a55", "13308a", "1f4fb5", "3f7fd0")
TEAL = rgb("0f4f66", "1a7f8f", "3fb0ad", "8fd6c4")
FOAM = rgb("d9efe6", "f6f4e4", "ffffff", "bfe3e6")
CLAY = rgb("6e1f17", "a8331f", "cf5a30", "e98a52")
EMBER = rgb("b3261e", "d9432a", "f07a35", "f9b04a")
STONE = rgb("efe3cc", "d9c3a0", "f8f2e4", "c9a982")

SUN = (640, 300)
FRAME = 34


def scene():
    """For each pixel its figure's label and its distance to the sun; for each label its colours' name."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    label = np.zeros((HEIGHT, WIDTH), np.int32)
    colours = ["sky"]

    def put(mask, colour):
        label[mask] = len(colours)
        colours.append(colour)

    r = np.hypot(x - SUN[0], y - SUN[1])
    angle = np.arctan2(y - SUN[1], x - SUN[0])
    # Flaming rays, bent one way, in two lengths.
    for count, reach, phase, colour in ((12, 236, 0.0, "clay"), (12, 190, np.pi / 12, "gold")):
        turn = (angle + phase + 0.22 * np.sin(r / 34)) * count / (2 * np.pi)
        off = np.abs(turn - np.rint(turn)) * 2 * np.pi / count * r
        put((r < reach) & (off < 25 * np.maximum(1 - r / reach, 0) ** 0.7), colour)
    put(r < 104, "ember")
    put(r < 84, "gold")
    for k in range(8):
        a = k * np.pi / 4 + 0.3
        px, py = SUN[0] + 46 * np.cos(a), SUN[1] + 46 * np.sin(a)
        put(np.hypot(x - px, y - py) < 15, "clay" if k % 2 else "teal")
    put(r < 22, "ember")

    # Stars, as roundels.
    for cx, cy, radius in ((146, 176, 76), (300, 112, 48), (908, 118, 52), (262, 330, 58), (96, 392, 42)):
        for size, colour in ((1, "foam"), (0.8, "teal"), (0.58, "gold"), (0.26, "clay")):
            put(np.hypot(x - cx, y - cy) < radius * size, colour)

    # The sea: scales in rows, each a nest of arcs, the nearer over the farther.
    for row in range(6):
        level = 520 + row * 62
        radius = 92 + 3 * row
        for column in range(-1, 8):
            cx = column * 156 + (78 if row % 2 else 0) + 10
            cy = level + radius * 0.55 + 12 * np.sin(column * 1.7 + row)
            d = np.hypot(x - cx, y - cy)
            for size, colour in (
                (1, "foam"),
                (0.84, "lapis"),
                (0.6, "teal"),
                (0.38, "foam"),
                (0.24, "lapis"),
            ):
                put(d < radius * size, colour)

    # Two fish leap.
    for fx, fy, turn, length in ((340, 540, -0.5, 130), (720, 640, 0.35, 140)):
        a = (x - fx) * np.cos(turn) + (y - fy) * np.sin(turn)
        b = -(x - fx) * np.sin(turn) + (y - fy) * np.cos(turn) + 0.0022 * a * a
        half = 0.27 * length * np.clip(1 - (a / length) ** 2, 0, 1) ** 0.8
        tail = (
            (a < -0.82 * length)
            & (a > -1.3 * length)
            & (np.abs(b) < 0.14 * length + 0.62 * (-a - 0.95 * length))
        )
        put(tail, "clay")
        put((np.abs(b) < half) & (np.abs(a) < length), "clay")
        put((np.abs(b) < half - 13) & (np.abs(a) < 0.62 * length), "gold")
        put(np.hypot(a - 0.66 * length, b + 3) < 9, "foam")

    edge = np.minimum(np.minimum(x, WIDTH - 1 - x), np.minimum(y, HEIGHT - 1 - y))
    put(edge < FRAME, "stone")
    around = np.where(np.minimum(y, HEIGHT - 1 - y) < np.minimum(x, WIDTH - 1 - x), x, y)
    put((edge < FRAME - 5) & (np.abs((around + 11) % 44 - 22) + np.abs(edge - FRAME / 2) < 16), "clay")
    return label, colours, r


class Floor:
    """The canvas as a mosaicist sees it: what is laid, and in which direction rows run."""

    def __init__(self, canvas, label, colours, reach):
        self.canvas, self.label, self.colours, self.reach = canvas, label, colours, reach
        away = distance(label)
        self.row = away / TILE
        down, across = np.gradient(blur(away, 2.0))
        self.normal = np.arctan2(down, across)
        # A row keeps the shade it was begun with a little: streaks along the rows.
        self.mottle = noise(canvas.rng, WIDTH, HEIGHT, 90, 3)
        scale = canvas.scale
        self.fine_label = label.repeat(scale, 0).repeat(scale, 1)
        self.laid = np.zeros(self.fine_label.shape, bool)

    def lay(self, x, y, size, need):
        """Lays a tile at a point if the share `need` of it is still free there; says whether it did."""
        rng, scale = self.canvas.rng, self.canvas.scale
        column, line = int(x), int(y)
        if not (0 <= column < WIDTH and 0 <= line < HEIGHT):
            return False
        turn = self.normal[line, column] + rng.normal(0, 0.05)
        long, wide = size * rng.uniform(0.92, 1.12) * scale / 2, size * rng.uniform(0.9, 1.05) * scale / 2
        reach = int(1.5 * max(long, wide)) + 2
        cx, cy = x * scale, y * scale
        rows = slice(max(0, int(cy) - reach), min(self.laid.shape[0], int(cy) + reach + 1))
        columns = slice(max(0, int(cx) - reach), min(self.laid.shape[1], int(cx) + reach + 1))
        py, px = np.mgrid[rows, columns].astype(np.float32)
        a = (px - cx) * np.cos(turn) + (py - cy) * np.sin(turn)
        b = -(px - cx) * np.sin(turn) + (py - cy) * np.cos(turn)
        # Hand-cut: each side slants a little and bulges a little.
        slant = rng.normal(0, 0.07, 4)
        sides = [
            wide - a + slant[0] * b,
            wide + a + slant[1] * b,
            long - b + slant[2] * a,
            long + b + slant[3] * a,
        ]
        inside = np.minimum.reduce(sides)
        tile = inside > 0
        free = tile & ~self.laid[rows, columns] & (self.fine_label[rows, columns] == self.label[line, column])
        if free.sum() < need * tile.sum() or free.sum() < 14:
            return False
        # The joint around a tile counts as laid too.
        self.laid[rows, columns] |= inside > -1.3 * scale / 2
        self.paint(rows, columns, free, inside, a / wide, b / long, self.shade(line, column))
        return True

    def paint(self, rows, columns, free, inside, a, b, colour):
        canvas, rng = self.canvas, self.canvas.rng
        tilt = rng.normal(0, 1.1, 2)
        streak = (
            1
            + 0.05 * np.sin(3 * a + 5 * b * rng.normal() + rng.uniform(0, 6))
            + 0.1 * (tilt[0] * a + tilt[1] * b)
        )
        canvas.colour[rows, columns][free] = (colour * streak[..., None])[free]
        dome = 1.6 * np.clip(inside / 2.5, 0, 1) + 0.25 * (tilt[0] * a + tilt[1] * b)
        canvas.relief[rows, columns][free] = (dome + 0.7)[free]

    def shade(self, line, column):
        """A tile's colour: by figure, by row (the outermost row outlines the figure), by chance."""
        rng = self.canvas.rng
        name, row = self.colours[self.label[line, column]], int(self.row[line, column])
        stray = rng.normal(0, 0.2) + 0.3 * self.mottle[line, column]
        if name == "sky":
            # From a golden glow around the sun to turquoise, then lapis; two ramps woven together.
            t = (self.reach[line, column] - 110) / 430
            stops = SKY if rng.random() < 0.28 else DAY
            return vary(rng, ramp(stops, t + 0.55 * stray - 0.1 * (row == 0)), 0.015)
        stops = {
            "gold": GOLD,
            "lapis": LAPIS,
            "teal": TEAL,
            "foam": FOAM,
            "clay": CLAY,
            "ember": EMBER,
            "stone": STONE,
        }
        base = {"gold": 0.35 + 0.12 * row, "clay": 0.3 + 0.22 * row, "ember": 0.25 + 0.3 * row}.get(
            name, 0.3 + 0.22 * row
        )
        return vary(rng, ramp(stops[name], base + stray), 0.012, 0.1, 0.05)


def mosaic():
    canvas = Canvas(WIDTH, HEIGHT, GROUT, seed=547)
    rng = canvas.rng
    rows, columns = canvas.relief.shape
    canvas.colour *= (1 + 0.25 * noise(rng, columns, rows, 9, 2))[..., None]
    label, colours, reach = scene()
    floor = Floor(canvas, label, colours, reach)

    # Row after row from the outlines inwards, each walked along its level line.
    deepest = int(floor.row.max()) + 1
    for row in range(deepest):
        ys, xs = np.nonzero(np.abs(floor.row - (row + 0.5)) < 0.06)
        for i in rng.permutation(len(xs)):
            walk(floor, float(xs[i]), float(ys[i]), row)
    # Then ever smaller pieces where gaps are left.
    for size, need in ((TILE, 0.6), (TILE * 0.8, 0.5), (TILE * 0.6, 0.45), (TILE * 0.45, 0.4)):
        for x, y in scatter(rng, WIDTH, HEIGHT, 3.2):
            line, column = int(np.clip(y * 2, 0, 2 * HEIGHT - 1)), int(np.clip(x * 2, 0, 2 * WIDTH - 1))
            if not floor.laid[line, column]:
                floor.lay(x, y, size, need)
    return canvas.lit(depth=0.5, gloss=0.45)


def walk(floor, x, y, row):
    """Lays tiles side by side along a row until it is blocked."""
    while floor.lay(x, y, TILE, 0.86):
        turn = floor.normal[int(y), int(x)]
        # A step along the row, then back to its level.
        x, y = x - np.sin(turn) * (TILE + 0.9), y + np.cos(turn) * (TILE + 0.9)
        if not (0 <= x < WIDTH and 0 <= y < HEIGHT):
            return
        off = (floor.row[int(y), int(x)] - (row + 0.5)) * TILE
        turn = floor.normal[int(y), int(x)]
        x, y = x - np.cos(turn) * np.clip(off, -4, 4), y - np.sin(turn) * np.clip(off, -4, 4)
