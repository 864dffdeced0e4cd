"""Ctrl-C and SIGTERM stop a training between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Stop:
    """From :meth:`listen` on a signal is kept until :meth:`if_asked`; a second one stops at once.

    Attributes:
        at_once: there was a second signal, which may have come in the middle of a step.
    """

    def __init__(self) -> None:
        self.at_once = False
        self._asked = False
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

    def if_asked(self) -> None:
        """Stop here where a signal came.

        Raises:
            KeyboardInterrupt: where one came.
        """
        if self._asked:
            raise KeyboardInterrupt

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self.at_once = True
            raise KeyboardInterrupt
        self._asked = True
