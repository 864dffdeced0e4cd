"""The texts of torchvision's tests: where they come from, and that they are those.

They are fetched and not kept here: they are torchvision's, under its BSD licence.
"""

import hashlib
import urllib.request
from pathlib import Path

TAG = "v0.21.0"
ADDRESS = f"https://raw.githubusercontent.com/pytorch/vision/{TAG}/test"
TESTS = (
    "test_models.py",
    "test_models_detection_negative_samples.py",
    "test_models_detection_utils.py",
    "test_ops.py",
)
SHA256 = {
    "_utils_internal.py": "086e1cfe44d9e636c54e216cfd0b8d5d94c858b9b5e3273b1abcc51612bd953a",
    "assets/encode_jpeg/grace_hopper_517x606.jpg": (
        "e1f57e98cf38076c0f9a058d74ffddf90f20453e436033784606b63c8ed2e49a"
    ),
    "common_utils.py": "f809ffac7dd168bb62e34ef1b115c6b4a81af463b46362ec288cff5a9d53f218",
    "conftest.py": "a6a6c3979411da76f1e415423a0b9b4282bdc0350f8e0b10061d7a785e83f7d0",
    "optests_failures_dict.json": "d313617c094a2175a2fbb3940bba1457036951d73f8a02c9c2943448ac14d0bf",
    "test_models.py": "dd3bf2efe93495ea7f82cff1f9893442c3431422e7aba34f978da3593cb7ced5",
    "test_models_detection_negative_samples.py": (
        "f92fbf38efeefb8437a92025694ebe5bf22f2aad3a4ff9e67bdc3c731a3fe8a1"
    ),
    "test_models_detection_utils.py": "e19e7019f3faeb76ebe90817a869ee8480c7b6ee0364b0b73140d762539deb4b",
    "test_ops.py": "99bab0825be5a82f033846890855867a545d96bca47f6d68e55f7b906e75c235",
} | {
    f"expect/ModelTester.test_{name}_expect.pkl": digest
    for name, digest in {
        "fasterrcnn_mobilenet_v3_large_320_fpn": (
            "b7a06f356edfe175e9af7c8c7bc42d14d756f1128fcd3e0221f44f34325f68bd"
        ),
        "fasterrcnn_mobilenet_v3_large_fpn": (
            "15b7226941ff262c4506f435637994a74cf4310ea37178ea2a67b17420f72cd6"
        ),
        "fasterrcnn_resnet50_fpn": "600a63b8373eaa3456eeace698b5f6bbdf3fa41b4c81eefb0d3641d79cbcbf2e",
        "fasterrcnn_resnet50_fpn_v2": "ff0916a4721fa92226f04c4c66962b4a07c3e864e18eb8501f2037810e7e625e",
        "fcos_resnet50_fpn": "9904b47555c20259793f5b81fd162e869fca342911f288a9a3477ec641b6051a",
        "retinanet_resnet50_fpn": "23800b8e94a3c907100d9b13f66446928adcc72b1d65f43525205acfb82a276c",
        "retinanet_resnet50_fpn_v2": "ca8ae1d40e3f59bf0fbe3612cd81f22f59de455170721aff680b8e48f8a97f87",
    }.items()
}


def bring(folder: Path) -> None:
    """Fetch what ``folder`` lacks, and refuse what is not the text of the tag."""
    for name, digest in SHA256.items():
        path = folder / name
        if path.is_file():
            text = path.read_bytes()
        else:
            print(f"{ADDRESS}/{name}")
            try:
                with urllib.request.urlopen(f"{ADDRESS}/{name}", timeout=60) as answer:
                    text = answer.read()
            except OSError as error:
                raise SystemExit(f"{ADDRESS}/{name}: {error}; put the file at {path}") from None
        if (found := hashlib.sha256(text).hexdigest()) != digest:
            raise SystemExit(f"{path}: found SHA-256 {found}, wanted {digest}, torchvision's of {TAG}")
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
