from tests.clients.servers import port, start

__all__ = ["port", "start"]
