"""The delivery of a table's stream to the functions that follow it.

Each mapping has the behaviour of AWS: a batch collects records for the seconds of its
window, one batch of a mapping is at work at a time, a failed batch is repeated, in halves
if the mapping says so, or from the record on that the function names. The records that
every mapping has read are forgotten after some minutes, which leave time to read them by
the API, so that memory does not grow with the writes.

A thread of its own looks after all mappings; it sleeps until a record is written or a
window ends. Deliveries have threads too, so that they delay neither each other nor a
queue.
"""

import json
import logging
import threading
import time

logger = logging.getLogger("streams")

# Seconds until a failed batch is delivered again: they double from the first to the last.
FIRST, LAST = 0.5, 10

# Seconds after which the followers look at the mappings without a reason.
IDLE = 5

# Records are forgotten together, at least so many, and after so many seconds.
FORGET = 64
KEPT = 300


class Follower:
    """What a mapping has still to deliver."""

    def __init__(self, position: int):
        self.read = position  # of the next record that the filter has not seen
        self.waiting = []  # positions and records that passed the filter
        self.since = 0.0  # when the first of them came
        self.busy = False
        self.again, self.pause = 0.0, 0.0  # no delivery before; the pause after the next failure
        self.share = 1  # of a full batch

    def position(self) -> int:
        """Returns the position of the first record that is not delivered."""
        return self.waiting[0][0] if self.waiting else self.read

    def take(self, records: list, passes, now: float) -> None:
        """Reads the next records of the stream."""
        for record in records:
            if passes(record):
                if not self.waiting:
                    self.since = now
                self.waiting.append((self.read, record))
            self.read += 1

    def due(self, now: float, window: float, most: int) -> float:
        """Returns when the next batch is to be delivered; 0 for now, infinity for never."""
        if self.busy or not self.waiting:
            return float("inf")
        full = len(self.waiting) >= most
        at = max(self.again, 0 if full else self.since + window)
        return 0 if at <= now else at

    def batch(self, most: int) -> list:
        """Begins a delivery."""
        self.busy = True
        most = max(1, min(most, len(self.waiting)) // self.share)
        return [record for _, record in self.waiting[:most]]

    def delivered(self, n: int, failed: bool, halve: bool, now: float) -> None:
        """Ends a delivery whose first n records need no other one."""
        del self.waiting[:n]
        self.busy, self.since = False, now
        if failed:
            self.pause = min(LAST, 2 * self.pause or FIRST)
            self.again = now + self.pause
            self.share = 2 * self.share if halve and n == 0 else 1
        else:
            self.pause, self.again, self.share = 0, 0, 1


def first_failure(result: dict, batch: list) -> int:
    """Returns the number of records before the first that the function says has failed."""
    body = result.get("body")
    if isinstance(body, str):
        body = json.loads(body or "null")
    named = {f.get("itemIdentifier") for f in (body or {}).get("batchItemFailures") or []}
    for n, record in enumerate(batch):
        if record["dynamodb"]["SequenceNumber"] in named:
            return n
    return 0 if named else len(batch)  # AWS repeats all when it does not know the record


class Followers:
    """Looks after all mappings of streams. cloud is the access to MiniStack."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.followers = {}  # by the id of the mapping
        self.woken = threading.Event()
        self.lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self.run, name="streams", daemon=True).start()

    def wake(self) -> None:
        self.woken.set()

    def run(self) -> None:
        while True:
            try:
                wait = self.look(time.time())
            except Exception:
                logger.exception("the streams cannot be followed")
                wait = 1
            self.woken.wait(wait)
            self.woken.clear()

    def look(self, now: float) -> float:
        """Reads new records and begins the deliveries that are due. It returns the
        seconds until the next."""
        soonest, tables = now + IDLE, {}
        for mapping in self.cloud.mappings():
            with self.lock:
                due = self.follow(mapping, now)
                tables.setdefault(mapping.table, []).append(self.followers[mapping.id].position())
            soonest = min(soonest, due)
        for table, positions in tables.items():
            self.cloud.forget(table, min(positions), FORGET, now - KEPT)
        return max(soonest - now, 0.01)

    def follow(self, mapping, now: float) -> float:
        first, end = mapping.bounds()
        follower = self.followers.get(mapping.id)
        if follower is None:
            position = mapping.position()
            # A stream that began anew has lower positions than the mapping remembers.
            follower = self.followers[mapping.id] = Follower(first if position is None or position > end else position)
        follower.read = max(follower.read, first)
        follower.take(mapping.records(follower.read, end), mapping.passes, now)
        mapping.save(follower.position())
        due = follower.due(now, mapping.window, mapping.batch)
        if due == 0:
            batch = follower.batch(mapping.batch)
            threading.Thread(target=self.deliver, args=(mapping, follower, batch), name="stream", daemon=True).start()
            return float("inf")
        return due

    def deliver(self, mapping, follower: Follower, batch: list) -> None:
        done, failed = 0, True
        try:
            result = mapping.invoke({"Records": batch})
            if not result.get("error"):
                done = first_failure(result, batch) if mapping.partial else len(batch)
                failed = done < len(batch)
        except Exception:
            logger.exception("%s cannot be invoked", mapping.id)
        finally:
            with self.lock:
                follower.delivered(done, failed, mapping.halve, time.time())
            self.wake()
