"""Patches of MiniStack: they remove waits that make it slow, and correct behaviour
that differs from AWS and would affect runs.

Each patch is one function. It searches the text that it replaces and raises
Misfit when the text is missing, so that a new version of MiniStack stops the
start with an error message instead of being silently slow or wrong. A docstring
describes MiniStack's behaviour without the patch.
"""

import array
import bisect
import fcntl
import functools
import importlib.metadata
import inspect
import json
import socketserver
import sys
import termios
import textwrap
import time

import hypercorn.config
import queues
import streams
import workers
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, router
from ministack.services import dynamodb, eventbridge, lambda_svc, secretsmanager, ses_v2, sns, sqs, stepfunctions, sts
from ministack.services.cloudformation import provisioners

TESTED = "1.5.33"


class Misfit(Exception):
    """A patch does not fit this version of MiniStack."""

    def __init__(self, patch: str, why: str):
        version = importlib.metadata.version("ministack")
        super().__init__(
            f"The patch {patch!r} (localstack/launcher/patches.py) does not fit "
            f"MiniStack {version}: {why}. It was made for {TESTED}: install that version "
            f"(localstack/requirements.txt) or adapt the patch."
        )


# The current source of rewritten functions, for further patches of the same one.
sources = {}


def rewrite(patch: str, function, old: str, new: str) -> None:
    """Replaces one piece of text in a function of MiniStack.

    It swaps the code and keeps the function object, to which tables and threads
    may already refer.
    """
    source = sources.get(function) or textwrap.dedent(inspect.getsource(function))
    found = source.count(old)
    if found != 1:
        raise Misfit(patch, f"{function.__qualname__} has the expected text {found} times, not once")
    sources[function] = source.replace(old, new)
    made, above = {}, "\n" * (function.__code__.co_firstlineno - 1)  # tracebacks show the right lines
    exec(compile(above + sources[function], inspect.getfile(function), "exec"), function.__globals__, made)
    function.__code__ = made[function.__name__].__code__


# Waits.


def answer_at_once(patch: str) -> None:
    """The functions' HTTP server sends headers and body separately. Nagle's
    algorithm delays the body until the headers are acknowledged: 40 ms per
    invocation."""
    handler = socketserver.StreamRequestHandler
    if not hasattr(handler, "disable_nagle_algorithm"):
        raise Misfit(patch, "socketserver.StreamRequestHandler has no disable_nagle_algorithm")
    handler.disable_nagle_algorithm = True


def collect_logs_at_once(patch: str) -> None:
    """After each invocation MiniStack waits 50 ms for a first log line, and 5 ms
    for another. A function's lines are in the pipe before its answer, so it is
    enough to wait until the pipe is empty and its reader waits for more: then
    each line is in the queue, however busy the machine is."""
    worker = lambda_runtime.ProvidedWorker
    patient = worker._drain_stderr_bounded
    if "first_line_wait" not in inspect.signature(patient).parameters:
        raise Misfit(patch, "Worker._drain_stderr_bounded has no first_line_wait")

    def drain(self, **waits) -> str:
        if waits or self._proc is None:  # after a crash, log lines may be late
            return patient(self, **waits)
        lines, quiet, pause, end = [], 0, 0.0003, time.monotonic() + 2
        while quiet < 4 and time.monotonic() < end:
            empty, waiting = not unread(self._proc.stdout), reads(self._stderr_thread)
            text = self._drain_stderr()
            if text:
                lines.append(text)
            if empty and waiting:
                break
            quiet = quiet + 1 if empty and waiting is None and not text else 0
            time.sleep(pause)
            pause = min(2 * pause, 0.01)  # the reader needs the processor too
        return "\n".join(lines)

    worker._drain_stderr_bounded = drain


def reads(thread) -> bool | None:
    """Reports whether a thread waits for input of a pipe; None if the kernel does
    not say where a sleeping thread waits."""
    try:
        with open(f"/proc/self/task/{thread.native_id}/stat") as file:
            asleep = file.read().rpartition(")")[2].split()[0] == "S"
        with open(f"/proc/self/task/{thread.native_id}/wchan") as file:
            where = file.read()
    except (AttributeError, OSError):  # not started, ended, or not on Linux
        return None
    if not asleep:
        return False
    return None if where in ("", "0") else "pipe" in where


def unread(pipe) -> int:
    """Returns the number of unread bytes in a pipe."""
    size = array.array("i", [0])
    try:
        fcntl.ioctl(pipe.fileno(), termios.FIONREAD, size)
    except (OSError, ValueError):  # closed meanwhile
        return 0
    return size[0]


