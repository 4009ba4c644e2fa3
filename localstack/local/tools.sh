#!/bin/sh
# tools.sh: says which of the tools that everything else needs are missing, and
# what to do about it, in a sentence each.
missing=0

# need NAME MAJOR.MINOR FOUND: FOUND is empty when the tool is not there.
need() {
	case $3 in
	'') echo "$1 is missing: install $1 $2 or newer." ;;
	*) at_least "$3" "$2" && return
		echo "$1 $3 is too old: install $1 $2 or newer." ;;
	esac
	missing=1
}

# at_least HAVE WANT compares two versions, major and minor.
at_least() {
	have_major=${1%%.*} have_rest=${1#*.}
	have_minor=${have_rest%%[!0-9]*}
	want_major=${2%%.*} want_minor=${2#*.}
	[ "$have_major" -gt "$want_major" ] || { [ "$have_major" -eq "$want_major" ] && [ "$have_minor" -ge "$want_minor" ]; }
}

need Go 1.26 "$(go env GOVERSION 2>/dev/null | sed 's/^go//')"
need Node 20.0 "$(node --version 2>/dev/null | sed 's/^v//')"
need Python 3.11 "$("${PYTHON:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
if ! command -v npm >/dev/null; then
	echo "npm is missing: install it (it comes with Node, or as a package of its own)."
	missing=1
fi
if ! "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null; then
	echo "Python's venv is missing: install it (on Debian and Ubuntu the package python3-venv)."
	missing=1
fi
exit $missing
