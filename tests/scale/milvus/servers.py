"""Servers that fail in one way, and a way to a server that can be cut."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import grpc


@contextmanager
def failing_server(code: grpc.StatusCode, details: str = "", delay_s: float = 0.0) -> Iterator[int]:
    """A gRPC server that answers every call with an error. Yields its port."""

    class Everything(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details_of_call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
                time.sleep(delay_s)
                context.abort(code, details)
                raise AssertionError

            return grpc.unary_unary_rpc_method_handler(fail)

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Everything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def closed_port() -> int:
    """A port where nothing listens."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Cable:
    """Passes bytes between clients and a server until it is cut, by itself after `most` bytes to the server."""

    def __init__(self, port: int, most: int) -> None:
        self._server, self._left = port, most
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._sockets += [client, server]
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(16_384):
                if counted:
                    self._left -= len(data)
                    if self._left < 0:
                        self.cut()
                        return
                target.sendall(data)
