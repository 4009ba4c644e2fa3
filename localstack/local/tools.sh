#!/bin/sh
# tools.sh: checks the required tools, the permissions and the free space. It
# prints a sentence with the remedy for each problem.
missing=0

# complain SENTENCE
complain() {
	echo "$1"
	missing=1
}

# need NAME MAJOR.MINOR FOUND: FOUND is empty when the tool is not installed.
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
need Node 20.19 "$(node --version 2>/dev/null | sed 's/^v//')"
need Python 3.11 "$("${PYTHON:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
command -v npm >/dev/null || complain "npm is missing: install it (it comes with Node, or as a package of its own)."
if command -v "${PYTHON:-python3}" >/dev/null && ! "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null; then
	complain "Python's venv is missing: install it (on Debian and Ubuntu the package python3-venv)."
fi

# A folder of another user may be read-only.
for folder in . .local dist; do
	[ ! -e "$folder" ] || [ -w "$folder" ] ||
		complain "This user may not write to $(cd "$folder" && pwd), which belongs to $(stat -c %U "$folder" 2>/dev/null || stat -f %Su "$folder"): work as that user, or let that user remove it."
done

# The tools take about 1 GB, the programs and data about 300 MB.
need_mb=1500
[ -e .local/tools/installed ] && need_mb=300
free_mb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
if [ "${free_mb:-$need_mb}" -lt "$need_mb" ]; then
	complain "Only $free_mb MB are free in $(pwd): make room for $need_mb MB."
fi

# An environment whose Python was removed or replaced is installed again.
if [ -e .local/venv/installed ] && ! .local/venv/bin/python -c 'import hypercorn' 2>/dev/null; then
	rm -f .local/venv/installed
fi
exit $missing
