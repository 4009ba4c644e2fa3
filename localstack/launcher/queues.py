"""The order in which a queue hands out its messages, and the machine's share for a
backlog.

A standard queue whose messages have groups is fair, as on AWS ("How Amazon SQS fair
queues work"): messages of groups that keep many consumers busy come after all others.
On AWS a backlog delays the other groups in no other way, since each execution
environment has a processor of its own. Here all share those of this machine, so
messages of a backlog are taken only when little else runs.
"""

import collections
import threading
import time

# A group is noisy when it has more than SHARE of the messages in flight and at least
# MANY of them, or had more than SHARE of those handed out in the last RECENT seconds,
# which stand for the processing time that AWS measures.
SHARE = 0.1
MANY = 30
RECENT = 60

# A group has a backlog when more than BACKLOG of its messages wait. They are taken one
# by one, while no batch and no run is at work, and in any case one each PACE seconds.
BACKLOG = 30
PACE = 0.2


class Handed:
    """Counts the messages handed out of one queue in the last RECENT seconds."""

    def __init__(self):
        self.order = collections.deque()
        self.counts = collections.Counter()

    def add(self, now: float, messages: list) -> None:
        for m in messages:
            group = m.get("group_id")
            if group is not None:
                self.order.append((now, group))
                self.counts[group] += 1

    def forget(self, now: float) -> None:
        while self.order and self.order[0][0] <= now - RECENT:
            self.counts[self.order.popleft()[1]] -= 1


handed = collections.defaultdict(Handed)  # by the ARN of the queue


def fair(q: dict, now: float) -> tuple:
    """Returns the visible messages in the order in which the queue hands them out, and
    the groups that have a backlog."""
    visible, waiting, flying = [], collections.Counter(), collections.Counter()
    for m in q["messages"]:
        if m["visible_at"] <= now:
            visible.append(m)
            waiting[m.get("group_id")] += 1
        elif m.get("receive_count"):
            flying[m.get("group_id")] += 1
    backlog = {group for group, n in waiting.items() if group is not None and n > BACKLOG}
    if len(waiting) < 2:
        return visible, backlog
    recent = handed[q["attributes"].get("QueueArn")]
    recent.forget(now)
    all_flying, all_recent = sum(flying.values()), len(recent.order)

    def noise(group) -> int:
        """Returns the messages in flight of a noisy group; -1 for a quiet one."""
        if group is None:  # each message without a group is a tenant of its own
            return -1
        crowded = flying[group] >= MANY and flying[group] > SHARE * all_flying
        return flying[group] if crowded or recent.counts[group] > SHARE * all_recent else -1

    rank = {group: noise(group) for group in waiting}
    if len(set(rank.values())) > 1:
        visible.sort(key=lambda m: rank[m.get("group_id")])  # keeps the order within a rank
    return visible, backlog


def take(q: dict, messages: list, hidden: float, new_handle) -> list:
    """Hands out messages, which stay hidden for some seconds."""
    now = time.time()
    for m in messages:
        m["receipt_handle"] = new_handle()
        m["visible_at"] = now + hidden
        m["receive_count"] = m.get("receive_count", 0) + 1
        if m.get("first_receive_at") is None:
            m["first_receive_at"] = now
    handed[q["attributes"].get("QueueArn")].add(now, messages)
    return messages


class Valve:
    """Lets the messages of backlogs through."""

    def __init__(self, busy, wake):
        self.busy, self.wake = busy, wake
        self.last = 0.0
        self.shut = False  # a message waits for the valve

    def open(self, now: float) -> bool:
        """Reports whether a message may pass, and counts it."""
        wait = self.last + PACE - now
        if wait > 0 and self.busy():
            if not self.shut:
                self.shut = True
                timer = threading.Timer(wait, self.again)
                timer.daemon = True
                timer.start()
            return False
        self.last = now
        return True

    def again(self) -> None:
        """Lets the poller look again."""
        self.shut = False
        self.wake()

    def freed(self) -> None:
        """Is called at the end of a run."""
        if self.shut and not self.busy():
            self.wake()


class Backlog:
    """What a walk through a queue with a backlog has found, so that the next batches
    need none."""

    def __init__(self, q: dict, now: float, groups: set, quiet: list):
        self.messages, self.walked, self.groups, self.at = q["messages"], len(q["messages"]), groups, now
        self.quiet = quiet  # messages of other groups

    def holds(self, q: dict, now: float) -> bool:
        """Reports whether the queue has only grown since, and not for long."""
        return self.messages is q["messages"] and self.walked <= len(self.messages) and 0 <= now - self.at < WALK

    def take(self, now: float, most: int) -> list:
        """Returns visible messages of other groups, with those that arrived since."""
        new = self.messages[self.walked :]
        self.walked += len(new)
        self.quiet.extend(m for m in new if m.get("group_id") not in self.groups)
        batch = [m for m in self.quiet if m["visible_at"] <= now][:most]
        taken = {id(m) for m in batch}
        self.quiet = [m for m in self.quiet if id(m) not in taken]
        return batch

    def first(self, now: float) -> list:
        """Returns the oldest visible message."""
        return next(([m] for m in self.messages if m["visible_at"] <= now), [])


# Seconds until a queue with a backlog is walked through again, to find messages that
# have become visible.
WALK = 1

backlogs = {}  # by the ARN of the queue


def choose(q: dict, most: int, valve: Valve) -> list:
    """Returns the messages of the next batch of a mapping."""
    now, arn = time.time(), q["attributes"].get("QueueArn")
    known = backlogs.get(arn)
    if known is None or not known.holds(q, now):
        visible, groups = fair(q, now)
        if not groups:
            backlogs.pop(arn, None)
            return visible[:most]
        # A message that arrived during the walk is not visible yet, by the time of its
        # beginning: it is kept for the next batches.
        known = backlogs[arn] = Backlog(q, now, groups, [m for m in q["messages"] if m.get("group_id") not in groups])
    quiet = known.take(now, most)
    if quiet:
        return quiet
    return known.first(now) if valve.open(now) else []


def delete(q: dict, handles: set) -> None:
    """Deletes messages in place. The newest and the oldest are found first."""
    messages, left = q["messages"], set(handles)
    near = 100
    spots = [range(len(messages) - 1, max(len(messages) - near, 0) - 1, -1), range(max(len(messages) - near, 0))]
    gone = []
    for i in (i for spot in spots for i in spot):
        if not left:
            break
        if messages[i].get("receipt_handle") in left:
            left.discard(messages[i]["receipt_handle"])
            gone.append(i)
    known = backlogs.get(q["attributes"].get("QueueArn"))
    for i in sorted(gone, reverse=True):
        if known and known.messages is messages and i < known.walked:
            known.walked -= 1
        del messages[i]
