"""Tests of the server for the calls of functions."""

import asyncio
import unittest

import calls


async def echo(scope, receive, send):
    """Answers with what it received."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"999"), (b"x-path", scope["raw_path"])]})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"!", "more_body": False})


async def failing(scope, receive, send):
    raise RuntimeError("no answer")


async def exchange(app, *pieces: bytes, answers: int = 1) -> bytes:
    """Sends pieces over one connection and returns what comes back, until the server
    closes it or so many answers have come."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    server = await loop.create_server(lambda: calls.Connection(app), sock=calls.listen())
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.005)
    got = b""
    while got.count(b"HTTP/1.1") < answers or not got.endswith(b"!"):
        data = await asyncio.wait_for(reader.read(65536), 5)
        if not data:
            break
        got += data
    writer.close()
    server.close()
    return got


def post(path: bytes, body: bytes, *more: bytes) -> bytes:
    return b"\r\n".join([b"POST %s HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % len(body), *more]) + b"\r\n\r\n" + body


class Calls(unittest.TestCase):
    def run_(self, app, *pieces, **more) -> bytes:
        return asyncio.run(exchange(app, *pieces, **more))

    def test_a_request_is_answered_with_its_own_length(self):
        got = self.run_(echo, post(b"/a?b=c", b"hello"))
        self.assertEqual(got, b"HTTP/1.1 200 OK\r\nx-path: /a\r\ncontent-length: 6\r\n\r\nhello!")

    def test_a_connection_serves_many_requests_however_they_are_cut(self):
        both = post(b"/1", b"one") + post(b"/2", b"two")
        for cut in range(1, len(both), 7):
            got = self.run_(echo, both[:cut], both[cut:], answers=2)
            self.assertEqual([got.count(b"one!"), got.count(b"two!")], [1, 1])
            self.assertLess(got.index(b"one!"), got.index(b"two!"))

    def test_a_failure_of_the_application_closes_the_connection(self):
        self.assertEqual(self.run_(failing, post(b"/", b"x")), b"")

    def test_only_whole_requests_with_a_length_are_read(self):
        for request in (
            b"GET / HTTP/1.0\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"POST http://x/ HTTP/1.1\r\n\r\n",
            post(b"/", b"x", b"Transfer-Encoding: chunked"),
            post(b"/", b"x", b"Expect: 100-continue"),
            post(b"/", b"x", b"Content-Length: 1"),
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\nx",
            b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (calls.BODY + 1),
            b"x" * (calls.HEAD + 1),
        ):
            got = self.run_(echo, request)
            self.assertTrue(got.startswith(b"HTTP/1.1 400 "), (request[:60], got[:60]))

    def test_the_sdk_finds_it_by_its_variables(self):
        self.assertEqual(
            calls.environment(7),
            {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:7", "AWS_ENDPOINT_URL_SFN": "http://127.0.0.1:7"},
        )


if __name__ == "__main__":
    unittest.main()
