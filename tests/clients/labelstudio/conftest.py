from tests.clients.servers import start

__all__ = ["start"]
