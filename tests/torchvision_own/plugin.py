"""Which of torchvision's tests are about something that masu has, and how many of those hold."""

import contextlib
import re
from collections import Counter, defaultdict
from types import SimpleNamespace
from unittest import mock

import pytest

from tests.torchvision_own import stand_ins

NOT_HERE = (
    (
        r"test_models\.py::(?!test_(detection_model|fasterrcnn|generalizedrcnn))",
        "other networks than detectors",
    ),
    (r"\[.*(ssd|maskrcnn|keypointrcnn)", "SSD, masks and key points, which masu does not have"),
    (r"_(mrcnn|krcnn|ssd)$", "SSD, masks and key points, which masu does not have"),
    (r"jit", "TorchScript, which masu does not support"),
    (r"q(nms|roi)", "quantised tensors, which masu.ops does not take"),
    (
        r"TestNMS::test_(schema|autograd_registration|faketensor|aot_dispatch)",
        "how torchvision registers its operators",
    ),
    (
        r"Test(RoiPool|PSRoI|Deform|Distance|Complete|GeneralizedBoxIou:|Masks|Stochastic|Drop|Frozen|BoxConv|Utils)",
        "operators that masu does not have",
    ),
)
DIFFERS = {
    r"test_detection_model_trainable_backbone_layers\[fasterrcnn_mobilenet": (
        "torchvision can train the last of MobileNet's stages of stride 32 alone; masu freezes by stride"
    ),
}
NOTHING = "calls nothing of masu's"


class Plugin:
    """Stand-ins, reasons and counts. ``theirs``: torchvision itself is tested, as a comparison."""

    def __init__(self, theirs=False):
        self.theirs, self.outcomes = theirs, defaultdict(Counter)
        self.reasons, self.differences = Counter(), Counter()

    def pytest_configure(self, config):
        if not self.theirs:
            stand_ins.put_in_place()

    def pytest_collection_modifyitems(self, items):
        for item in items:
            reason = next((said for form, said in NOT_HERE if re.search(form, item.nodeid)), None)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
            for form, said in () if self.theirs else DIFFERS.items():
                if re.search(form, item.nodeid):
                    item.add_marker(pytest.mark.xfail(reason=said, strict=True))
            if "_check_jit_scriptable" in vars(item.module):
                item.module._check_jit_scriptable = lambda *args, **options: None
            if hasattr(item.module, "TestRoIAlign"):
                item.module.TestRoIAlign.get_script_fn = _without_script

    @pytest.fixture
    def mocker(self):
        """As much of pytest-mock as these tests use."""
        with contextlib.ExitStack() as patches:
            yield SimpleNamespace(patch=lambda target: patches.enter_context(mock.patch(target)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if call.when == "setup":
            stand_ins.calls = 0
        if call.when == "call" and report.passed and not self.theirs and not stand_ins.calls:
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.reportinfo()[1], NOTHING)
        return report

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and report.passed:
            return
        name = report.nodeid.split("::")[0].split("/")[-1]
        if hasattr(report, "wasxfail"):
            self.outcomes[name]["differs"] += 1
            self.differences[name, report.wasxfail] += 1
            return
        self.outcomes[name][report.outcome] += 1
        if report.skipped:
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.reasons[name, reason] += 1

    def pytest_terminal_summary(self, terminalreporter):
        write = terminalreporter.write_line
        write("| torchvision's file | run | passed | differ | not applicable |")
        write("| --- | --- | --- | --- | --- |")
        for name, own in sorted(self.outcomes.items()):
            run = own["passed"] + own["failed"] + own["differs"]
            write(f"| `{name}` | {run} | {own['passed']} | {own['differs']} | {own['skipped']} |")
        for said, counts in (("differ", self.differences), ("not applicable", self.reasons)):
            for (name, reason), count in sorted(counts.items()):
                write(f"{name}: {count} {said}: {reason}")


def _without_script(self, rois, pool_size):
    """In place of TorchScript's form of the operator, the operator."""
    import torchvision

    return lambda x: torchvision.ops.roi_align(x, rois, pool_size)
