"""Tests of the order of messages, and of the machine's share for a backlog."""

import json
import threading
import time
import types
import unittest
from unittest import mock

import patches
import queues
import workers
from ministack.core import lambda_runtime
from ministack.services import eventbridge, lambda_svc, sqs, stepfunctions
import test_patches  # noqa: F401  applies the patches


class Valve:
    def __init__(self, passes: bool):
        self.passes = passes

    def open(self, _) -> bool:
        return self.passes


def queue(test: unittest.TestCase, groups) -> dict:
    """Returns a queue with a message of each group, in this order."""
    now = time.time()
    return {
        "attributes": {"QueueArn": test.id()},
        "is_fifo": False,
        "messages": [message(group, now, f"m{n}") for n, group in enumerate(groups)],
    }


def message(group, at: float, name: str) -> dict:
    return {"id": name, "group_id": group, "visible_at": at, "receive_count": 0, "receipt_handle": None}


def groups(messages: list) -> list:
    return [m["group_id"] for m in messages]


class FairQueues(unittest.TestCase):
    def take(self, q: dict, n: int, hidden: float = 60) -> list:
        return queues.take(q, queues.fair(q, time.time())[0][:n], hidden, lambda: str(time.perf_counter_ns()))

    def test_a_group_with_many_messages_in_flight_comes_last(self):
        q = queue(self, ["a"] * 60 + ["b"])
        self.take(q, 30)
        self.assertEqual(groups(self.take(q, 2)), ["b", "a"])

    def test_without_a_noisy_group_the_oldest_comes_first(self):
        q = queue(self, ["a", "b", "c", "a"])
        self.assertEqual(groups(self.take(q, 4)), ["a", "b", "c", "a"])

    def test_of_noisy_groups_that_with_the_fewest_messages_in_flight_comes_first(self):
        q = queue(self, ["a"] * 5 + ["b"] * 5)
        self.take(q, 3)
        self.assertEqual(groups(self.take(q, 2)), ["b", "b"])

    def test_each_message_without_a_group_is_a_tenant_of_its_own(self):
        q = queue(self, ["a"] * 60 + [None] * 3)
        self.take(q, 30)
        self.assertEqual(groups(self.take(q, 4)), [None, None, None, "a"])

    def test_a_group_is_forgiven_after_a_minute(self):
        q = queue(self, ["a"] * 5 + ["b"])
        self.take(q, 3, hidden=0)
        with mock.patch("time.time", lambda at=time.time() + queues.RECENT + 1: at):
            self.assertEqual(groups(self.take(q, 1)), ["a"])


class Backlogs(unittest.TestCase):
    def choose(self, q: dict, n: int = 10, passes: bool = True) -> list:
        return queues.take(q, queues.choose(q, n, Valve(passes)), 60, lambda: str(time.perf_counter_ns()))

    def test_a_backlog_is_taken_one_by_one_and_others_at_once(self):
        q = queue(self, ["a"] * 40 + ["b"] * 3)
        self.assertEqual(groups(self.choose(q)), ["b", "b", "b"])
        self.assertEqual([m["id"] for m in self.choose(q)], ["m0"])
        self.assertEqual([m["id"] for m in self.choose(q)], ["m1"])

    def test_few_messages_are_no_backlog(self):
        q = queue(self, ["a"] * queues.BACKLOG)
        self.assertEqual(len(self.choose(q, passes=False)), 10)

    def test_a_shut_valve_holds_the_backlog_alone(self):
        q = queue(self, ["a"] * 40)
        self.assertEqual(self.choose(q, passes=False), [])
        q["messages"].append(message("b", time.time(), "late"))
        self.assertEqual([m["id"] for m in self.choose(q, passes=False)], ["late"])
        self.assertEqual(self.choose(q, passes=False), [])

    def test_a_message_that_arrives_during_a_walk_does_not_wait_for_the_next_one(self):
        q = queue(self, ["a"] * 40)
        began = time.time()
        q["messages"].append(message("b", began + 60, "late"))  # after the beginning of the walk
        self.assertEqual(self.choose(q, passes=False), [])
        with mock.patch.object(queues, "WALK", 3600), mock.patch.object(queues.time, "time", return_value=began + 60):
            self.assertEqual([m["id"] for m in self.choose(q, passes=False)], ["late"])

    def test_every_message_is_taken_once_while_others_are_deleted_and_arrive(self):
        q = queue(self, ["a", "a", "b"] * 40)
        seen = []
        for n in range(200):
            batch = self.choose(q, 3)
            seen += [m["id"] for m in batch]
            queues.delete(q, {m["receipt_handle"] for m in batch})
            if n < 20:
                q["messages"].append(message("b" if n % 2 else "a", time.time(), f"late{n}"))
        self.assertEqual(sorted(seen), sorted([f"m{n}" for n in range(120)] + [f"late{n}" for n in range(20)]))
        self.assertEqual(q["messages"], [])

    def test_a_message_that_becomes_visible_is_found(self):
        q = queue(self, ["a"] * 40 + ["b"])
        q["messages"][-1]["visible_at"] += 0.5
        self.assertEqual(groups(self.choose(q)), ["a"])
        with mock.patch("time.time", lambda at=time.time() + queues.WALK: at):
            self.assertEqual(groups(self.choose(q)), ["b"])

    def test_the_valve_opens_when_nothing_runs_and_from_time_to_time(self):
        busy, woken = [1], threading.Event()
        valve = queues.Valve(lambda: busy[0], woken.set)
        now = time.time()
        self.assertTrue(valve.open(now))
        self.assertFalse(valve.open(now + queues.PACE / 2))
        self.assertTrue(woken.wait(5), "the poller was not told to look again")
        self.assertTrue(valve.open(now + queues.PACE))
        busy[0] = 0
        self.assertTrue(valve.open(now + queues.PACE * 1.5))