def poll_queues_at_once(patch: str) -> None:
    """A queue's poller sleeps 50 ms after a wake-up without messages, and the end
    of each batch causes such a wake-up."""
    if getattr(lambda_svc, "_ESM_IDLE_WAKE_GAP_SECONDS", None) != 0.05:
        raise Misfit(patch, "lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS is not 0.05")
    lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = 0


def read_conditions_once(patch: str) -> None:
    """A query read and checked the text of its condition anew for every item of the
    partition, which took longer than everything else that it did. The text of an
    expression alone decides how it is read, and our store has few of them."""
    tokenize = dynamodb._tokenize
    tokens = functools.lru_cache(1_000)(lambda expr: tuple(tokenize(expr)))
    dynamodb._tokenize = lambda expr: list(tokens(expr))

    @functools.lru_cache(1_000)
    def read(expr: str, slot: str) -> tuple:
        err = (
            dynamodb._check_redundant_parens(tokens(expr), slot)
            or dynamodb._check_reserved_keyword_usage(tokens(expr))
            or dynamodb._condition_syntax_error(expr, slot)
        )
        return tokens(expr), err

    dynamodb._read_condition = read
    rewrite(
        patch,
        dynamodb._evaluate_condition,
        "        tokens = _tokenize(expr)\n"
        "        err = _check_redundant_parens(tokens, slot)\n"
        "        if err:\n"
        "            raise ValueError(err)\n"
        "        err = _check_reserved_keyword_usage(tokens) or _condition_syntax_error(expr, slot)\n",
        "        tokens, err = _read_condition(expr, slot)\n",
    )


STANDSTILL = 15  # seconds that a function may take longer than on AWS


def forgive_standstills(patch: str) -> None:
    """A function's time went on while the machine stood still, as a laptop that
    swaps does, and a virtual machine that is being saved: every call in progress
    timed out. A function now has some seconds more than on AWS."""
    rewrite(
        patch,
        lambda_runtime.ProvidedWorker.invoke,
        '    timeout = self.config.get("Timeout", 30)\n',
        f'    timeout = self.config.get("Timeout", 30) + {STANDSTILL}\n',
    )


def keep_connections(patch: str) -> None:
    """The server closed each connection after 1,000 requests, and after 75 idle
    seconds, without announcing it. The SDK, which keeps a connection for 90 idle
    seconds, then sent a call into a closed one and repeated it later."""
    if getattr(hypercorn.config.Config, "keep_alive_max_requests", None) != 1000:
        raise Misfit(patch, "hypercorn's keep_alive_max_requests is not 1000")
    hypercorn.config.Config.keep_alive_max_requests = sys.maxsize
    rewrite(patch, app.main, "config.keep_alive_timeout = 75\n", "config.keep_alive_timeout = 120\n")


def start_executions_at_once(patch: str) -> None:
    """Every execution of a state machine begins with a sleep of 150 ms."""
    rewrite(patch, stepfunctions._run_execution, "    time.sleep(0.15)\n", "")


# Fidelity.


def read_timeout_paths(patch: str) -> None:
    """TimeoutSecondsPath was ignored: a gate would never expire."""
    rewrite(
        patch,
        stepfunctions._execute_task,
        '    retriers = state_def.get("Retry", [])\n',
        "    state_def = _with_timeout(state_def, raw_input, ctx)\n"
        '    retriers = state_def.get("Retry", [])\n',
    )
    for needed in ("_resolve_path_or_ctx", "_apply_input_path", "_ExecutionError"):
        if not hasattr(stepfunctions, needed):
            raise Misfit(patch, f"stepfunctions.{needed} is gone")

    def with_timeout(state: dict, given, ctx: dict) -> dict:
        path = state.get("TimeoutSecondsPath")
        if path is None:
            return state
        seen = stepfunctions._apply_input_path(state, given, ctx)
        seconds = stepfunctions._resolve_path_or_ctx(path, seen, ctx)
        if type(seconds) is not int or seconds <= 0:
            raise stepfunctions._ExecutionError(
                "States.Runtime", f"TimeoutSecondsPath {path} is {seconds!r}, not a positive integer"
            )
        return state | {"TimeoutSeconds": seconds}

    stepfunctions._with_timeout = with_timeout


def fail_callbacks(patch: str) -> None:
    """A task hung when its function failed before parking the task token; on AWS
    the task fails, unless the token was used before."""
    rewrite(
        patch,
        stepfunctions._invoke_with_callback,
        "            _call_lambda(func_ref, lambda_payload)\n"
        "        except _ExecutionError:\n"
        "            pass\n",
        "            _call_lambda(func_ref, lambda_payload)\n"
        "        except _ExecutionError:\n"
        "            if not evt.is_set():\n"
        "                _task_tokens.pop(token, None)\n"
        "                raise\n",
    )


