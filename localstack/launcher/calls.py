"""A server of HTTP for the calls that functions make of the table and the machines.

MiniStack's server spends half of the emulator's processor time on reading requests: it
speaks every version of HTTP, to every client. Functions make all their calls with one
client, which sends requests with a Content-Length over kept connections, one after
another. This server reads only these and hands them to the same application, so that
they have the same effect. Requests of other clients come to MiniStack's server, at its
own port.
"""

import asyncio
import http
import socket

# Services whose calls come here, as AWS's SDK names them in variables.
SERVICES = ("DYNAMODB", "SFN")

# Largest request in bytes: its head, and its body.
HEAD = 64 << 10
BODY = 16 << 20


def listen() -> socket.socket:
    """Returns a socket at a free port, which is known before the server starts."""
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def environment(port: int) -> dict:
    """Returns the variables with which the SDK calls this server."""
    return {f"AWS_ENDPOINT_URL_{service}": f"http://127.0.0.1:{port}" for service in SERVICES}


class Refused(Exception):
    """A request that this server does not read."""


def read(data: bytes):
    """Returns the request at the beginning of data, as ASGI has it, its body, and the
    rest; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD:
            raise Refused("the head is too large")
        return None
    lines = data[:end].split(b"\r\n")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or parts[2] != b"HTTP/1.1" or not parts[1].startswith(b"/"):
        raise Refused("not a request of HTTP/1.1")
    headers, length = [], None
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            raise Refused("not a header")
        value = value.strip()
        if name == b"content-length":
            if length is not None or not value.isdigit():
                raise Refused("not a length")
            length = int(value)
        elif name in (b"transfer-encoding", b"expect", b"upgrade"):
            raise Refused("only whole requests with a length are read")
        headers.append((name, value))
    length = length or 0
    if length > BODY:
        raise Refused("the body is too large")
    begin = end + 4
    if len(data) < begin + length:
        return None
    path, _, query = parts[1].partition(b"?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": parts[0].decode("latin-1"), "path": path.decode("latin-1"), "raw_path": path, "query_string": query,
        "headers": headers, "client": ("127.0.0.1", 0),
    }
    return scope, data[begin : begin + length], data[begin + length :]


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after another."""

    def __init__(self, app):
        self.app, self.data, self.task = app, b"", None

    def connection_made(self, transport):
        self.transport = transport
        self.gone = asyncio.get_running_loop().create_future()

    def connection_lost(self, _):
        if not self.gone.done():
            self.gone.set_result(None)

    def data_received(self, data):
        self.data = self.data + data if self.data else data
        self.next()

    def next(self):
        """Begins with the next request, if it is whole and none is in progress."""
        if self.task or not self.data or self.transport.is_closing():
            return
        try:
            request = read(self.data)
        except (Refused, ValueError) as err:
            text = str(err).encode()
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            self.transport.close()
            return
        if request:
            scope, body, self.data = request
            self.task = asyncio.get_running_loop().create_task(self.answer(scope, body))

    async def answer(self, scope, body):
        head, parts, unread = None, [], True

        async def receive():
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            await self.gone
            return {"type": "http.disconnect"}

        async def send(message):
            nonlocal head
            if message["type"] == "http.response.start":
                head = message
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        try:
            await self.app(scope, receive, send)
        finally:
            self.task = None
            if head is None:  # the application failed: the client repeats its call
                self.transport.close()
            else:
                self.transport.write(response(head, b"".join(parts)))
        self.next()


def response(head, body: bytes) -> bytes:
    """Returns the bytes of an answer."""
    status = head["status"]
    lines = [b"HTTP/1.1 %d %s" % (status, http.HTTPStatus(status).phrase.encode())]
    lines += [name + b": " + value for name, value in head["headers"] if name.lower() not in (b"content-length", b"transfer-encoding")]
    lines.append(b"content-length: %d\r\n\r\n" % len(body))
    return b"\r\n".join(lines) + body


def install(app, listening: socket.socket) -> None:
    """Makes the application of MiniStack serve at this socket too, from its start on."""
    serve = app.app

    async def both(scope, receive, send):
        if scope["type"] != "lifespan":
            await serve(scope, receive, send)
            return

        async def started(message):
            if message["type"] == "lifespan.startup.complete":
                loop = asyncio.get_running_loop()
                both.server = await loop.create_server(lambda: Connection(app.app), sock=listening)
            await send(message)

        await serve(scope, receive, started)

    app.app = both
