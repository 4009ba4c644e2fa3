"""Tests that data outlives the emulator. Each test starts it as make run does."""

import base64
import hashlib
import io
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zipfile

LAUNCHER = pathlib.Path(__file__).parent / "launch.py"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Emulator:
    """An emulator on a free port that saves its data in a folder."""

    def __init__(self, state, every=60, port=0, limit=None):
        self.state, self.port = pathlib.Path(state), port or free_port()
        log = open(self.state.with_suffix(".log"), "w")
        args = ["--port", str(self.port), "--state", str(state), "--mark", "m", "--keep", "--every", str(every)]

        def limited():
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        self.process = subprocess.Popen(
            [sys.executable, "-B", LAUNCHER, *args], stdout=log, stderr=subprocess.STDOUT, preexec_fn=limited
        )
        log.close()  # the emulator has its own handle

    def ready(self):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_ministack/health").read()
                return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(self.said())

    def said(self) -> str:
        return self.state.with_suffix(".log").read_text()

    def call(self, service: str, target: str, **body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/",
            data=json.dumps(body).encode(),
            headers={
                "X-Amz-Target": target,
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request",
            },
        )
        return json.loads(urllib.request.urlopen(request).read() or b"{}")

    def table(self):
        self.call(
            "dynamodb", "DynamoDB_20120810.CreateTable", TableName="table", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        )

    def put(self, key: str):
        self.call("dynamodb", "DynamoDB_20120810.PutItem", TableName="table", Item={"k": {"S": key}})

    def keys(self) -> list:
        found = self.call("dynamodb", "DynamoDB_20120810.Scan", TableName="table")
        return sorted(item["k"]["S"] for item in found["Items"])

    def end(self, how=signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


class Keeping(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = pathlib.Path(folder.name) / "emulator"
        self.running = []
        self.addCleanup(self.kill)

    def kill(self):
        for e in self.running:
            if e.process.poll() is None:
                e.end(signal.SIGKILL)

    def emulator(self, **how) -> Emulator:
        self.running.append(Emulator(self.state, **how))
        return self.running[-1]

    def test_answered_changes_survive_a_clean_exit(self):
        first = self.emulator().ready()
        first.table()
        for key in ("a", "b"):
            first.put(key)
        queue = first.call("sqs", "AmazonSQS.CreateQueue", QueueName="q")["QueueUrl"]
        first.call("sqs", "AmazonSQS.SendMessage", QueueUrl=queue, MessageBody="hello")
        self.assertEqual(first.end(), 0)
        self.assertFalse((self.state / "running").exists())

        second = self.emulator().ready()  # on another port
        self.assertEqual(second.keys(), ["a", "b"])
        queue = second.call("sqs", "AmazonSQS.GetQueueUrl", QueueName="q")["QueueUrl"]
        self.assertIn(f":{second.port}/", queue)
        self.assertEqual(second.call("sqs", "AmazonSQS.ReceiveMessage", QueueUrl=queue)["Messages"][0]["Body"], "hello")
        self.assertEqual(second.call("sqs", "AmazonSQS.ListQueues")["QueueUrls"], [queue])

    def test_a_function_and_an_email_survive_a_clean_exit(self):
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as z:
            z.writestr("bootstrap", "#!/bin/sh\n")
        first = self.emulator().ready()

        def post(e, service, path, body):
            request = urllib.request.Request(
                f"http://127.0.0.1:{e.port}{path}", data=body and json.dumps(body).encode(),
                headers={"Content-Type": "application/json",
                         "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/" + service + "/aws4_request"},
            )
            try:
                return json.loads(urllib.request.urlopen(request).read())
            except urllib.error.HTTPError as err:
                raise AssertionError(f"{path}: {err.read()}") from err

        post(first, "lambda", "/2015-03-31/functions", {
            "FunctionName": "f", "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "arn:aws:iam::000000000000:role/r",
            "Code": {"ZipFile": base64.b64encode(zipped.getvalue()).decode()},
        })
        post(first, "ses", "/v2/email/identities", {"EmailIdentity": "a@b.example"})
        post(first, "ses", "/v2/email/outbound-emails", {
            "FromEmailAddress": "a@b.example", "Destination": {"ToAddresses": ["c@d.example"]},
            "Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
        })
        self.assertEqual(first.end(), 0)

        second = self.emulator().ready()
        found = post(second, "lambda", "/2015-03-31/functions/f", None)
        self.assertEqual(found["Configuration"]["CodeSha256"],
                         base64.b64encode(hashlib.sha256(zipped.getvalue()).digest()).decode())
        self.assertIn("c@d.example", json.dumps(post(second, "ses", "/_ministack/ses/messages", None)))

        self.assertEqual(second.end(), 0)
        for blob in (self.state / "lambda-blobs").glob("*.zip"):
            blob.unlink()
        third = self.emulator()
        self.assertEqual(third.process.wait(60), 1)
        self.assertIn("the code", third.said())

    def test_a_kill_loses_only_changes_after_the_newest_snapshot(self):
        first = self.emulator(every=0.1).ready()
        first.table()
        first.put("a")
        end = time.monotonic() + 60
        kept = self.state / "kept" / "current" / "dynamodb.json"
        while time.monotonic() < end and not (kept.exists() and '"S": "a"' in kept.read_text()):
            time.sleep(0.02)
        first.end(signal.SIGKILL)
        self.assertTrue((self.state / "running").exists())
        self.assertEqual(self.emulator().ready().keys(), ["a"])

    def test_reading_makes_no_snapshot(self):
        first = self.emulator(every=0.05).ready()
        first.table()
        current = self.state / "kept" / "current"
        end = time.monotonic() + 60
        while time.monotonic() < end and not current.exists():
            time.sleep(0.02)
        time.sleep(0.5)
        before = os.readlink(current)
        first.keys()
        time.sleep(0.5)
        self.assertEqual(os.readlink(current), before)

    def test_a_full_disk_leaves_the_previous_snapshot(self):
        first = self.emulator().ready()
        first.table()
        first.put("a")
        self.assertEqual(first.end(), 0)
        second = self.emulator(limit=50_000).ready()
        for n in range(60):
            second.put(f"b{n}" + "x" * 1000)
        self.assertEqual(second.end(), 1)
        self.assertIn("keep: the data was not written", second.said())
        self.assertTrue((self.state / "running").exists())
        self.assertEqual(self.emulator().ready().keys(), ["a"])

    def test_one_emulator_at_a_time_uses_the_data(self):
        first = self.emulator().ready()
        second = self.emulator()
        self.assertEqual(second.process.wait(60), 1)
        self.assertIn(f"The process {first.process.pid} uses the data", second.said())

    def test_unreadable_data_stops_the_start(self):
        first = self.emulator().ready()
        first.table()
        self.assertEqual(first.end(), 0)
        kept = self.state / "kept" / "current" / "dynamodb.json"
        whole = kept.read_text()
        for text in (whole[:-10], "{}", whole.replace('"__ministack_format__": 2', '"__ministack_format__": 99')):
            kept.write_text(text)
            second = self.emulator()
            self.assertEqual(second.process.wait(60), 1)
            self.assertIn("make reset", second.said())
            self.assertNotIn("Traceback", second.said())
        kept.write_text(whole)
        self.assertEqual(self.emulator().ready().keys(), [])


if __name__ == "__main__":
    unittest.main()
