"""Writes COUNT different labelled images of WIDTH x HEIGHT into FOLDER: python3 images.py FOLDER COUNT WIDTH HEIGHT.

One background with two bright lines; a few pixels of each image are its own, so that no two share what is kept of them.
"""
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

folder, count, width, height = Path(sys.argv[1]), *map(int, sys.argv[2:5])
folder.mkdir(parents=True, exist_ok=True)
draw = random.Random(0)
base = Image.effect_noise((width, height), 40).convert("RGB")
lines = [(width * 0.1, height * 0.3, width * 0.9, height * 0.35), (width * 0.2, height * 0.8, width * 0.8, height * 0.6)]
pen = ImageDraw.Draw(base)
for line in lines:
    pen.line(line, fill=(240, 240, 240), width=3)
for number in range(count):
    image = base.copy()
    for _ in range(20):
        spot = (draw.randrange(width), draw.randrange(height))
        image.putpixel(spot, tuple(draw.randrange(256) for _ in range(3)))
    name = folder / f"{number:05d}"
    image.save(name.with_suffix(".png"), compress_level=1)
    text = "\n".join(" ".join(f"{value:.1f}" for value in line) for line in lines)
    (folder / f"{number:05d}_gt.txt").write_text(text + "\n")
