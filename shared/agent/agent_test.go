package agent_test

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// read returns an example of package definition as a document.
func read(t testing.TB, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "definition", "testdata", name+".json"))
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

// faults returns the faults of a definition, as "path: message".
func faults(err error) []string {
	var out []string
	for _, d := range fault.From(err).Details {
		out = append(out, d.Path+": "+d.Message)
	}
	return out
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