class Groups(unittest.TestCase):
    def test_the_group_of_an_event_is_read_from_it(self):
        event = json.dumps({"detail": {"org_id": "org_a", "n": 1}})
        for path, want in (("$.detail.org_id", "org_a"), ("$.detail.n", None), ("$.none.org_id", None), ("all", "all"), (None, None)):
            self.assertEqual(patches.group_of(path, event), want, path)

    def test_a_message_of_a_rule_has_its_group(self):
        q = queue(self, [])
        with mock.patch.object(sqs, "_queue_by_arn", lambda _: q):
            spec = types.SimpleNamespace(resource="events")
            eventbridge._dispatch_to_sqs(spec, '{"detail": {"org_id": "org_a"}}', {"MessageGroupId": "$.detail.org_id"})
        self.assertEqual(groups(q["messages"]), ["org_a"])

    def test_a_throttled_task_fails_with_the_name_of_aws(self):
        record = types.SimpleNamespace
        with mock.patch.multiple(
            lambda_svc,
            _get_func_record_for_ref=lambda ref: ({"config": {}}, {"a": 1}, "f"),
            _execution_record_for_config=lambda func, config: record,
            _execute_function_with_config_scope=lambda *_: lambda_svc._throttle_response("r", "m"),
        ):
            with self.assertRaises(stepfunctions._ExecutionError) as raised:
                stepfunctions._call_lambda("f", {})
        self.assertEqual(raised.exception.error, "Lambda.TooManyRequestsException")


class Process:
    in_use, last_used = False, 0


class Processes(unittest.TestCase):
    def setUp(self):
        fakes = mock.patch.multiple(
            lambda_runtime,
            _workers={},
            _worker_key=lambda name, *_: name,
            _worker_class_for=lambda _: lambda *_: Process(),
        )
        fakes.start()
        self.addCleanup(fakes.stop)
        self.starts = workers.Starts(lambda_runtime.release_worker)

    def acquire(self, timeout: float = 30):
        return self.starts.acquire("f", {"Timeout": timeout}, b"")

    def later(self):
        """Acquires on another thread, which must wait, and returns the list of the result."""
        got = []
        thread = threading.Thread(target=lambda: got.append(self.acquire()), daemon=True)
        thread.start()
        thread.join(0.05)
        self.assertEqual(got, [])
        return got, thread

    def test_a_call_waits_while_others_start_and_takes_the_process_that_is_free_first(self):
        first = [self.acquire()[0] for _ in range(workers.STARTS)]
        got, thread = self.later()
        self.starts.release(first[0])
        thread.join(5)
        self.assertEqual(got, [(first[0], "reused")])

    def test_a_call_starts_a_process_when_another_has_started(self):
        first = [self.acquire()[0] for _ in range(workers.STARTS)]
        got, thread = self.later()
        self.starts.started(first[0])
        thread.join(5)
        self.assertEqual(got[0][1], "spawn")

    def test_a_function_has_a_largest_number_of_processes(self):
        taken = []
        for _ in range(workers.MOST):
            worker, how = self.acquire()
            self.assertEqual(how, "spawn")
            self.starts.started(worker)
            taken.append(worker)
        got, thread = self.later()
        self.starts.release(taken[3])
        thread.join(5)
        self.assertEqual(got, [(taken[3], "reused")])

    def test_a_call_that_finds_no_process_is_throttled(self):
        for _ in range(workers.STARTS):
            self.acquire()
        self.assertEqual(self.acquire(timeout=0.01), (None, "func_cap"))


if __name__ == "__main__":
    unittest.main()
