"""Each object that is found as a picture of its own, with a margin around it, in a folder for each class.

python cut_out.py MODEL PHOTOS OUT
python cut_out.py runs/cells photos/ cells/
"""

import sys
from pathlib import Path

from PIL import Image, ImageOps

import masu


def cut_out(detector, photographs, out, margin=0.1):
    """Write the pictures.

    Returns:
        Their files, such as ``out/cat/a-0.png`` for the surest object of ``a.jpg``, a cat.
    """
    written = []
    for path in photographs:
        with Image.open(path) as stored:
            picture = ImageOps.exif_transpose(stored).convert("RGB")  # boxes are of the upright picture
        for number, one in enumerate(detector.predict(path, threshold=detector.thresholds or 0.5)):
            x1, y1, x2, y2 = one.box
            wide, tall = margin * (x2 - x1), margin * (y2 - y1)
            folder = out / "".join(letter if letter.isalnum() else "_" for letter in one.name)
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{path.stem}-{number}.png"
            picture.crop((round(x1 - wide), round(y1 - tall), round(x2 + wide), round(y2 + tall))).save(file)
            written.append(file)
    return written


if __name__ == "__main__":
    files = sorted(file for file in Path(sys.argv[2]).iterdir() if file.suffix.lower() in (".jpg", ".png"))
    written = cut_out(masu.open_detector(sys.argv[1]), files, Path(sys.argv[3]))
    sys.stdout.write(f"{len(written)} objects\n")
