"""Saves the emulator's data on disk, so that the next start continues with it.

MiniStack writes its state only at a clean exit, service by service while they
still change, and starts empty when a file cannot be read. This module writes the
state of all services as one snapshot instead:

- A snapshot is the memory of one moment: a forked process writes it while the
  emulator continues. It becomes current only when it is complete, so a crash, a
  full disk or a kill leaves the snapshot before it.
- While data changes, a snapshot is made every few seconds. The last one is made
  at the exit, and no request is answered after it, so every answered change is
  saved.
- Unreadable data stops the start with an error message.

Files in the state folder:

    kept/<n>/<service>.json   a snapshot; kept/current names the newest
    kept/<n>/snapshot.json    its time and the emulator's port
    lambda-blobs/             the code of the functions
    s3/                       the objects, written at once
    running                   exists from the start until everything was saved;
                              it names the process, which holds a lock on it
"""

import asyncio
import copy
import datetime
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time

from ministack import app
from ministack.core import persistence
from ministack.services import dynamodb, lambda_svc, ses, sqs

from patches import Misfit, rewrite

SHARE = 20  # snapshots may use 1/20 of a processor
LIMIT = 120  # maximum seconds of a snapshot

# Services whose state has addresses of queues, which contain the port.
NAME_QUEUES = ("sqs", "lambda", "cloudformation")

# Requests that change nothing.
READS = ("Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List")


class Unreadable(Exception):
    """The data of an earlier start cannot be read."""


class Keeper:
    """Saves the state of the emulator at port in a folder, every `every` seconds
    while it changes."""

    def __init__(self, state: pathlib.Path, port: int, every: float):
        self.state, self.port, self.every = state, port, every
        self.kept = state / "kept"
        self.changed = False
        self.child = None  # the process that writes a snapshot
        self.cost = 0  # processor seconds of the last snapshot

    def hold(self) -> None:
        """Locks the data for this process."""
        self.running = open(self.state / "running", "a+")
        try:
            fcntl.flock(self.running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            self.running.seek(0)
            raise Unreadable(
                f"The process {self.running.read()} uses the data in {self.state}: end it first."
            ) from err
        self.running.truncate(0)
        self.running.write(str(os.getpid()))
        self.running.flush()

    # The data of earlier starts.

    def read(self) -> dict:
        """Returns the saved state by service, or {} without a snapshot."""
        current = self.kept / "current"
        if not current.exists():
            return {}
        try:
            made = json.loads((current / "snapshot.json").read_text())
            return {name: self._service(current / f"{name}.json", name, made["port"]) for name in made["services"]}
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise Unreadable(
                f"The data in {self.kept} cannot be read ({err}): make reset deletes it."
            ) from err

    def _service(self, path: pathlib.Path, name: str, port: int):
        text = path.read_text()
        if port != self.port and name in NAME_QUEUES:
            text = text.replace(f"://localhost:{port}/000000000000/", f"://localhost:{self.port}/000000000000/")
        data = json.loads(text, object_hook=persistence._json_object_hook)
        made, known = data["__ministack_format__"], persistence._state_format_version(name)
        if made > known:
            raise ValueError(f"{path.name} has format {made} of a newer MiniStack, this one reads {known}")
        for code in re.findall(r'"%s": "([0-9a-f]{64})"' % lambda_svc._BLOB_REF_KEY, text) if name == "lambda" else ():
            if not os.path.exists(os.path.join(lambda_svc.CODE_BLOB_DIR, f"{code}.zip")):
                raise ValueError(f"the code {code} of a function is missing")
        return data["payload"]

    # Snapshots.

    def write(self) -> None:
        """Writes a snapshot in this process and makes it the current one."""
        number = 1 + max((int(p.name) for p in self.kept.glob("[0-9]*") if p.name.isdigit()), default=0)
        folder = self.kept / str(number)
        folder.mkdir(parents=True)
        try:
            services = []
            for name, get in app._build_persistence_save_dict().items():
                state = get()
                if state is None:  # the service could not be loaded
                    continue
                services.append(name)
                version = persistence._state_format_version(name)
                (folder / f"{name}.json").write_text(
                    json.dumps({"__ministack_format__": version, "payload": state}, default=persistence._json_default)
                )
            at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
            (folder / "snapshot.json").write_text(json.dumps({"at": at, "port": self.port, "services": services}))
            link = self.kept / "next"
            link.unlink(missing_ok=True)
            link.symlink_to(folder.name)
            os.replace(link, self.kept / "current")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for old in self.kept.glob("[0-9]*"):
            if old.name != folder.name:
                shutil.rmtree(old, ignore_errors=True)
        prune_code(referenced)

    def fork(self, patient: bool) -> None:
        """Starts a process that writes a snapshot of the memory."""
        self.changed = False
        with dynamodb._lock, sqs._queues_lock:  # no write is in progress
            self.child = os.fork()
        if self.child:
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for s in (signal.SIGTERM, signal.SIGINT):
                signal.signal(s, signal.SIG_DFL)
            # Close inherited files and connections: a connection stays open
            # until every process has closed it.
            os.closerange(3, 65536)
            if patient:
                os.nice(10)
            copy.deepcopy = lambda value, memo=None: value  # the forked memory is a copy already
            self.write()
            code = 0
        except BaseException as err:
            print(f"keep: the data was not written: {err}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)

    def reap(self) -> bool | None:
        """Reports whether the process wrote the snapshot, or None while it is
        still writing."""
        pid, status, used = os.wait4(self.child, os.WNOHANG)
        if not pid:
            return None
        self.child, self.cost = None, used.ru_utime + used.ru_stime
        return os.waitstatus_to_exitcode(status) == 0

    def kill(self) -> None:
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        self.child = None

    async def loop(self) -> None:
        """Makes snapshots while data changes."""
        pause = self.every
        while True:
            await asyncio.sleep(pause)
            if not self.changed:
                continue
            began = time.monotonic()
            self.fork(patient=True)
            done = None
            while done is None:
                await asyncio.sleep(0.02)
                done = self.reap()
                if done is None and time.monotonic() > began + LIMIT:
                    self.kill()
                    done = False
            self.changed = self.changed or not done
            pause = max(self.every, SHARE * self.cost)

    def end(self) -> None:
        """Saves everything and ends the emulator. It blocks the event loop, so
        that no request is answered after the snapshot."""
        if self.child:
            self.kill()
        began, done = time.monotonic(), None
        self.fork(patient=False)
        while done is None and time.monotonic() < began + LIMIT:
            time.sleep(0.005)
            done = self.reap()
        if done:
            (self.state / "running").unlink(missing_ok=True)
        os._exit(0 if done else 1)

    # Plugging in.

    def install(self) -> None:
        """Makes MiniStack start with the saved state and save it."""
        self.hold()
        kept = self.read()
        keep_email("keep_email")
        keep_code("keep_code")
        keep_streams("keep_streams")
        for name in ("_load_persisted_state", "_build_persistence_save_dict", "save_all", "_state_map", "app"):
            if not hasattr(app, name):
                raise Misfit("keep", f"ministack.app.{name} is gone")

        def load() -> None:
            for name, module in app._state_map.items():
                if kept.get(name):
                    try:
                        app._get_module(module).load_persisted_state(kept[name])
                    except Exception as err:
                        print(f"MiniStack cannot load the saved data of {name}: {err!r}: make reset deletes it.", file=sys.stderr, flush=True)
                        os._exit(1)
            kept.clear()

        app._load_persisted_state = load
        app.save_all = lambda services: None  # end has saved everything
        serve = app.app

        async def watched(scope, receive, send):
            if scope["type"] == "lifespan":
                await serve(scope, receive, self.starting(send))
                return
            if scope["type"] == "http" and changes(scope):
                self.changed = True
            await serve(scope, receive, send)

        app.app = watched

    def starting(self, send):
        async def started(message):
            if message["type"] == "lifespan.startup.complete":
                loop = asyncio.get_running_loop()
                for s in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(s, self.end)
                self.task = loop.create_task(self.loop())
            await send(message)

        return started


def changes(scope) -> bool:
    """Reports whether a request may change data."""
    if scope["method"] in ("GET", "HEAD") and "/_aws/" not in scope["path"]:
        return False
    target = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"x-amz-target"), "")
    return not target.rpartition(".")[2].startswith(READS)


