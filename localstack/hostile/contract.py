"""Checks with schemathesis that the deployed API keeps its OpenAPI document.

    contract.py [--outputs .local/outputs.json] [--examples 10] [--short] [--seed 1]

It calls every operation of /api/openapi.json with valid and invalid requests, and
walks from operation to operation along the document's links. The requests are
divided into shares (see SHARES). Each share has an organization of its own with an
agent, runs and open approvals to read and change. The same seed generates the same
requests.
"""

import argparse
import concurrent.futures
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
PATIENCE = 60  # seconds until a condition must hold
RUNS = 6  # that wait for an approval; the requests end some of them
WALKS = 5  # per example

# The rate limit holds per organization, and nine in ten requests go to the
# operations that take a definition. So these operations have shares of their own,
# which run in parallel. Each operation is in one share, except that CreateAgent is
# in two, with valid and with invalid bodies. The share "update" sends If-Match: *,
# since with a generated ETag the API answers 412 before it reads the body. Walks
# need all operations.
QUESTIONS = ["--phases", "examples,coverage,fuzzing"]
CHANGES = ["CloneTemplate", "CloneAgent", "UpdateAgent"]
SHARES = {
    "right": [*QUESTIONS, "--include-operation-id=CreateAgent", "--mode=positive"],
    "wrong": [*QUESTIONS, "--include-operation-id=CreateAgent", "--mode=negative"],
    "update": [*QUESTIONS, *(f"--include-operation-id={o}" for o in CHANGES), "--header=If-Match: *"],
    "others": [*QUESTIONS, *(f"--exclude-operation-id={o}" for o in ("CreateAgent", *CHANGES))],
    "walks": ["--phases", "stateful"],
}

# --short leaves out the coverage cases of updates: 3,780 definitions like those
# of CreateAgent.
SHORT = {"update": ["--phases", "examples,fuzzing"]}

AGENT = {
    "name": "Asks first",
    "category": "service_desk",
    "trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated", "filters": []},
    "steps": [{"id": "ask", "type": "approval_gate", "message": "May I?"}],
}


class Tenant:
    """An organization with its owner's session."""

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


def eventually(condition, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"not within {PATIENCE} s: {condition}")
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


class Share:
    """A run of schemathesis on a share of the requests."""

    def __init__(self, name, tenant, asked):
        self.name = name
        self.log = tenant.state / "logs" / f"contract-{name}.log"
        self.scratch = tempfile.TemporaryDirectory()  # schemathesis leaves files in its working directory
        self.report = pathlib.Path(self.scratch.name, "report.json")
        examples = asked.examples * (WALKS if name == "walks" else 1)
        command = [
            str(pathlib.Path(sys.executable).with_name("schemathesis")),
            "--config-file", str(HERE / "schemathesis.toml"),
            "run", tenant.api + "/api/openapi.json",
            "--url", tenant.api,
            "--seed", str(asked.seed),
            "--max-examples", str(examples),
            # Below the local rate limit of an organization, 6,000 a minute.
            "--rate-limit", "5400/m",
            "--continue-on-failure",
            "--no-color",
            "--header", "Authorization: Bearer " + tenant.token,
            "--report", "json", "--report-json-path", str(self.report),
            *SHARES[name],
            *(SHORT.get(name, []) if asked.short else []),
        ]  # fmt: skip
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=self.scratch.name, stdout=log, stderr=log)

    def ended(self):
        """Waits for the end, prints the result and returns whether it passed."""
        code = self.process.wait()
        report = json.loads(self.report.read_text()) if self.report.is_file() else {}
        cases = report.get("test_cases", {}).get("generated", 0)
        seconds = report.get("running_time", 0)
        self.scratch.cleanup()
        well = code == 0 and cases > 0
        if not well:
            print(self.log.read_text())
        print(f"{self.name:8}{cases:6} cases {seconds:5.0f} s  {'passed' if well else 'FAILED'}, see {self.log}", flush=True)
        return well


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", default=os.environ.get("LOCAL_OUTPUTS") or ".local/outputs.json")
    parser.add_argument("--examples", type=int, default=10, help=f"maximum per operation and phase; {WALKS} walks per example")
    parser.add_argument("--short", action="store_true", help="leave out most cases of UpdateAgent, since CreateAgent takes the same definitions")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    asked = parser.parse_args()

    file = pathlib.Path(asked.outputs).resolve()
    if not file.is_file():
        sys.exit(f"{file} does not exist: start the system with make run")
    outputs = json.loads(file.read_text())
    print(f"schemathesis: seed {asked.seed}, {asked.examples} examples", flush=True)
    tenants = {name: Tenant(outputs, file.parent) for name in SHARES}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(populate, tenants.values()))
    shares = [Share(name, tenant, asked) for name, tenant in tenants.items()]
    try:
        well = [share.ended() for share in shares]
    finally:
        for share in shares:
            share.process.kill()
    sys.exit(not all(well))


if __name__ == "__main__":
    main()
