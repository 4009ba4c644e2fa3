#!/bin/sh
# step.sh TEXT COMMAND…: runs a command, prints a dot for every two seconds that
# it takes, and shows what it said only when it fails. It speaks on the standard
# error, so that the output of what is built for is clean.
exec >&2
text=$1
shift
said=$(mktemp)
trap 'rm -f "$said"' EXIT
trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
began=$(date +%s)
printf '%s ' "$text"
"$@" >"$said" 2>&1 </dev/null &
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
