package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// UPDATE=1 writes the tables into the README.
func TestTheREADMEHasTheTablesOfMakeCost(t *testing.T) {
	t.Parallel()

	const file, begin, end = "../../README.md", "<!-- make cost -->\n", "<!-- end -->\n"
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	has, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("README.md has no lines %q and %q around the tables of make cost", begin, end)
	}
	if has == out.String() {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("README.md has\n%s\nmake cost prints\n%s\nUPDATE=1 go test ./localstack/cost writes it", has, out.String())
	}
	if err := os.WriteFile(file, []byte(before+begin+out.String()+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}
