"""Starts MiniStack, the local cloud, with this project's settings and patches.

    launch.py --port 4566 --state .local/emulator --mark /home/me/one-agents/.local [--keep]

It listens only on 127.0.0.1. It gives the functions an environment of their own,
without the caller's credentials, profiles and proxies. With --keep the data
outlives the process (see keep.py), otherwise it stays in memory. The health
endpoint returns the mark, which identifies the checkout of this emulator.
"""

import argparse
import gc
import os
import pathlib
import shutil
import sys

import calls

# Seconds after which a thread lets another run. Python's 5 ms would delay each call that
# comes while a function's call is prepared.
SWITCH = 0.0005

# Variables that any process needs from its parent.
INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TZ")


def environment(port: int, state: pathlib.Path, inherited: dict, keep: bool = False) -> dict:
    """Returns the environment of the emulator and its functions."""
    return {name: inherited[name] for name in INHERITED if name in inherited} | {
        # Its address and its own name in URLs.
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "localhost",
        # Without it the functions would call the real AWS.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        # It writes only below the state folder.
        "PERSIST_STATE": "1" if keep else "0",
        "STATE_DIR": str(state),
        "S3_PERSIST": "1" if keep else "0",
        "S3_DATA_DIR": str(state / "s3"),
        "TMPDIR": str(state / "tmp"),
        # Unused servers.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": inherited.get("EMULATOR_LOG", "WARNING"),
        "PYTHONUNBUFFERED": "1",
    }


def forget_assets(state: pathlib.Path) -> None:
    """Deletes the assets that CDK uploaded for earlier deployments. Functions have
    copies of their own, and CDK uploads missing assets again. Otherwise every
    deployment would occupy 80 MB of disk and memory."""
    for bucket in (state / "s3").glob("*/cdk-*-assets-*"):
        shutil.rmtree(bucket, ignore_errors=True)
        bucket.mkdir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("--mark", default="", help="identifies the checkout of this emulator")
    parser.add_argument("--keep", action="store_true", help="keep the data on disk")
    parser.add_argument("--every", type=float, default=5, help="seconds between snapshots of changing data")
    args = parser.parse_args()

    state = args.state.resolve()
    shutil.rmtree(state / "tmp", ignore_errors=True)  # left by an earlier start
    (state / "tmp").mkdir(parents=True)
    forget_assets(state)
    listening = calls.listen()
    env = environment(args.port, state, dict(os.environ), args.keep) | calls.environment(listening.getsockname()[1])
    os.environ.clear()
    os.environ.update(env)

    # MiniStack reads its settings at import, so import it after setting them.
    import patches

    sys.setswitchinterval(SWITCH)
    patches.apply_all(args.mark)
    if args.keep:
        import keep

        try:
            keep.Keeper(state, args.port, args.every).install()
        except keep.Unreadable as err:
            sys.exit(str(err))

    from ministack import app

    calls.install(app, listening)

    # The data is a large and growing heap without garbage: looking through it stopped
    # everything for up to a quarter of a second, every few seconds. What a request
    # leaves behind is young, and few milliseconds' work.
    gc.freeze()
    gc.set_threshold(5_000, 50, 1_000)
    sys.argv = ["ministack"]
    app.main()


if __name__ == "__main__":
    main()
