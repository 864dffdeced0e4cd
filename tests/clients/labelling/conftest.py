import os

from tests.clients.servers import start

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

__all__ = ["start"]
