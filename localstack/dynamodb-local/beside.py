"""Runs a command with DynamoDB Local, which counts capacity units as AWS does.

    beside.py COMMAND…

The command gets its address in AWS_ENDPOINT_URL_DYNAMODB. It listens on a free
port and keeps all data in memory. When Java or Maven is missing, the command is
skipped with a message; in CI that is a failure.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
JARS = pathlib.Path(".local/dynamodb-local")
LOG = JARS / "log"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def main(command: list) -> int:
    missing = [name for name in ("java", "mvn") if not shutil.which(name)]
    if missing:
        print(f"skipped: {' and '.join(missing)} not found; install Java 17 and Maven to run this.")
        return 1 if os.environ.get("CI") == "true" else 0
    install()
    port = free_port()
    server = subprocess.Popen(
        ["java", "-cp", f"{JARS}/*", "software.amazon.dynamodb.services.local.main.ServerRunner",
         "-disableTelemetry", "-inMemory", "-sharedDb", "-port", str(port)],
        stdout=LOG.open("wb"), stderr=subprocess.STDOUT,
    )
    try:
        await_port(server, port)
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "INTEGRATION": "must",
        }
        return subprocess.run(command, env=env, check=False).returncode
    finally:
        server.terminate()
        server.wait()


def install() -> None:
    """Fetches the jars, unless the jars of this pom are installed."""
    pom, mark = HERE / "pom.xml", JARS / "pom.xml"
    if mark.exists() and mark.read_bytes() == pom.read_bytes():
        return
    print("Fetching DynamoDB Local …", flush=True)
    shutil.rmtree(JARS, ignore_errors=True)
    subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", pom, PLUGIN, f"-DoutputDirectory={JARS.resolve()}"], check=True)
    shutil.copy(pom, mark)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(server: subprocess.Popen, port: int) -> None:
    """Waits until the server listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"DynamoDB Local did not start (it needs Java 17 or newer); see {LOG}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