def renew_tokens(patch: str) -> None:
    """A retried task kept its token; on AWS each attempt has a new token."""
    rewrite(
        patch,
        stepfunctions._execute_task,
        "    while True:\n",
        "    while True:\n"
        "        if is_callback:\n"
        '            ctx["Task"] = {"Token": new_uuid()}\n'
        '            _issue(ctx["Task"]["Token"], ctx)\n',
    )
    stepfunctions._issue = lambda token, ctx: remember(machines, token, (ctx.get("StateMachine") or {}).get("Id"))


machines = {}  # ARN of the machine that issued a token, by token


def remember(known: dict, key, value) -> None:
    """Adds to a dict, and drops the oldest entry of more than 100,000."""
    known[key] = value
    if len(known) > 100_000:
        del known[next(iter(known))]


def close_tokens(patch: str) -> None:
    """A used or expired token was answered with TaskDoesNotExist, like an unknown
    one; AWS answers TaskTimedOut."""
    parked = {}  # all tokens that a task waited for

    def park(token) -> None:
        remember(parked, token, True)

    def refusal(token) -> tuple:
        if token in parked:
            return "TaskTimedOut", "Task Timed Out: the task token is closed"
        return "TaskDoesNotExist", "Task token not found"

    rewrite(
        patch,
        stepfunctions._invoke_with_callback,
        "    _task_tokens[token] = {\n",
        "    _park(token)\n    _task_tokens[token] = {\n",
    )
    stepfunctions._park = park
    stepfunctions._refusal = refusal
    for send in (
        stepfunctions._send_task_success,
        stepfunctions._send_task_failure,
        stepfunctions._send_task_heartbeat,
    ):
        rewrite(
            patch,
            send,
            "    if not info:\n"
            "        return error_response_json(\n"
            '            "TaskDoesNotExist", "Task token not found", 400)\n',
            '    if not info or info["event"].is_set():\n'
            "        return error_response_json(*_refusal(token), 400)\n",
        )


def check_outputs(patch: str) -> None:
    """An output that is not JSON was accepted; AWS answers InvalidOutput."""
    rewrite(
        patch,
        stepfunctions._send_task_success,
        '    info["result"] = output\n',
        "    if not _is_json(output):\n"
        "        return error_response_json(\n"
        '            "InvalidOutput", "Invalid Output: the output is not JSON", 400)\n'
        '    info["result"] = output\n',
    )
    stepfunctions._is_json = is_json


def is_json(text) -> bool:
    """Reports whether text is one JSON value."""
    try:
        json.loads(text)
    except (TypeError, ValueError):
        return False
    return True


def name_throttles(patch: str) -> None:
    """A machine's task whose function was throttled failed with Lambda.Unknown."""
    rewrite(
        patch,
        stepfunctions._call_lambda,
        '                body.get("errorType", "Lambda.Unknown"),\n',
        '                "Lambda.TooManyRequestsException" if result.get("throttle")'
        ' else body.get("errorType", "Lambda.Unknown"),\n',
    )


def group_messages_of_rules(patch: str) -> None:
    """A rule's message in a standard queue had no group. A path like
    $.detail.org_id is read from the event; an event without it has no group here,
    and goes to the dead-letter queue of the target on AWS."""
    rewrite(
        patch,
        eventbridge._dispatch_to_sqs,
        '    queue["messages"].append(msg)\n',
        '    else:\n'
        '        msg["group_id"] = _group_of(sqs_parameters.get("MessageGroupId"), payload)\n'
        '    queue["messages"].append(msg)\n',
    )
    eventbridge._group_of = group_of


def group_of(path: str | None, payload: str) -> str | None:
    """Returns the group of an event: a text, or the text at a path of the event."""
    if not path or not path.startswith("$."):
        return path
    value = json.loads(payload)
    for name in path[2:].split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def order_queues_fairly(patch: str) -> None:
    """A standard queue handed out the oldest messages, whatever their group."""
    rewrite(
        patch,
        sqs._collect_msgs,
        '    visible = [m for m in q["messages"] if m["visible_at"] <= now]\n'
        "    result = visible[:max_n]\n",
        "    return _take(q, _fair(q, now)[0][:max_n], vis_timeout, new_uuid)\n"
        "    result = []\n",
    )
    sqs._take, sqs._fair = queues.take, queues.fair


