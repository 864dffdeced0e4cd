"""The smallest good data set of each format: one function each, which writes it into an empty folder.

Every set has one image of 64×48 pixels with an object or a few; a format that is read without being written
here is a function more and a line in ``MINIMAL``.
"""

import io
import json
from pathlib import Path

from PIL import Image


def picture(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (10, 20, 30)).save(path)
    return path


def text(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def coco(root: Path) -> None:
    picture(root / "images/a.png")
    page = {
        "images": [{"id": 1, "file_name": "a.png", "height": 48, "width": 64}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 20], "area": 600, "iscrowd": 0},
            {"id": 8, "image_id": 1, "category_id": 2, "segmentation": [[1, 2, 30, 2, 30, 20]]},
            {
                "id": 9,
                "image_id": 1,
                "category_id": 2,
                "iscrowd": 1,
                "segmentation": {"size": [48, 64], "counts": "b1d0l0000ni2"},
            },
        ],
        "categories": [{"id": 2, "name": "cat", "supercategory": "animal"}],
    }
    text(root / "annotations/instances_train.json", page)


def voc(root: Path) -> None:
    picture(root / "JPEGImages/a.png")
    text(root / "ImageSets/Main/train.txt", "a\n")
    box = "<xmin>1</xmin><ymin>2</ymin><xmax>31</xmax><ymax>22</ymax>"
    text(
        root / "Annotations/a.xml",
        "<annotation><filename>a.png</filename><size><width>64</width><height>48</height></size>"
        f"<object><name>cat</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>"
        f"<bndbox>{box}</bndbox></object></annotation>",
    )


