package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheTemplateIsAsReviewed shows the effect of a change on AWS in its
// review. UPDATE=1 go test ./infra rewrites the file.
func TestTheTemplateIsAsReviewed(t *testing.T) {
	golden := filepath.Join("testdata", "template.json")
	hash := regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	got := hash.ReplaceAllString(inProduction(t).withoutHashes(), "<asset>") + "\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the template changed; UPDATE=1 accepts the change (-want +got):\n%s", diff)
	}
}
