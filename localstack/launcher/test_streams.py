"""Tests of the delivery of a table's stream."""

import json
import threading
import time
import unittest
from unittest import mock

import patches
import streams
from ministack.core import iam_evaluator
from ministack.services import dynamodb, lambda_svc
import test_patches  # noqa: F401  applies the patches

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/now"


def record(n: int) -> dict:
    return {"dynamodb": {"SequenceNumber": str(n)}, "n": n}


class Mapping:
    """A mapping over records of its own; answers are those of its function."""

    def __init__(self, window=0.0, batch=100, halve=True, answers=()):
        self.id, self.table = "m", ("account", "region", "t")
        self.window, self.batch, self.halve, self.partial = window, batch, halve, True
        self.written, self.start, self.saved, self.batches = [], 0, None, []
        self.answers, self.done = list(answers), threading.Semaphore(0)

    def bounds(self):
        return self.start, self.start + len(self.written)

    def records(self, position, end):
        return self.written[position - self.start : end - self.start]

    def position(self):
        return self.saved

    def save(self, position):
        self.saved = position

    def passes(self, one):
        return one["n"] >= 0

    def invoke(self, event):
        self.batches.append([r["n"] for r in event["Records"]])
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        self.done.release()
        return answer


class Cloud:
    def __init__(self, *mappings):
        self.all = mappings

    def mappings(self):
        return self.all

    def forget(self, table, position, least, before):
        for m in self.all:
            gone = position - m.start
            if gone >= least:
                del m.written[:gone]
                m.start = position


class Following(unittest.TestCase):
    def follow(self, followers, mapping, until, limit=10):
        """Looks until a condition holds."""
        end = time.monotonic() + limit
        while not until():
            self.assertLess(time.monotonic(), end, mapping.batches)
            followers.look(time.time())
            time.sleep(0.005)

    def test_a_batch_collects_records_for_its_window(self):
        m = Mapping(window=0.3)
        f = streams.Followers(Cloud(m))
        m.written += [record(1)]
        begun = time.time() - 60
        f.look(begun)
        m.written += [record(2), record(-1), record(3)]
        wait = f.look(begun + 0.1)
        self.assertEqual(m.batches, [])
        self.assertAlmostEqual(wait, 0.2, places=3)
        self.follow(f, m, lambda: m.saved == 4)
        self.assertEqual(m.batches, [[1, 2, 3]])

    def test_a_full_batch_does_not_wait(self):
        m = Mapping(window=60, batch=2)
        f = streams.Followers(Cloud(m))
        m.written += [record(n) for n in range(4)]
        self.follow(f, m, lambda: m.saved == 4)
        self.assertEqual(m.batches, [[0, 1], [2, 3]])

    def test_a_failed_batch_comes_again_in_halves(self):
        m = Mapping(answers=[{"error": True}, RuntimeError("no function")])
        f = streams.Followers(Cloud(m))
        m.written += [record(n) for n in range(8)]
        with mock.patch.object(streams, "FIRST", 0.01), self.assertLogs("streams"):
            self.follow(f, m, lambda: m.saved == 8)
        self.assertEqual(m.batches, [list(range(8)), [0, 1, 2, 3], [0, 1], [2, 3, 4, 5, 6, 7]])

    def test_a_batch_goes_on_from_the_record_that_failed(self):
        m = Mapping(answers=[{"body": json.dumps({"batchItemFailures": [{"itemIdentifier": "2"}]})}])
        f = streams.Followers(Cloud(m))
        m.written += [record(n) for n in range(5)]
        with mock.patch.object(streams, "FIRST", 0.01):
            self.follow(f, m, lambda: m.saved == 5)
        self.assertEqual(m.batches, [[0, 1, 2, 3, 4], [2, 3, 4]])

    def test_records_that_every_mapping_has_read_are_forgotten(self):
        fast, slow = Mapping(), Mapping(answers=[{"error": True}] * 2)
        slow.id = "s"
        fast.written = slow.written = [record(n) for n in range(streams.FORGET)]
        f = streams.Followers(Cloud(fast, slow))
        self.follow(f, fast, lambda: fast.saved == streams.FORGET)
        self.assertEqual(len(fast.written), streams.FORGET)
        self.follow(f, slow, lambda: slow.saved == streams.FORGET)
        f.look(time.time())
        self.assertEqual(len(fast.written), 0)

    def test_a_mapping_follows_a_stream_that_began_anew(self):
        m = Mapping()
        m.saved = 5000
        m.written += [record(1)]
        f = streams.Followers(Cloud(m))
        self.follow(f, m, lambda: m.saved == 1)
        self.assertEqual(m.batches, [[1]])

    def test_without_records_nothing_is_done(self):
        self.assertGreaterEqual(streams.Followers(Cloud(Mapping())).look(time.time()), streams.IDLE - 1)