def yolo(root: Path) -> None:
    picture(root / "images/train/a.png")
    text(root / "labels/train/a.txt", "0 0.25 0.25 0.25 0.25\n0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    text(root / "data.yaml", "path: .\ntrain: images/train\nnames:\n  0: cat\n")


def csv(root: Path) -> None:
    picture(root / "images/a.png")
    columns = "file,x1,y1,x2,y2,class,split,difficult,iscrowd,image_width,image_height"
    text(root / "labels.csv", f"{columns}\nimages/a.png,1,2,31,22,cat,train,0,1,64,48\n")


def labelme(root: Path) -> None:
    picture(root / "a.png")
    shape = {"label": "cat", "points": [[1, 2], [31, 22]], "shape_type": "rectangle", "flags": {}}
    parts = {"label": "dog", "points": [[1, 2], [9, 22], [4, 30]], "group_id": 1, "difficult": False}
    ring = {"label": "dog", "points": [[20, 20], [25, 20]], "group_id": 1, "shape_type": "circle"}
    page = {
        "shapes": [shape, parts, ring],
        "imagePath": "a.png",
        "imageHeight": 48,
        "imageWidth": 64,
        "imageData": None,
    }
    text(root / "a.json", page)


def metadata(root: Path) -> None:
    picture(root / "train/a.png")
    line = {"file_name": "a.png", "objects": {"bbox": [[1, 2, 30, 20]], "categories": ["cat"]}}
    text(root / "train/metadata.jsonl", json.dumps(line) + "\n")


def supervisely(root: Path) -> None:
    picture(root / "train/img/a.png")
    text(
        root / "meta.json", {"classes": [{"title": "cat", "shape": "rectangle", "color": "#F00"}], "tags": []}
    )
    figure = {
        "classTitle": "cat",
        "geometryType": "rectangle",
        "tags": [],
        "points": {"exterior": [[1, 2], [31, 22]], "interior": []},
    }
    mask = {
        "classTitle": "cat",
        "geometryType": "bitmap",
        "tags": [],
        "bitmap": {
            # 3×3 pixels, of which the middle is not set, as the SDK's documentation gives it
            "data": "eJzrDPBz5+WS4mJgYOD19HAJAtLMIMwIInOeqf8BUmwBPiGuQPr///9Lb86/C2QxlgT5BTM4PLuRBuTwebo4hlTMSa44"
            "sKHhISMDuxpTYrr03F6gDIOnq5/LOqeEJgDM5ht6",
            "origin": [10, 20],
        },
    }
    page = {"description": "", "tags": [], "size": {"height": 48, "width": 64}, "objects": [figure, mask]}
    text(root / "train/ann/a.png.json", page)


def widerface(root: Path) -> None:
    picture(root / "WIDER_train/images/0--Parade/a.png")
    text(
        root / "wider_face_split/wider_face_train_bbx_gt.txt", "0--Parade/a.png\n1\n1 2 30 20 0 0 0 0 0 0 \n"
    )


def dota(root: Path) -> None:
    picture(root / "train/images/P0001.png")
    rows = "1.0 2.0 31.0 2.0 31.0 22.0 1.0 22.0 ship 0\n5 5 9 3 12 8 8 10 large-vehicle 1\n"
    text(root / "train/labelTxt/P0001.txt", f"imagesource:GoogleEarth\ngsd:0.146343590398\n{rows}")


def parquet(root: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (10, 20, 30)).save(stream, "PNG")
    label = {"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "List"}
    features = {"image": {"_type": "Image"}, "objects": {"bbox": {"_type": "List"}, "category": label}}
    image = {"bytes": stream.getvalue(), "path": "a.png"}
    objects = {"bbox": [[1.0, 2.0, 30.0, 20.0], [40.0, 5.0, 20.0, 4.0]], "category": [0, 1]}
    table = pa.table({"image": [image], "objects": [objects]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (root / "data").mkdir()
    pq.write_table(table, root / "data/train-00000-of-00001.parquet")


def ndjson(root: Path) -> None:
    picture(root / "images/train/a.png")
    head = {"type": "dataset", "task": "detect", "name": "pets", "class_names": {"0": "cat"}, "version": 1}
    line = {"type": "image", "file": "a.png", "url": "https://example.org/a.png", "width": 64, "height": 48}
    line |= {"split": "train", "annotations": {"boxes": [[0, 0.25, 0.25, 0.25, 0.25]]}}
    text(root / "pets.ndjson", f"{json.dumps(head)}\n{json.dumps(line)}\n")


def cvat(root: Path) -> None:
    picture(root / "images/train/a.png")
    text(
        root / "annotations.xml",
        '<?xml version="1.0"?><annotations><version>1.1</version><meta><task><labels><label><name>cat</name></label>'
        '</labels></task></meta><image id="0" name="a.png" subset="train" width="64" height="48">'
        '<box label="cat" occluded="0" xtl="20.0" ytl="15.0" xbr="40.0" ybr="30.0" rotation="10.0"/>'
        '<polygon label="cat" points="1.0,2.0;30.0,2.0;30.0,20.0"/></image></annotations>',
    )


def labelstudio(root: Path) -> None:
    picture(root / "train/a.png")
    value = {"x": 10.0, "y": 10.0, "width": 30.0, "height": 40.0, "rotation": 0, "rectanglelabels": ["cat"]}
    result = {"id": "r", "type": "rectanglelabels", "from_name": "label", "to_name": "image", "value": value}
    result |= {"original_width": 64, "original_height": 48}
    task = {"id": 1, "data": {"image": "/data/upload/1/a.png", "split": "train"}}
    text(
        root / "tasks.json", [task | {"annotations": [{"id": 2, "was_cancelled": False, "result": [result]}]}]
    )


def openimages(root: Path) -> None:
    picture(root / "images/a.png")
    text(
        root / "train-annotations-bbox.csv",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
        "a,xclick,/m/01yrx,1,0.1,0.5,0.2,0.6,0,1,0\n",
    )
    text(root / "class-descriptions-boxable.csv", "/m/01yrx,Cat\n")


def kitti(root: Path) -> None:
    picture(root / "training/image_2/000000.png")
    line = "0.00 0 1.85 {} 1.57 1.73 4.15 1.00 1.75 13.22 1.62"
    car, rest = line.format("1.00 2.00 31.00 22.00"), line.format("40.00 5.00 60.00 20.00")
    text(root / "training/label_2/000000.txt", f"Car {car}\nDontCare {rest}\n")


def createml(root: Path) -> None:
    picture(root / "train/a.png")
    coordinates = {"x": 16.0, "y": 12.0, "width": 30.0, "height": 20.0}
    page = [{"image": "a.png", "annotations": [{"label": "cat", "coordinates": coordinates}]}]
    text(root / "train/_annotations.createml.json", page)


def via(root: Path) -> None:
    picture(root / "train/a.png")
    rect = {"name": "rect", "x": 1, "y": 2, "width": 30, "height": 20}
    circle = {"name": "circle", "cx": 20, "cy": 20, "r": 5}
    regions = [{"shape_attributes": shape, "region_attributes": {"kind": "cat"}} for shape in (rect, circle)]
    page = {"a.png123": {"filename": "a.png", "size": 123, "regions": regions, "file_attributes": {}}}
    text(root / "train/via_region_data.json", page)


MINIMAL = {
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "csv": csv,
    "labelme": labelme,
    "metadata": metadata,
    "supervisely": supervisely,
    "widerface": widerface,
    "dota": dota,
    "parquet": parquet,
    "ndjson": ndjson,
    "cvat": cvat,
    "labelstudio": labelstudio,
    "openimages": openimages,
    "kitti": kitti,
    "createml": createml,
    "via": via,
}
"""By the name of the format."""
