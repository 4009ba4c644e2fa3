"""The processes of the functions: how many there are, and for how long.

AWS starts an execution environment for each concurrent call. On this machine, twenty
processes that start together all start slowly, and stay. Here a call that finds no free
process starts one only if few others are starting and its function has not too many;
otherwise it waits for whichever comes first, a free process or the right to start one.
"""

import os
import threading
import time

from ministack.core import lambda_runtime

# STARTS processes may start at the same time, and a function may have MOST.
STARTS = max(2, os.cpu_count() or 1)
MOST = 48

# A process ends after SURPLUS seconds without a call, the first one of a function after
# LAST.
SURPLUS = 60
LAST = 300


class Starts:
    """Hands out the processes of functions. It replaces functions of lambda_runtime."""

    def __init__(self, release):
        self.changed = threading.Condition(lambda_runtime._lock)
        self.starting = set()  # workers
        self.release_worker = release

    def acquire(self, func_name, config, code_zip, qualifier="$LATEST", max_concurrency=None):
        """Returns a free or a new worker, or none after the function's timeout."""
        key = lambda_runtime._worker_key(func_name, config, qualifier)
        end = time.monotonic() + config.get("Timeout", 30)
        with self.changed:
            while True:
                entries = lambda_runtime._workers.setdefault(key, [])
                worker = next((w for w in entries if not w.in_use), None)
                new = worker is None and len(entries) < MOST and len(self.starting) < STARTS
                if new:
                    worker = lambda_runtime._worker_class_for(config)(func_name, config, code_zip)
                    entries.append(worker)
                    self.starting.add(worker)
                if worker:
                    worker.in_use, worker.last_used = True, time.time()
                    return worker, "spawn" if new else "reused"
                if not self.changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    return None, "func_cap"

    def started(self, worker) -> None:
        """Is called when a worker has started, or failed to."""
        with self.changed:
            self.starting.discard(worker)
            self.changed.notify_all()

    def release(self, worker) -> None:
        """Returns a worker to its pool; None is one that ended."""
        self.release_worker(worker)
        with self.changed:
            self.starting.discard(worker)
            self.changed.notify_all()