def spare_the_machine(patch: str) -> None:
    """The backlog of a queue took all processors, and so delayed everything else,
    which it does not on AWS. Each batch also walked through the queue four times."""
    running = set()  # executions of Express machines

    def busy() -> int:
        with lambda_svc._esm_inflight_lock:
            return sum(lambda_svc._esm_inflight.values()) + len(running)

    valve = queues.Valve(busy, lambda_svc._esm_wake.set)
    rewrite(
        patch,
        sqs._receive_messages_for_esm,
        "        _expire_retained(q)\n        _dlq_sweep(q)\n        return _collect_msgs(q, max_n, vis)\n",
        "        _sweep(q)\n"
        '        if q["is_fifo"]:\n'
        "            return _collect_msgs(q, max_n, vis)\n"
        "        return _take(q, _choose(q, max_n), vis, new_uuid)\n",
    )
    rewrite(
        patch,
        sqs._delete_messages_for_esm,
        "        kept = []\n",
        '        if not q["is_fifo"]:\n            return _delete(q, receipt_handles)\n        kept = []\n',
    )
    swept = {}  # time of the last sweep by queue

    def sweep(q: dict) -> None:
        arn, now = q["attributes"].get("QueueArn"), time.monotonic()
        if now - swept.get(arn, 0) < 1 and len(q["messages"]) > 1000:
            return
        swept[arn] = now
        sqs._expire_retained(q)
        sqs._dlq_sweep(q)

    def run(arn: str) -> None:
        machine = stepfunctions._state_machines.get((stepfunctions._executions.get(arn) or {}).get("stateMachineArn"))
        express = (machine or {}).get("type") == "EXPRESS"
        try:
            if express:
                running.add(arn)
            execute(arn)
        finally:
            running.discard(arn)
            if express:
                valve.freed()

    sqs._sweep, sqs._delete, sqs._choose = sweep, queues.delete, lambda q, most: queues.choose(q, most, valve)
    execute, stepfunctions._run_execution = stepfunctions._run_execution, run


def follow_streams(patch: str) -> None:
    """The streams of tables were polled in the loop of the queues, which each write
    woke, and which stood still while a function handled a batch. No batch waited for
    more records, no part of one could fail, all records were kept for a day, and
    reading them needed no permission."""
    rewrite(
        patch,
        dynamodb._emit_stream_event,
        "        esm_wake.set()\n        _trim_stream_records(table_name)\n",
        "        _followers.wake()\n",
    )
    for needed in ("_poll_dynamodb_streams", "_iter_all_esms", "_dynamodb_stream_positions", "_apply_filter_criteria", "_execute_function"):
        if not hasattr(lambda_svc, needed):
            raise Misfit(patch, f"lambda_svc.{needed} is gone")
    lambda_svc._poll_dynamodb_streams = lambda: False
    dynamodb._followers = streams.Followers(Streams())
    dynamodb._followers.start()


class Streams:
    """The streams of MiniStack, for streams.Followers."""

    def mappings(self):
        for account, region, esm in lambda_svc._iter_all_esms():
            if ":dynamodb:" in esm.get("EventSourceArn", "") and esm.get("Enabled", True):
                mapping = StreamMapping(account, region, esm)
                if mapping.known():
                    yield mapping

    def forget(self, table: tuple, position: int, least: int, before: float) -> None:
        """Drops the records before a position and a time, when they are many."""
        with dynamodb._lock:  # no snapshot is made
            records = dynamodb._stream_records.get_scoped(*table) or []
            read = position - dynamodb.stream_start_position(table[2], account_id=table[0], region=table[1])
            gone = bisect.bisect_left(records, before, 0, read, key=lambda r: r["dynamodb"]["ApproximateCreationDateTime"])
            if gone >= least:
                del records[:gone]
                trimmed = dynamodb._stream_trimmed.get_scoped(*table, 0)
                dynamodb._stream_trimmed.set_scoped(*table, trimmed + gone)


