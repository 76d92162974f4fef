#!/usr/bin/env python3
"""Paint the pictures of docs/looks.md from the bundled pictures, and the contact sheet
of all presets. Needs Pillow and the built program; takes a quarter of an hour on two cores.

    scripts/paint_looks.py [--binary target/release/impasto] [keys] [presets]
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
LOOKS = ROOT / "docs/looks"
ASSETS = ROOT / "assets"
WIDTH = 300
GAP = 6

QUICK = ["--preset", "default", "--set", "schedule=[{size: 128, iterations: 60}, {size: 300, iterations: 60}]"]
CHINA_NIGHT = ["china.jpg", "night.jpg"]
ADAM = ["--set", "optimizer=adam"]


def sets(*settings):
    return [part for setting in settings for part in ("--set", setting)]


# Each file, and its pictures from left to right: content and styles, then flags.
KEYS = {
    "styles": [
        (["china.jpg", "night.jpg:0.6", "wave.jpg:0.4"], []),
        (["china.jpg", "night.jpg:0.6", "wave.jpg:0.4"], sets("style.blend=losses")),
    ],
    "scale": [(CHINA_NIGHT, sets("style.scale=0.4")), (CHINA_NIGHT, sets("style.scale=2"))],
    "colour": [
        (CHINA_NIGHT, sets("colour=content")),
        (CHINA_NIGHT, sets("colour=luminance")),
        (CHINA_NIGHT, sets("colour=match-symmetric")),
        (CHINA_NIGHT, sets("colour=match-histogram")),
    ],
    "masks": [
        (CHINA_NIGHT, ["--mask", "upper.png=night"]),
        (["china.jpg", "night.jpg", "wave.jpg"], ["--mask", "upper.png=night"]),
    ],
    "statistic": [
        (CHINA_NIGHT, sets(f"style.statistic={name}")) for name in ("gram", "mean-std", "covariance", "histogram")
    ],
    "shift": [(CHINA_NIGHT, sets("start=noise")), (CHINA_NIGHT, sets("start=noise", "style.shift=-1"))],
    "laplacian": [
        (["chelsea.jpg", "wave.jpg"], []),
        (["chelsea.jpg", "wave.jpg"], sets("content.laplacian=2e4")),
    ],
    "normalize": [(CHINA_NIGHT, []), (CHINA_NIGHT, sets("normalize_gradients=true"))],
    "average": [(CHINA_NIGHT, ADAM), (CHINA_NIGHT, ADAM + sets("average=0.97"))],
    "norm": [
        (CHINA_NIGHT, sets("smoothness.weight=1e5")),
        (CHINA_NIGHT, sets("smoothness.weight=1e6", "smoothness.norm=nine-point")),
    ],
    "start": [
        (CHINA_NIGHT, sets("start_noise=0.6")),
        (CHINA_NIGHT, sets("start=#c04020")),
    ],
    "finish": [
        (CHINA_NIGHT, sets("finish.denoise=0.7")),
        (CHINA_NIGHT, sets("finish.saturation=-0.6", "finish.contrast=0.2", "finish.grain=0.5")),
    ],
}

PAIRS = [
    ("china", "night"),
    ("chelsea", "meadow"),
    ("coffee", "wave"),
    ("china", "mosaic"),
    ("chelsea", "hatching"),
]
# Those that are made for looking at a method rather than at a picture come last.
PRESETS = "default quick photo bold fine swirl keepsake tinted ink miniature fresco palette gatys neural-style".split()


def paint(binary, folder, pictures, flags):
    output = Path(folder) / "out.png"
    paths = [str(ASSETS / picture) for picture in pictures]
    command = [binary, "run", *paths, *flags, "-o", output, "--headless", "--device", "cpu"]
    subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
    return Image.open(output).convert("RGB")


def fitted(picture, width):
    return picture.resize((width, round(picture.height * width / picture.width)), Image.LANCZOS)


def make_mask(folder):
    """The upper part of china.jpg, with a soft edge."""
    width, height = Image.open(ASSETS / "china.jpg").size
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).rectangle([0, 0, width, height * 0.62], fill=255)
    mask.filter(ImageFilter.GaussianBlur(10)).save(Path(folder) / "upper.png")


def paint_keys(binary):
    with tempfile.TemporaryDirectory() as folder:
        make_mask(folder)
        for name, pictures in KEYS.items():
            painted = [fitted(paint(binary, folder, p, QUICK + flags), WIDTH) for p, flags in pictures]
            height = max(picture.height for picture in painted)
            row = Image.new("RGB", (len(painted) * (WIDTH + GAP) - GAP, height), "white")
            for index, picture in enumerate(painted):
                row.paste(picture, (index * (WIDTH + GAP), 0))
            row.save(LOOKS / f"{name}.jpg", quality=85)
            print(name)


def paint_presets(binary):
    width = 200
    height = 134
    label = 14
    sheet = Image.new("RGB", (len(PAIRS) * (width + GAP), len(PRESETS) * (height + label + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    with tempfile.TemporaryDirectory() as folder:
        for row, preset in enumerate(PRESETS):
            top = row * (height + label + GAP)
            draw.text((2, top + 1), preset, fill="black")
            for column, (content, style) in enumerate(PAIRS):
                flags = ["--preset", preset, "--size", "256", "--iterations", "60"]
                picture = paint(binary, folder, [f"{content}.jpg", f"{style}.jpg"], flags)
                sheet.paste(fitted(picture, width), (column * (width + GAP), top + label))
            print(preset)
    sheet.save(LOOKS / "presets.jpg", quality=72, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(ROOT / "target/release/impasto"))
    parser.add_argument("what", nargs="*", help="keys, presets: both unless named")
    arguments = parser.parse_args()
    LOOKS.mkdir(exist_ok=True)
    what = arguments.what or ["keys", "presets"]
    if "keys" in what:
        paint_keys(arguments.binary)
    if "presets" in what:
        paint_presets(arguments.binary)


if __name__ == "__main__":
    main()
