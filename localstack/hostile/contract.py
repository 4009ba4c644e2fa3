"""Holds the deployed API against its own document, with schemathesis.

    contract.py [--outputs .local/outputs.json] [--examples 10] [--seed 1]

It makes an organization that nobody else knows, gives it an agent, runs and
open approvals so that there is something to ask about, and calls every
operation of /api/openapi.json with what fits the document and what does not.
The same seed asks the same questions again.
"""

import argparse
import json
import os
import pathlib
import random
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
LOCAL = ".local/bin/local"
PATIENCE = 60  # seconds, for what must happen
RUNS = 6  # that wait for an approval; questions end some of them

AGENT = {
    "name": "Asks first",
    "category": "service_desk",
    "trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated", "filters": []},
    "steps": [{"id": "ask", "type": "approval_gate", "message": "May I?"}],
}


class Tenant:
    """An organization, as its owner sees it."""

    def __init__(self, outputs, state):
        self.api = outputs["api_url"]
        self.state = state
        self.name = "org_" + secrets.token_hex(8)
        self.token = self.local("token", "-role", "owner")

    def local(self, command, *args):
        run = [LOCAL, command, "-state", str(self.state), "-org", self.name, *args]
        return subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def publish(self, product, event_type, payload):
        event = {
            "id": "evt_" + secrets.token_hex(10),
            "event_type": event_type,
            "source_product": product,
            "org_id": self.name,
            "payload": payload,
            "published_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(event, file)
            file.flush()
            self.local("publish", "-file", file.name)

    def call(self, method, path, body=None):
        """Returns the status and the body of an answer."""
        request = urllib.request.Request(self.api + path, method=method)
        request.add_header("Authorization", "Bearer " + self.token)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)

    def must(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        if status >= 300:
            sys.exit(f"{method} {path}: {status} {answer}")
        return answer


def eventually(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.1)


def populate(tenant):
    """Gives the organization an agent and runs that wait for an approval."""
    tenant.publish("hub", "org.created", {"plan": "growth"})
    eventually("the organization is known", lambda: tenant.call("GET", "/api/agents")[0] == 200)
    agent = tenant.must("POST", "/api/agents", AGENT)
    tenant.must("PUT", "/api/agents/" + agent["id"], {"status": "active"})
    for n in range(RUNS):
        tenant.publish("psa", "ticket.escalated", {"ticket_id": f"tkt_{n}", "escalated_to": "p1"})
    eventually("the runs wait", lambda: len(tenant.must("GET", "/api/approvals?status=pending")["approvals"]) == RUNS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", default=os.environ.get("LOCAL_OUTPUTS") or ".local/outputs.json")
    parser.add_argument("--examples", type=int, default=10, help="of each operation and phase, at most")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    asked = parser.parse_args()

    file = pathlib.Path(asked.outputs).resolve()
    if not file.is_file():
        sys.exit(f"{file} is not there: start the system with make run")
    tenant = Tenant(json.loads(file.read_text()), file.parent)
    populate(tenant)

    print(f"schemathesis: seed {asked.seed}, {asked.examples} examples, {tenant.name}", flush=True)
    command = [
        str(pathlib.Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(HERE / "schemathesis.toml"),
        "run", tenant.api + "/api/openapi.json",
        "--url", tenant.api,
        "--seed", str(asked.seed),
        "--max-examples", str(asked.examples),
        # Below what an organization may ask locally in a minute, 6,000.
        "--rate-limit", "5400/m",
        "--continue-on-failure",
        "--no-color",
    ]  # fmt: skip
    env = dict(os.environ, HOSTILE_TOKEN=tenant.token)
    with tempfile.TemporaryDirectory() as scratch:  # it leaves files where it runs
        sys.exit(subprocess.run(command, env=env, cwd=scratch).returncode)


if __name__ == "__main__":
    main()
