#!/bin/sh
# step.sh TEXT COMMAND…: runs a command, prints a dot for every two seconds, and
# shows the command's output only when it fails. It writes to standard error, so
# that the standard output of a make target has only its own text. With flock,
# one step at a time runs in a checkout.
exec >&2
if command -v flock >/dev/null && mkdir -p .local && exec 9>.local/step.lock && ! flock -n 9; then
	echo "Another make builds in this folder: waiting for it."
	flock 9
fi
text=$1
shift
said=$(mktemp)
trap 'rm -f "$said"' EXIT
trap 'kill "$pid" 2>/dev/null; echo " interrupted"; exit 130' INT TERM
began=$(date +%s)
printf '%s ' "$text"
"$@" >"$said" 2>&1 </dev/null 9>&- &
pid=$!
ticks=0
while kill -0 "$pid" 2>/dev/null; do
	sleep 0.1
	ticks=$((ticks + 1))
	[ $((ticks % 20)) -ne 0 ] || printf .
done
if wait "$pid"; then
	printf ' %s s\n' $(($(date +%s) - began))
else
	code=$?
	printf ' failed\n'
	cat "$said"
	exit "$code"
fi
