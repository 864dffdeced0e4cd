"""How many objects of each class are in each photograph, as a table of comma-separated values.

python counts.py MODEL PHOTOS > counts.csv
python counts.py runs/cells photos/ > counts.csv
"""

import csv
import sys
from collections import Counter
from pathlib import Path

import masu


def counts(detector, photographs):
    """Count in one photograph after the other.

    Returns:
        The file name of each photograph, and a number for each class of the detector.
    """
    rows = []
    for path in photographs:
        found = detector.predict(path, threshold=detector.thresholds or 0.5)
        of_class = Counter(one.name for one in found)
        rows.append((path.name, [of_class[name] for name in detector.names]))
    return rows


if __name__ == "__main__":
    detector = masu.open_detector(sys.argv[1])
    files = sorted(file for file in Path(sys.argv[2]).iterdir() if file.suffix.lower() in (".jpg", ".png"))
    table = csv.writer(sys.stdout)
    table.writerow(["photograph", *detector.names])
    table.writerows([name, *numbers] for name, numbers in counts(detector, files))
