"""Images that cannot be read, met while training: each told once, too many refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from masu.data.dataset import Dataset
from masu.data.kinds import Fault
from masu.errors import bad_input
from masu.processes import Processes


class Unreadable:
    """The faults of images, each told once; too many end the training."""

    def __init__(
        self, data: Dataset, most: float, report: Callable[[dict[str, Any]], None], processes: Processes
    ) -> None:
        self.data, self.most, self.report, self.processes = data, most, report, processes
        self.told: set[Fault] = set()
        self.new: dict[Fault, None] = {}

    def add(self, fault: Fault) -> None:
        """Keep a fault until it is told."""
        if fault not in self.told:
            self.new[fault] = None

    @property
    def untold(self) -> int:
        """How many are kept."""
        return len(self.new)

    def tell(self) -> None:
        """Tell the faults of all processes.

        Raises:
            InputError: where there is one too many, in all of them.
        """
        own = [asdict(fault) | {"file": os.fsdecode(fault.file), "image": None} for fault in self.new]
        self.new = {}
        for text in self.processes.texts(json.dumps(own)):
            for values in json.loads(text):
                splits = tuple(values["splits"])
                self._tell(Fault(**values | {"file": Path(values["file"]), "splits": splits}))

    def _tell(self, fault: Fault) -> None:
        self.told.add(fault)
        self.report({"event": "fault", "fault": str(fault)})
        bad = sum(fault.kind == "unreadable-image" for fault in self.told)
        if bad > self.most * len(self.data):
            raise bad_input(
                self.data.root,
                f"{bad} of {len(self.data)} images unreadable",
                f"at most {self.most:.0%} (--max-bad)",
                f"the last: {fault}; replace them or leave them out",
            )
