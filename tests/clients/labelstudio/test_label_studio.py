"""A real Label Studio takes masu's drafts, asks its backend, and exports what masu reads."""

import json

import pytest
import requests

import masu
from masu.drafts.draft import draft_of
from masu.drafts.model import version_of
from tests.clients.servers import free_port

TOKEN = "0123456789abcdef0123456789abcdef01234567"
SECONDS = 120


class LabelStudio:
    """Its HTTP interface, as documented."""

    def __init__(self, address):
        self.address = address

    def __call__(self, method, path, **more):
        answer = requests.request(
            method,
            f"{self.address}{path}",
            headers={"Authorization": f"Token {TOKEN}"},
            timeout=SECONDS,
            **more,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def tasks(self, project):
        return self("GET", f"/api/tasks?project={project}&fields=all&page_size=100")["tasks"]


@pytest.fixture(scope="module")
def drafts(model_file, data, tmp_path_factory):
    """The drafts of six pictures; six more wait for the backend."""
    out = tmp_path_factory.mktemp("drafts") / "out"
    detector = masu.load(model_file)
    paths = [path for path, _ in data]
    done = masu.draft(detector, paths[:6], "labelstudio", out, version=version_of(model_file))
    assert (done.images, done.labelled) == (6, 0)
    assert done.boxes > 6
    return out


@pytest.fixture(scope="module")
def studio(start, drafts, tmp_path_factory):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    start(
        [
            *("-m", "label_studio.server", "start", "--no-browser", "--port", str(port)),
            *("--username", "a@example.com", "--password", "of-a-test-12", "--user-token", TOKEN),
            *("--data-dir", str(tmp_path_factory.mktemp("studio"))),
        ],
        f"{address}/health",
        LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED="true",
        LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=str(drafts),
        LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN="true",
        LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS="false",  # else no backend on this computer
        LABEL_STUDIO_HOST=address,
        COLLECT_ANALYTICS="False",
        LATEST_VERSION_CHECK="False",
        SENTRY_DSN="",
        FRONTEND_SENTRY_DSN="",
    )
    return LabelStudio(address)


@pytest.fixture(scope="module")
def backend(start, studio, drafts, model_file):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["-m", "masu", "backend", str(model_file), "--port", str(port), "--device", "cpu"]
    command += ["--root", str(drafts), "--label-studio-url", studio.address]
    start(command, f"{address}/health", LABEL_STUDIO_API_KEY=TOKEN)
    return address


@pytest.fixture(scope="module")
def project(studio, drafts):
    """A project with the drafts' configuration, folder and tasks."""
    config = (drafts / "config.xml").read_text()
    number = studio("POST", "/api/projects", json={"title": "drafts", "label_config": config})["id"]
    folder = {"project": number, "path": str(drafts / "images"), "use_blob_urls": True}
    studio("POST", "/api/storages/localfiles", json=folder)
    tasks = json.loads((drafts / "tasks.json").read_text())
    done = studio("POST", f"/api/projects/{number}/import", json=tasks)
    assert (done["task_count"], done["prediction_count"]) == (6, 6)
    return number


def pixels(result):
    """Box, class and score of each region."""
    rows = []
    for one in result:
        value, width, height = one["value"], one["original_width"], one["original_height"]
        x1, y1 = value["x"] * width / 100, value["y"] * height / 100
        x2, y2 = x1 + value["width"] * width / 100, y1 + value["height"] * height / 100
        box = tuple(round(x, 2) for x in (x1, y1, x2, y2))
        rows.append((box, value["rectanglelabels"][0], one["score"]))
    return rows


def own(detector, path):
    """The same of what the detector finds in a file."""
    found = detector.predict(path, threshold=0.5)
    picture = draft_of(found, (1, 1))
    return list(zip(picture.boxes, picture.names, picture.scores, strict=True))


def test_drafts_are_its_predictions(studio, project, drafts, detector, model_file):
    for task in studio.tasks(project):
        file = drafts / task["data"]["image"].partition("?d=")[2]
        (prediction,) = studio("GET", f"/api/predictions?task={task['id']}")
        assert prediction["model_version"] == version_of(model_file)
        rows = own(detector, file)
        assert pixels(prediction["result"]) == rows
        assert prediction["score"] == min((score for _, _, score in rows), default=None)
        shown = requests.get(
            studio.address + task["data"]["image"],
            headers={"Authorization": f"Token {TOKEN}"},
            timeout=SECONDS,
        )
        assert shown.content == file.read_bytes()


def test_its_backend_predicts_uploaded_pictures(studio, backend, drafts, detector, model_file, data):
    config = (drafts / "config.xml").read_text()
    number = studio("POST", "/api/projects", json={"title": "backend", "label_config": config})["id"]
    for path, _ in (data[i] for i in (6, 7, 8)):
        with path.open("rb") as file:
            studio("POST", f"/api/projects/{number}/import", files={"file": (path.name, file, "image/png")})
    added = studio("POST", "/api/ml", json={"url": backend, "project": number, "title": "masu"})
    assert studio("GET", f"/api/ml/{added['id']}")["readable_state"] == "Connected"
    assert studio("GET", f"/api/ml/{added['id']}/versions")["versions"] == [version_of(model_file)]
    every = {"selectedItems": {"all": True, "excluded": []}}
    studio("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={number}", json=every)
    tasks = studio.tasks(number)
    assert len(tasks) == 3
    met = 0
    for task in tasks:
        assert task["data"]["image"].startswith("/data/upload/")
        path = next(p for p, _ in data if task["data"]["image"].endswith(p.name))
        (prediction,) = studio("GET", f"/api/predictions?task={task['id']}")
        assert prediction["model_version"] == version_of(model_file)
        rows = own(detector, path)
        assert pixels(prediction["result"]) == rows
        met += len(rows)
    assert met > 0
    tested = studio("POST", f"/api/ml/{added['id']}/predict/test?random=true")
    assert tested["response"][0]["model_version"] == version_of(model_file)


def test_a_configuration_without_the_models_classes_is_refused_with_the_reason(studio, backend):
    config = (
        '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">'
        '<Label value="cat"/></RectangleLabels></View>'
    )
    number = studio("POST", "/api/projects", json={"title": "other", "label_config": config})["id"]
    answer = requests.post(
        f"{studio.address}/api/ml",
        json={"url": backend, "project": number, "title": "masu"},
        headers={"Authorization": f"Token {TOKEN}"},
        timeout=SECONDS,
    )
    assert answer.status_code == 400
    assert "400 Client Error" in answer.text


def test_accepted_drafts_are_labels_for_masu(studio, project, drafts, detector, tmp_path):
    """Each draft is submitted as it is, as its *Submit* does; then the project is exported."""
    for task in studio.tasks(project):
        (prediction,) = studio("GET", f"/api/predictions?task={task['id']}")
        accepted = {"result": prediction["result"], "parent_prediction": prediction["id"]}
        studio("POST", f"/api/tasks/{task['id']}/annotations", json=accepted)
    exported = studio("GET", f"/api/projects/{project}/export?exportType=JSON")
    (tmp_path / "export.json").write_text(json.dumps(exported))
    again = masu.read_dataset(tmp_path / "export.json", images=drafts)
    assert len(again) == 6
    for image, target in again:
        rows = own(detector, image)
        assert [again.names[label] for label in target.labels] == [name for _, name, _ in rows]
        assert target.boxes.flatten().tolist() == pytest.approx(
            [x for box, _, _ in rows for x in box], abs=0.01
        )
