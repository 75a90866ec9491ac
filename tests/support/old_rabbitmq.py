"""What greets like a RabbitMQ of another version: as far as a client looks before it does anything."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pika import frame, spec

ABLE = {
    "publisher_confirms": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
}
_HEADER = 8


@contextmanager
def greets_as(version: str, product: str = "RabbitMQ", **able: bool) -> Iterator[str]:
    """Its `amqp://` address."""
    said = {"product": product, "version": version, "capabilities": {**ABLE, **able}}

    class Greeting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(_HEADER)
            self._send(spec.Connection.Start(0, 9, said, "PLAIN", "en_US"))
            unread = b""
            while data := self.request.recv(65536):
                unread += data
                while (read := frame.decode_frame(unread))[0]:
                    unread = unread[read[0] :]
                    self._answer(getattr(read[1], "method", None))

        def _answer(self, method: Any) -> None:
            if isinstance(method, spec.Connection.StartOk):
                self._send(spec.Connection.Tune(0, 131_072, 0))
            elif isinstance(method, spec.Connection.Open):
                self._send(spec.Connection.OpenOk())
            elif isinstance(method, spec.Connection.Close):
                self._send(spec.Connection.CloseOk())

        def _send(self, method: Any) -> None:
            self.request.sendall(frame.Method(0, method).marshal())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Greeting) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"amqp://waystation:hunter2@127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            serving.join()
