#!/bin/sh
# test.sh: generates a Python client and TypeScript types from the OpenAPI document
# of the system in LOCAL_OUTPUTS, type-checks a story for each, and runs the
# stories. make test-contract calls it.
set -eu
here=$(dirname "$0")
out=.local/clients
python=.local/clients-python/bin
node=.local/clients-typescript

rm -rf "$out"
mkdir -p "$out/python" "$out/typescript"
api=$(sed -n 's/^ *"api_url": *"\([^"]*\)".*/\1/p' "$LOCAL_OUTPUTS")
"$python/python" -c 'import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=30).read())' \
	"$api/api/openapi.json" >"$out/openapi.json"

python_story() {
	# A warning means that the generator left out a part of the document.
	PATH="$PWD/$python:$PATH" openapi-python-client generate --fail-on-warning --meta none \
		--path "$out/openapi.json" --output-path "$out/python/one_agents"
	# mypy checks only the story: it finds needless casts in the generated code.
	MYPYPATH="$out/python" "$python/mypy" --strict --follow-imports silent --cache-dir .local/clients-python/mypy "$here/python/story.py"
	PYTHONPATH="$out/python" "$python/python" -B "$here/python/story.py" "$LOCAL_OUTPUTS"
}

typescript_story() {
	cp "$here/typescript/package.json" "$here/typescript/tsconfig.json" "$here/typescript/story.ts" "$out/typescript"
	ln -s "$PWD/$node/node_modules" "$out/typescript/node_modules"
	"$node/node_modules/.bin/openapi-typescript" "$out/openapi.json" --output "$out/typescript/schema.ts"
	"$node/node_modules/.bin/tsc" --project "$out/typescript"
	node "$out/typescript/built/story.js" "$LOCAL_OUTPUTS"
}

python_story &
story=$!
typescript_story
wait "$story"
