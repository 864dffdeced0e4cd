"""A job on a cluster of three machines, of which one goes away: network namespaces, as root."""

import time
from pathlib import Path

import pytest

from masu.bulk.predictor import Predictor
from tests.bulk.conftest import photographs, rows
from tests.cluster.machines import can_have_machines, three_machines
from tests.cluster.test_cluster import agree, command

IMAGES = 320  # twenty parts


@pytest.mark.skipif(not can_have_machines(), reason="network namespaces want root and iproute2")
@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_a_machine_that_goes_away_loses_and_doubles_nothing(tmp_path, model_file, how):
    paths = [str(path) for path in photographs(tmp_path / "in", IMAGES)]
    expected = {Path(r["path"]).name: r for r in Predictor(model_file, 0.3)({"path": paths}).to_pylist()}
    out = tmp_path / "out"
    with three_machines() as machines:
        job = command(model_file, tmp_path / "in", out, "--engine", "ray", "--workers", "1..2")
        with (tmp_path / "said").open("w") as said:
            driver = machines.popen(1, job, cwd=Path(__file__).parents[2], stderr=said)
            until = time.monotonic() + 120
            while time.monotonic() < until and not (
                len(rows(out)) >= 32 and machines.workers(2) and machines.workers(3)
            ):
                assert driver.poll() is None
                time.sleep(0.01)
            assert machines.workers(1) == []
            machines.kill(3) if how == "killed" else machines.cut(3)
            assert driver.wait(timeout=300) == 0, (tmp_path / "said").read_text()
    assert (tmp_path / "said").read_text().startswith(f"masu: {IMAGES} images in 20 parts")
    agree(rows(out), expected)
