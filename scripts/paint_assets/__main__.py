"""Paints the style pictures in `assets/`.

    python3 scripts/paint_assets                  all five, about a minute and a half
    python3 scripts/paint_assets night            one
    python3 scripts/paint_assets --out DIR wave   somewhere else

    night      a windy night over a lake, in thick strokes
    wave       a woodblock print of a breaking wave
    mosaic     a sun over the sea, in tesserae
    hatching   terraced hills in ink and chalk
    meadow     a spring meadow in short dabs

Needs Python 3.10 or newer, numpy and Pillow. Every painting starts from its own
fixed seed, so the same versions of numpy and Pillow paint the same picture. Each
is saved as a JPEG of the best quality that stays under 300 kB.
"""

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from hatching import hatching
from meadow import meadow
from mosaic import mosaic
from night import night
from wave import wave

PAINTINGS = {painting.__name__: painting for painting in (night, wave, mosaic, hatching, meadow)}
LARGEST = 299_000


def jpeg(picture):
    """The bytes of a picture (height, width, 3; 0 to 1) as a JPEG no larger than LARGEST."""
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    for quality in range(92, 40, -1):
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality, optimize=True, progressive=True, subsampling="4:2:0")
        if data.tell() <= LARGEST:
            return data.getvalue()
    raise ValueError(f"no JPEG quality brings the picture under {LARGEST} bytes: paint it smaller")


def write(path, data):
    """Writes a file beside its place first, so that a broken run leaves no half picture."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        part.write(data)
    os.chmod(part.name, 0o644)
    os.replace(part.name, path)


def main():
    assets = Path(__file__).resolve().parents[2] / "assets"
    summary, _, rest = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="paint_assets",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("painting", nargs="*", help=f"which to paint (default: all): {', '.join(PAINTINGS)}")
    parser.add_argument("--out", type=Path, default=assets, metavar="DIR", help="where to (default: assets/)")
    wanted = parser.parse_args()
    for name in wanted.painting:
        if name not in PAINTINGS:
            parser.error(f"there is no painting '{name}': choose from {', '.join(PAINTINGS)}")

    wanted.out.mkdir(parents=True, exist_ok=True)
    for name in wanted.painting or PAINTINGS:
        start = time.monotonic()
        path = wanted.out / f"{name}.jpg"
        data = jpeg(PAINTINGS[name]())
        write(path, data)
        print(f"{path}: {len(data) // 1000} kB, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
