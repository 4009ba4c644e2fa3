#!/bin/sh
# run.sh [STORY]: runs the stories of the console in a browser, on a local cloud of their
# own: all of them, or those whose name has the words of STORY. CHROMIUM names the browser.
# Without one they are skipped with a message; in CI that is a failure.
set -eu
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [ -z "$chromium" ]; then
	echo "skipped: no Chromium found; install it (Debian: chromium), or name one with CHROMIUM=…, to run this."
	[ "${CI:-}" != true ] && [ "${INTEGRATION:-}" != must ]
	exit
fi
node shared/console/web/build.mjs --stories .local/web/stories
export CHROMIUM="$chromium"
exec .local/bin/local with -state .local/test/console -- \
	node --test --test-concurrency=2 ${1:+--test-name-pattern="$1"} .local/web/stories/*.mjs
