"""X-AnyLabeling's own reader takes masu's drafts, and its remote client masu's backend."""

import pytest

import masu
from masu.drafts.draft import draft_of
from masu.drafts.model import version_of
from tests.clients.servers import free_port

qt = pytest.importorskip("PyQt6.QtWidgets", exc_type=ImportError)  # needs the system's libEGL and libGL

from anylabeling import config  # noqa: E402
from anylabeling.services.auto_labeling.remote_server import RemoteServer  # noqa: E402
from anylabeling.views.labeling.label_file import LabelFile  # noqa: E402
from PyQt6.QtGui import QImage  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def application():
    return qt.QApplication.instance() or qt.QApplication([])


def rows(shapes):
    """Corners, class and score of each of its shapes."""
    return [
        (tuple(x for point in shape.points for x in (point.x(), point.y())), shape.label, shape.score)
        for shape in shapes
    ]


def expected(detector, path, threshold=0.5):
    found = draft_of(detector.predict(path, threshold=threshold), (1, 1))
    corners = [(x1, y1, x2, y1, x2, y2, x1, y2) for x1, y1, x2, y2 in found.boxes]
    return list(zip(corners, found.names, found.scores, strict=True))


def test_it_reads_boxes_classes_and_scores(detector, data, tmp_path):
    masu.draft(detector, [path for path, _ in data], "xanylabeling", tmp_path / "out")
    met = 0
    for file in sorted((tmp_path / "out").glob("*.json")):
        page = LabelFile(str(file))
        known = expected(detector, file.with_suffix(".png"))
        assert rows(page.shapes) == known
        assert {shape.shape_type for shape in page.shapes} <= {"rectangle"}
        met += len(known)
    assert met > 10


@pytest.fixture(scope="module")
def client(start, model_file, tmp_path_factory):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    start(
        ["-m", "masu", "backend", str(model_file), "--port", str(port), "--device", "cpu"],
        f"{address}/health",
    )
    folder = tmp_path_factory.mktemp("settings")
    settings = folder / "settings.yaml"
    settings.write_text(f"remote_server_settings:\n  server_url: {address}\n  api_key: ''\n")
    config.set_work_directory(str(folder))
    config.current_config_file = str(settings)
    said = []
    remote = RemoteServer({"type": "remote_server", "display_name": "masu"}, said.append)
    remote.said = said
    return remote


def test_its_remote_client_gets_what_predict_finds(client, detector, model_file, data):
    models = client.get_available_models()
    assert models["masu"]["display_name"] == f"masu {version_of(model_file)}"
    client.set_model_id("masu")
    assert client.classes == list(detector.names)
    assert client.get_batch_processing_mode() == "default"
    met = 0
    for path, _ in data:
        client.set_auto_labeling_conf(0.0)
        result = client.predict_shapes(QImage(str(path)), str(path))
        assert rows(result.shapes) == expected(detector, path)
        met += len(result.shapes)
        client.set_auto_labeling_conf(0.9)
        assert rows(client.predict_shapes(QImage(str(path)), str(path)).shapes) == expected(
            detector, path, 0.9
        )
    assert met > 10
    assert client.said == []


def test_its_filter_of_classes(client, detector, data):
    client.set_model_id("masu")
    client.set_auto_labeling_conf(0.0)
    client.set_auto_labeling_filter_classes(["one"])
    for path, _ in data:
        found = rows(client.predict_shapes(QImage(str(path)), str(path)).shapes)
        assert found == [row for row in expected(detector, path) if row[1] == "one"]


def test_a_file_that_is_no_picture_is_said(client, tmp_path, data):
    client.set_model_id("masu")
    (tmp_path / "wrong.png").write_bytes(b"no picture")
    result = client.predict_shapes(QImage(str(data[0].image)), str(tmp_path / "wrong.png"))
    assert result.shapes == []
    assert len(client.said) == 1
    assert "400" in client.said.pop()
