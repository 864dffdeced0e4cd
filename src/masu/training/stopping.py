"""Ctrl-C and SIGTERM stop a training between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Stop:
    """From :meth:`listen` on a signal is kept until :meth:`if_asked`; a second one stops at once.

    Args:
        patient: a second one changes nothing: other processes wait for this one, and a launcher sends more
            than one and kills in the end.

    Attributes:
        asked: there was a signal.
        at_once: there was a second signal, which may have come in the middle of a step.
    """

    def __init__(self, patient: bool = False) -> None:
        self.patient = patient
        self.at_once = False
        self.asked = False
        self._earlier: dict[signal.Signals, Any] = {}

    def listen(self) -> None:
        """Begin to keep signals."""
        if threading.current_thread() is threading.main_thread():  # others may set no handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._earlier[number] = signal.signal(number, self._keep)

    def leave(self) -> None:
        """Give them back."""
        for number, handler in self._earlier.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def ignore_launcher(self) -> None:
        """From here to the end of the process SIGTERM does nothing.

        A launcher sends it to all as soon as one has ended, and would cut off what the others say of it; it
        kills those that do not end by themselves.
        """
        if self._earlier.pop(signal.SIGTERM, None) is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def if_asked(self) -> None:
        """Stop here where a signal came.

        Raises:
            KeyboardInterrupt: where one came.
        """
        if self.asked:
            raise KeyboardInterrupt

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if self.asked and not self.patient:
            self.at_once = True
            raise KeyboardInterrupt
        self.asked = True
