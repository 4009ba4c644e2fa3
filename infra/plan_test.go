package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// pages are the paths of the document that belong to no group: the function of
// every other path answers them.
var pages = []string{"/api/openapi.json", "/docs", "/.well-known/jwks.json"}

func TestEveryPathOfTheDocumentHasAFunctionAndTheOtherWayRound(t *testing.T) {
	data, err := os.ReadFile("../shared/httpapi/openapi.gen.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(data, &document); err != nil || len(document.Paths) == 0 {
		t.Fatalf("%d paths, %v", len(document.Paths), err)
	}
	owners := map[string][]string{}
	for _, f := range plan() {
		for _, route := range f.routes {
			owners[route] = append(owners[route], f.name)
		}
	}
	used := map[string]bool{}
	for path := range document.Paths {
		if slices.Contains(pages, path) {
			continue
		}
		route, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/"), "/")
		if used[route] = true; len(owners[route]) != 1 {
			t.Errorf("%s needs one function; the routes of plan give it %v. Add %q to the routes of one", path, owners[route], route)
		}
	}
	for route, names := range owners {
		if !used[route] {
			t.Errorf("%v answers /api/%s, which is not in the document", names, route)
		}
	}
	for _, page := range pages {
		if document.Paths[page] == nil {
			t.Errorf("the document no longer has %s", page)
		}
	}
}

func TestEveryFunctionOfThePlanIsAProgramAndTheOtherWayRound(t *testing.T) {
	entries, err := os.ReadDir("../functions")
	if err != nil {
		t.Fatal(err)
	}
	var programs, planned []string
	for _, e := range entries {
		if e.IsDir() {
			programs = append(programs, e.Name())
		}
	}
	for _, f := range plan() {
		planned = append(planned, f.name)
	}
	slices.Sort(planned)
	if !slices.Equal(programs, planned) {
		t.Errorf("functions/ has %v, the plan %v", programs, planned)
	}
}