def keep_email(patch: str) -> None:
    """MiniStack's state had no sent e-mails."""
    for needed in ("_sent_emails", "get_state", "_restore_state", "_restore_regional_store"):
        if not hasattr(ses, needed):
            raise Misfit(patch, f"ses.{needed} is gone")
    rewrite(
        patch,
        ses.get_state,
        '    return copy.deepcopy({\n',
        '    return copy.deepcopy({\n        "_sent_emails": _sent_emails,\n',
    )
    rewrite(
        patch,
        ses._restore_state,
        '    _restore_regional_store(_identities, data.get("_identities", {}))\n',
        '    _restore_regional_store(_identities, data.get("_identities", {}))\n'
        '    _restore_regional_store(_sent_emails, data.get("_sent_emails", {}))\n',
    )


def keep_streams(patch: str) -> None:
    """MiniStack's state had no records of streams, and positions in streams that began
    anew at each start."""
    kept = ("_stream_records", "_stream_trimmed")
    for needed in (*kept, "get_state", "load_persisted_state", "_stream_seq_counter"):
        if not hasattr(dynamodb, needed):
            raise Misfit(patch, f"dynamodb.{needed} is gone")
    get, load = dynamodb.get_state, dynamodb.load_persisted_state

    def state() -> dict:
        return get() | {name: getattr(dynamodb, name) for name in kept} | {"_stream_seq_counter": dynamodb._stream_seq_counter}

    def restore(data) -> None:
        load(data)
        for name in kept:
            if data and name in data:
                getattr(dynamodb, name).update(data[name])
        dynamodb._stream_seq_counter = (data or {}).get("_stream_seq_counter", 0)

    dynamodb.get_state, dynamodb.load_persisted_state = state, restore


referenced = set()  # hashes of the code in the newest snapshot
prune_code = None


def keep_code(patch: str) -> None:
    """MiniStack hashed the code of every function for each snapshot, although
    the function's record has the hash, and deleted unused code before the
    snapshot was current."""
    global prune_code
    for needed in ("_externalize_code_zip", "_prune_orphan_code_blobs", "_b64_sha_to_hex", "CODE_BLOB_DIR", "_BLOB_REF_KEY"):
        if not hasattr(lambda_svc, needed):
            raise Misfit(patch, f"lambda_svc.{needed} is gone")
    prune_code, write = lambda_svc._prune_orphan_code_blobs, lambda_svc._externalize_code_zip
    folder = pathlib.Path(lambda_svc.CODE_BLOB_DIR)

    def externalize(function: dict, needed: set) -> None:
        name = lambda_svc._b64_sha_to_hex((function.get("config") or {}).get("CodeSha256", ""))
        if not isinstance(function.get("code_zip"), bytes) or not name or not (folder / f"{name}.zip").exists():
            write(function, needed)
            return
        function["code_zip"] = {lambda_svc._BLOB_REF_KEY: name}
        needed.add(name)

    def remember(needed: set) -> None:
        referenced.clear()
        referenced.update(needed)

    lambda_svc._externalize_code_zip = externalize
    lambda_svc._prune_orphan_code_blobs = remember
