"""Servers on loopback, asked as programs ask them."""

import contextlib
import json
import threading
import urllib.error
import urllib.request

import pytest
import uvicorn

from masu.service.running import address_of, listen


class Asked:
    """A server that runs in a thread."""

    def __init__(self, address):
        self.address = address

    def __call__(self, path, body=None, **headers):
        """Status and JSON of an answer; a body is sent as JSON, bytes as they are."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        more = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        request = urllib.request.Request(f"{self.address}{path}", content, more)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture
def serving():
    """``serving(app)``: its :class:`Asked`."""
    with contextlib.ExitStack() as running:

        def start(app):
            opened = listen("127.0.0.1", 0)
            server = uvicorn.Server(
                uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=5)
            )
            thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
            thread.start()

            def stop():
                server.should_exit = True
                thread.join(20)
                opened.close()
                assert not thread.is_alive()

            running.callback(stop)
            return Asked(address_of(opened, "127.0.0.1"))

        yield start