class StreamMapping:
    """A mapping of a table's stream to a function."""

    def __init__(self, account: str, region: str, esm: dict):
        self.account, self.region, self.esm = account, region, esm
        self.id, self.source = esm["UUID"], esm["EventSourceArn"]
        self.table = (account, region, self.source.split("/")[1])
        self.window = float(esm.get("MaximumBatchingWindowInSeconds") or 0)
        self.batch = int(esm.get("BatchSize") or 100)
        self.halve = bool(esm.get("BisectBatchOnFunctionError"))
        self.partial = "ReportBatchItemFailures" in (esm.get("FunctionResponseTypes") or [])
        self.scope = {"account_id": account, "region": region}

    def inside(self, do, *args):
        """Makes a call of MiniStack for the account and the region of the mapping."""
        account, region = lambda_svc._request_account_id.set(self.account), lambda_svc._request_region.set(self.region)
        try:
            return do(*args)
        finally:
            lambda_svc._request_account_id.reset(account)
            lambda_svc._request_region.reset(region)

    def known(self) -> bool:
        table = dynamodb._tables.get_scoped(*self.table)
        return bool(table) and table.get("LatestStreamArn") == self.source

    def bounds(self) -> tuple:
        name = self.table[2]
        return dynamodb.stream_start_position(name, **self.scope), dynamodb.stream_end_position(name, **self.scope)

    def records(self, position: int, end: int) -> list:
        return dynamodb.stream_records_since(self.table[2], position, end - position, **self.scope)

    def position(self):
        return self.inside(lambda_svc._dynamodb_stream_positions.get, self.id)

    def save(self, position: int) -> None:
        self.inside(lambda_svc._dynamodb_stream_positions.__setitem__, self.id, position)

    def passes(self, record: dict) -> bool:
        return bool(lambda_svc._apply_filter_criteria([record], self.esm))

    def invoke(self, event: dict) -> dict:
        return self.inside(self.execute, event)

    def execute(self, event: dict) -> dict:
        function, _ = lambda_svc._get_func_record_for_qualifier(self.esm["FunctionName"], self.esm.get("Qualifier"))
        if function is None:
            return {"error": True}
        denied = self.denied(function.get("config") or function)
        if denied:
            self.esm["LastProcessingResult"] = f"PROBLEM: the role of the function lacks {denied}"
            print(f"streams: the role of {self.esm['FunctionName']} may not {denied} {self.source}", file=sys.stderr, flush=True)
            return {"error": True}
        result = lambda_svc._execute_function(function, event)
        self.esm["LastProcessingResult"] = "FAILED" if result.get("error") else f"OK - {len(event['Records'])} records"
        return result

    def denied(self, config: dict) -> str:
        """Returns an action of reading the stream that the function's role does not
        allow; "" if it allows all."""
        role = config.get("Role", "")
        policies = iam_evaluator._gather_role_policies(role.rpartition("/")[2], self.account)
        for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"):
            asked = iam_evaluator.EvalContext(
                principal_arn=role, principal_type="AssumedRole", principal_account=self.account,
                action=f"dynamodb:{action}", resource_arn=self.source, region=self.region, service_context={},
            )
            if iam_evaluator.evaluate(asked, policies).decision != "Allow":
                return f"dynamodb:{action}"
        return ""


def limit_processes(patch: str) -> None:
    """Each concurrent call of a function started a process, and the processes of a
    burst stayed."""
    for needed in ("_lock", "_workers", "_worker_key", "_worker_class_for"):
        if not hasattr(lambda_runtime, needed):
            raise Misfit(patch, f"lambda_runtime.{needed} is gone")
    if lambda_svc.acquire_worker is not lambda_runtime.acquire_worker:
        raise Misfit(patch, "lambda_svc has an acquire_worker of its own")
    starts = workers.Starts(lambda_runtime.release_worker)
    spawn = lambda_runtime.ProvidedWorker._spawn

    def started(self, *args, **kwargs):
        try:
            return spawn(self, *args, **kwargs)
        finally:
            starts.started(self)

    lambda_runtime.ProvidedWorker._spawn = started
    lambda_svc.acquire_worker, lambda_svc.release_worker = starts.acquire, starts.release
    rewrite(
        patch,
        lambda_runtime.reap_idle_workers,
        "(i == 0 and not snapstart_version)",
        f"(i == 0 and idle < {workers.LAST} and not snapstart_version)",
    )
    if not hasattr(lambda_runtime, "_LOCAL_WORKER_TTL"):
        raise Misfit(patch, "lambda_runtime._LOCAL_WORKER_TTL is gone")
    lambda_runtime._LOCAL_WORKER_TTL = workers.SURPLUS


def keep_headers_of_email(patch: str) -> None:
    """Headers and tags of an e-mail were dropped; they name its organization."""
    rewrite(
        patch,
        ses_v2.handle_request,
        '"Type": "v2.SendEmail",',
        '"Type": "v2.SendEmail",'
        ' "EmailTags": data.get("EmailTags") or [] if isinstance(data, dict) else [],'
        ' "Headers": simple.get("Headers") or [],',
    )
    rewrite(
        patch,
        app._handle_ses_messages_request,
        '"Type": rec["Type"],',
        '"Type": rec["Type"], "EmailTags": rec.get("EmailTags", []), "Headers": rec.get("Headers", []),',
    )


def keep_time_of_sms(patch: str) -> None:
    """A text message had no timestamp."""
    rewrite(
        patch,
        sns._publish,
        '"MessageId": msg_id,\n            "Message": message,',
        '"MessageId": msg_id,\n            "Timestamp": time.time(),\n            "Message": message,',
    )


def replay_to_the_rules_named(patch: str) -> None:
    """A replay went to every rule of the bus; on AWS it goes only to the rules
    that its destination names, if it names any."""
    rewrite(
        patch,
        eventbridge._start_replay,
        '                replayed["ReplayName"] = name\n',
        '                replayed["ReplayName"] = name\n'
        '                replayed["_FilterArns"] = dest.get("FilterArns") or []\n',
    )
    rewrite(
        patch,
        eventbridge._dispatch_event,
        '        if rule.get("State") != "ENABLED":\n',
        '        if event.get("_FilterArns") and rule.get("Arn") not in event["_FilterArns"]:\n'
        "            continue\n"
        '        if rule.get("State") != "ENABLED":\n',
    )


