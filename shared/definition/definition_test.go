package definition_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// loaded returns the real catalogue.
var loaded = sync.OnceValues(func() (catalog.Catalog, error) { return catalog.Load(events.Files) })

// rules returns rules with the real catalogue.
func rules(t testing.TB) definition.Rules {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return definition.Rules{Catalog: c}
}

// read returns the definition in testdata/<name>.json as a document.
func read(t testing.TB, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return object(t, string(data))
}

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	doc, err := jsonvalue.Object([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc
}

func value(t testing.TB, text string) any {
	t.Helper()
	v, err := jsonvalue.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// edit returns v with the JSON text at a dotted path. An empty text removes the
// value, and an index of the array's length appends.
func edit(t testing.TB, v any, path, text string) any {
	t.Helper()
	first, rest, deeper := strings.Cut(path, ".")
	switch v := v.(type) {
	case map[string]any:
		switch {
		case deeper:
			v[first] = edit(t, v[first], rest, text)
		case text == "":
			delete(v, first)
		default:
			v[first] = value(t, text)
		}
		return v
	case []any:
		i, err := strconv.Atoi(first)
		if err != nil || i > len(v) {
			t.Fatalf("%s is no index of %d values", first, len(v))
		}
		switch {
		case deeper:
			v[i] = edit(t, v[i], rest, text)
		case i == len(v):
			v = append(v, value(t, text))
		case text == "":
			v = append(v[:i], v[i+1:]...)
		default:
			v[i] = value(t, text)
		}
		return v
	}
	t.Fatalf("no value at %s", path)
	return nil
}

// faults returns the faults of a definition, as "path: message".
func faults(err error) []string {
	var out []string
	for _, d := range fault.From(err).Details {
		out = append(out, d.Path+": "+d.Message)
	}
	return out
}

// parse parses a definition that must be valid.
func parse(t testing.TB, doc map[string]any) definition.Definition {
	t.Helper()
	d, err := rules(t).Parse(doc)
	if err != nil {
		t.Fatalf("%v:\n%s", err, strings.Join(faults(err), "\n"))
	}
	return d
}

// text returns the JSON of v.
func text(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