class Streams(unittest.TestCase):
    """The mappings of MiniStack."""

    def mapping(self, **more) -> patches.StreamMapping:
        return patches.StreamMapping("000000000000", "us-east-1", {"UUID": "u", "EventSourceArn": ARN, "FunctionName": "f"} | more)

    def policies(self, *actions):
        statement = {"Effect": "Allow", "Action": [f"dynamodb:{a}" for a in actions], "Resource": ARN}
        return [iam_evaluator.parse_policy_document({"Statement": statement})]

    def test_reading_a_stream_needs_the_permissions(self):
        every = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
        with mock.patch.object(iam_evaluator, "_gather_role_policies", return_value=self.policies(*every)):
            self.assertEqual(self.mapping().denied({"Role": "arn:aws:iam::000000000000:role/r"}), "")
        for action in every:
            fewer = self.policies(*(a for a in every if a != action))
            with mock.patch.object(iam_evaluator, "_gather_role_policies", return_value=fewer):
                self.assertEqual(self.mapping().denied({"Role": "r"}), f"dynamodb:{action}")

    def test_a_function_without_the_permission_gets_nothing(self):
        esm = {"UUID": "u", "EventSourceArn": ARN, "FunctionName": "f"}
        with mock.patch.object(lambda_svc, "_get_func_record_for_qualifier", return_value=({"config": {"Role": "r"}}, None)), \
                mock.patch.object(iam_evaluator, "_gather_role_policies", return_value=[]), \
                mock.patch.object(lambda_svc, "_execute_function") as execute:
            self.assertEqual(patches.StreamMapping("000000000000", "us-east-1", esm).invoke({"Records": []}), {"error": True})
        execute.assert_not_called()
        self.assertIn("dynamodb:", esm["LastProcessingResult"])

    def test_a_write_wakes_the_followers_and_not_the_queues(self):
        table = {"TableArn": "a", "pk_name": "pk", "sk_name": None, "StreamSpecification": {"StreamEnabled": True}, "LatestStreamArn": ARN}
        lambda_svc._esm_wake.clear()
        with mock.patch.dict(dynamodb._tables._data, {}, clear=False):
            dynamodb._tables["woken"] = table
            with mock.patch.object(dynamodb._followers, "wake") as wake:
                dynamodb._emit_stream_event("woken", "INSERT", None, {"pk": {"S": "1"}})
            wake.assert_called_once()
            self.assertFalse(lambda_svc._esm_wake.is_set())
            dynamodb._stream_records.pop("woken", None)
            dynamodb._tables.pop("woken", None)

    def test_read_records_are_forgotten_when_they_are_old(self):
        table, now = ("000000000000", "us-east-1", "old"), time.time()
        records = [{"dynamodb": {"ApproximateCreationDateTime": now - 400 + n}} for n in range(200)]
        dynamodb._stream_records.set_scoped(*table, list(records))
        cloud = patches.Streams()
        for position, before, left in ((10, now, 200), (150, now - 390, 200), (150, now - 300, 100), (150, now, 100), (200, now, 0)):
            cloud.forget(table, position, 64, before)
            self.assertEqual(len(dynamodb._stream_records.get_scoped(*table)), left)
            self.assertEqual(dynamodb.stream_end_position("old", account_id=table[0], region=table[1]), 200)
        dynamodb._stream_records.pop_scoped(*table, None)
        dynamodb._stream_trimmed.pop_scoped(*table, None)

    def test_the_poller_of_queues_leaves_streams_alone(self):
        self.assertFalse(lambda_svc._poll_dynamodb_streams())


if __name__ == "__main__":
    unittest.main()