def move_messages(patch: str) -> None:
    """Move tasks were unknown. One moves all visible messages of a dead-letter queue
    to another queue; on AWS at most 500 in a second, here at once."""
    for needed in ("_HANDLERS", "_Err", "_queues", "_queue_by_arn", "_act_send_message"):
        if not hasattr(sqs, needed):
            raise Misfit(patch, f"sqs.{needed} is gone")
    tasks = []

    def start(data: dict, _: str) -> dict:
        source, destination = data.get("SourceArn", ""), data.get("DestinationArn", "")
        queues = {arn: sqs._queue_by_arn(arn) for arn in (source, destination)}
        for arn, queue in queues.items():
            if queue is None:
                raise sqs._Err("ResourceNotFoundException", f"The queue {arn} does not exist.")
        if not any(source in queue["attributes"].get("RedrivePolicy", "") for queue in sqs._queues.values()):
            raise sqs._Err("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
        task = {
            "TaskHandle": sqs.new_uuid(), "Status": "COMPLETED", "SourceArn": source, "DestinationArn": destination,
            "ApproximateNumberOfMessagesMoved": 0, "StartedTimestamp": int(time.time() * 1000),
        }
        staying = []
        for message in queues[source]["messages"]:
            if message["visible_at"] > time.time():
                staying.append(message)
                continue
            moved = {"MessageBody": message["body"]} | ({"MessageGroupId": message["group_id"]} if message.get("group_id") else {})
            sqs._act_send_message(moved, queues[destination]["url"])
            task["ApproximateNumberOfMessagesMoved"] += 1
        queues[source]["messages"] = staying
        task["ApproximateNumberOfMessagesToMove"] = task["ApproximateNumberOfMessagesMoved"]
        tasks.insert(0, task)
        del tasks[10:]
        return {"TaskHandle": task["TaskHandle"]}

    def show(data: dict, _: str) -> dict:
        return {"Results": [task for task in tasks if task["SourceArn"] == data.get("SourceArn")]}

    sqs._HANDLERS.update(StartMessageMoveTask=start, ListMessageMoveTasks=show)


def keep_policies_of_buses(patch: str) -> None:
    """CloudFormation dropped the policy of an event bus."""
    rewrite(
        patch,
        provisioners._eb_event_bus_create,
        "    _eb._create_event_bus(data)\n",
        "    _eb._create_event_bus(data)\n    _set_bus_policy(name, props)\n",
    )
    rewrite(
        patch,
        provisioners._eb_event_bus_update,
        "    bus = _eb._event_buses.get(physical_id)\n",
        "    bus = _eb._event_buses.get(physical_id)\n    _set_bus_policy(physical_id, new_props)\n",
    )
    if not hasattr(eventbridge, "_event_bus_policies"):
        raise Misfit(patch, "eventbridge._event_bus_policies is gone")

    def set_policy(name: str, props: dict) -> None:
        eventbridge._event_bus_policies.pop(name, None)
        if props.get("Policy"):
            eventbridge._event_bus_policies[name] = props["Policy"]

    provisioners._set_bus_policy = set_policy


def give_functions_their_roles(patch: str) -> None:
    """Functions had the credentials of the account, not sessions of their roles."""
    rewrite(
        patch,
        lambda_runtime.execution_credentials,
        "    if not app.AUTH:\n",
        '    if not app.AUTH and not config.get("Role"):\n',
    )


def guard_buses_with_policies(patch: str) -> None:
    """PutEvents asked for no permission: every caller could put events of every
    source. A bus that has a policy now takes events only from roles that may put
    events of these sources, as on AWS. Buses without a policy stay open."""
    rewrite(
        patch,
        eventbridge.handle_request,
        "    return handler(data)\n",
        '    refusal = _refused(headers, query_params, data) if action == "PutEvents" else None\n'
        "    return refusal or handler(data)\n",
    )
    for needed in ("resolve_principal", "evaluate", "combine_resource_policy", "EvalContext", "AuthError"):
        if not hasattr(iam_evaluator, needed):
            raise Misfit(patch, f"iam_evaluator.{needed} is gone")

    def refused(headers: dict, query: dict, data: dict):
        sources, types = {}, {}
        for entry in data.get("Entries") or []:
            name, error = eventbridge._event_bus_name_from_ref(entry.get("EventBusName", "default"))
            if not error:
                sources.setdefault(name, []).extend(values(entry, "Source"))
                types.setdefault(name, []).extend(values(entry, "DetailType"))
        for name in sources:
            policy = eventbridge._event_bus_policies.get(name)
            if policy and not may_put(headers, query, name, policy, sources[name], types[name]):
                return eventbridge.error_response_json(
                    "AccessDeniedException",
                    f"{iam_evaluator.request_caller_arn(headers, query)} is not authorized to perform: "
                    f"events:PutEvents on the bus {name} for the sources {sources[name]}",
                    400,
                )
        return None

    eventbridge._refused = refused


def guard_tables(patch: str) -> None:
    """A function could do everything with every table. A session of a role may
    now do only what the policies of the role allow, as on AWS; other callers,
    such as tools and tests, still may do everything."""
    rewrite(
        patch,
        dynamodb.handle_request,
        '    handlers = {\n        "CreateTable": _create_table,\n',
        "    refusal = _refused(headers, query_params, action, data)\n"
        "    if refusal:\n"
        "        return refusal\n"
        '    handlers = {\n        "CreateTable": _create_table,\n',
    )
    def refused(headers: dict, query: dict, action: str, data: dict):
        caller = role_of(headers, query)
        if caller is None:
            return None
        for one, resource, context in table_accesses(action, data):
            if not allows(caller, f"dynamodb:{one}", resource, context):
                return dynamodb.error_response_json(
                    "AccessDeniedException",
                    f"User: {caller.arn} is not authorized to perform: dynamodb:{one} on resource: {resource}",
                    400,
                )
        return None

    dynamodb._refused = refused


def guard_calls(patch: str) -> None:
    """A function could make every call. A session of a role may now make only the
    calls that the policies of the role allow, as on AWS. Calls of DynamoDB are
    checked in guard_tables, those of EventBridge in guard_buses_with_policies."""
    rewrite(
        patch,
        app._dispatch_service_request,
        "    if AUTH and not appsync_graphql:\n",
        "    refusal = _refused(service, method, path, headers, body, routing_params, request_id)\n"
        "    if refusal:\n"
        "        return refusal\n"
        "    if AUTH and not appsync_graphql:\n",
    )
    for needed in ("extract_iam_action", "extract_resource_arn", "access_denied_response"):
        if not hasattr(iam_actions, needed):
            raise Misfit(patch, f"iam_actions.{needed} is gone")

    def refused(service: str, method: str, path: str, headers: dict, body: bytes, params: dict, request: str):
        if service in ("dynamodb", "events"):
            return None
        caller = role_of(headers, params)
        if caller is None:
            return None
        action = iam_actions.extract_iam_action(service, method, path, headers, body, params) or f"{service}:Unknown"
        named = iam_actions.extract_resource_arn(
            service, method, path, headers, body, params, dynamodb.get_region(), dynamodb.get_account_id()
        )
        resources = resources_of(action, named, params, body)
        if not resources or any(allows(caller, action, resource, {}) for resource in resources):
            return None
        return iam_actions.access_denied_response(
            service, action, caller.arn, request, headers=headers, resource_arn=resources[0]
        )

    app._refused = refused


def resources_of(action: str, named: str, params: dict, body: bytes) -> list:
    """Returns the resources one of which IAM must allow for a call; none for a token
    that no machine issued, which the call itself refuses. MiniStack does not know
    the machine of a token, the identity of an e-mail, the suffix of a secret, and
    that a telephone is no topic."""
    if action == "sns:Publish" and values(params, "PhoneNumber"):
        return ["telephone"]
    if action.startswith("states:SendTask"):
        machine = machines.get(fields_of(body).get("taskToken"))
        return [machine] if machine else []
    if action == "secretsmanager:GetSecretValue":
        _, secret = secretsmanager._resolve(fields_of(body).get("SecretId", ""))
        return [secret["ARN"] if secret else named]
    if action == "ses:SendEmail":
        address = str(fields_of(body).get("FromEmailAddress", "")).rpartition("<")[2].rstrip(">")
        where = f"arn:aws:ses:{dynamodb.get_region()}:{dynamodb.get_account_id()}:identity/"
        return [where + address, where + address.rpartition("@")[2]]
    return [named]


def fields_of(body: bytes) -> dict:
    """Returns the fields of a call's JSON object, and none for a body that is none:
    the call itself refuses it. A part of an upload may have any bytes."""
    try:
        given = json.loads(body)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


principals = {}  # by access key, with the time until which each is good


def role_of(headers: dict, query: dict):
    """Returns the session of a role that makes a call, with its policies, or None:
    tools and tests may do everything."""
    key = router.extract_access_key_id(headers, query)
    if key not in sts._sessions:
        return None
    known, until = principals.get(key, (None, 0))
    if until < time.monotonic():
        known, until = iam_evaluator.resolve_principal(key, dynamodb.get_account_id()), time.monotonic() + 2
        principals[key] = (known, until)
    return known


def allows(caller, action: str, resource: str, context: dict) -> bool:
    """Reports whether the policies of a role's session allow an action."""
    asked = iam_evaluator.EvalContext(
        principal_arn=caller.arn,
        principal_type=caller.type,
        principal_account=caller.account,
        action=action,
        resource_arn=resource,
        region=dynamodb.get_region(),
        service_context=context,
    )
    return iam_evaluator.evaluate(asked, caller.policies or []).decision == "Allow"


PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem", "Get": "GetItem"}


def table_accesses(action: str, data: dict) -> list:
    """Returns the accesses that IAM must allow for a call of DynamoDB: action,
    resource and condition keys. Those of a transaction are its parts."""
    if action.startswith("Transact"):
        return [
            access for item in data.get("TransactItems") or []
            for part, one in PARTS.items() if part in item
            for access in table_accesses(one, item[part])
        ]
    if action.startswith("Batch"):
        return [(action, table_arn(table), {}) for table in data.get("RequestItems") or {}]
    resource = table_arn(data.get("TableName", ""))
    if data.get("IndexName"):
        resource += f"/index/{data['IndexName']}"
    key = data.get("Key") or data.get("Item") or {}
    if action == "Query":
        key = {"pk": (data.get("ExpressionAttributeValues") or {}).get(":pk") or {"S": ""}}
    context = {
        "dynamodb:leadingkeys": [key["pk"]["S"]] if "pk" in key else None,
        "dynamodb:attributes": sorted({*key, *(data.get("ExpressionAttributeNames") or {}).values()}) or None,
        "dynamodb:returnvalues": data.get("ReturnValues"),
    }
    return [(action, resource, context)]


def table_arn(table: str) -> str:
    return f"arn:aws:dynamodb:{dynamodb.get_region()}:{dynamodb.get_account_id()}:table/{table}"


def values(entry: dict, field: str) -> list:
    """Returns the value of a field as a list; a missing one has no value."""
    return [str(entry[field])] if entry.get(field) is not None else []


def may_put(headers: dict, query: dict, bus: str, policy: dict, sources: list, types: list) -> bool:
    """Reports whether the policies of the caller and of the bus allow PutEvents."""
    account, region = eventbridge.get_account_id(), eventbridge.get_region()
    caller = iam_evaluator.resolve_principal(router.extract_access_key_id(headers, query), account)
    if isinstance(caller, iam_evaluator.AuthError):
        return False
    arn = caller.arn
    if caller.type == "AssumedRole":  # on AWS, aws:PrincipalArn is the role's, not the session's
        arn = f"arn:aws:iam::{caller.account}:role/{arn.split('/')[1]}"
    context = iam_evaluator.EvalContext(
        principal_arn=arn,
        principal_type=caller.type,
        principal_account=caller.account,
        action="events:PutEvents",
        resource_arn=f"arn:aws:events:{region}:{account}:event-bus/{bus}",
        region=region,
        service_context={"events:source": sources or None, "events:detail-type": types or None},
        principal_keys=caller.keys,
    )
    everything = [iam_evaluator.parse_policy_document({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})]
    granted = iam_evaluator.evaluate(context, everything if caller.policies is None else caller.policies, *caller.limits)
    return iam_evaluator.combine_resource_policy(granted, context, policy, account).decision == "Allow"


def tell_whose_it_is(patch: str, mark: str) -> None:
    """The health endpoint did not name the checkout of an emulator."""
    health = getattr(app, "_handle_health_request", None)
    if health is None or health("/_ministack/health", "r")[0] != 200:
        raise Misfit(patch, "app._handle_health_request does not answer /_ministack/health")

    def marked(path: str, request_id: str):
        answer = health(path, request_id)
        if answer is None:
            return None
        status, headers, body = answer
        return status, headers, json.dumps(json.loads(body) | {"stack": mark}).encode()

    app._handle_health_request = marked


PATCHES = (
    answer_at_once,
    collect_logs_at_once,
    poll_queues_at_once,
    keep_connections,
    start_executions_at_once,
    read_conditions_once,
    forgive_standstills,
    read_timeout_paths,
    fail_callbacks,
    renew_tokens,
    close_tokens,
    check_outputs,
    name_throttles,
    group_messages_of_rules,
    order_queues_fairly,
    spare_the_machine,
    follow_streams,
    limit_processes,
    keep_headers_of_email,
    keep_time_of_sms,
    replay_to_the_rules_named,
    move_messages,
    keep_policies_of_buses,
    give_functions_their_roles,
    guard_buses_with_policies,
    guard_tables,
    guard_calls,
)


def apply_all(mark: str = "") -> None:
    """Applies every patch, or raises Misfit. The mark identifies the checkout."""
    for patch in PATCHES:
        patch(patch.__name__)
    tell_whose_it_is("tell_whose_it_is", mark)
