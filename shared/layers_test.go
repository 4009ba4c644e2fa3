package shared_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "theoneagents.app/agents/"

// layers lists every folder of shared, earliest in the life of an event first. A
// package imports only from layers above its own. To add a package, put its name
// where it stands.
var layers = [][]string{
	{"fault", "id", "jsonvalue", "retry", "clock"}, // words of every room
	{"input"},                               // reads the fields of documents from outside
	{"caller", "event", "credit", "render"}, // who asks, what happened, what it costs, what is said
	{"tenant", "client", "catalog", "key", "limit", "outbox"}, // the org and its rights; products' events and actions; events of ours
	{"condition"},                            // what must hold of an event
	{"definition"},                           // what to do
	{"agent"},                                // who does it: status, versions, statistics
	{"template"},                             // ready-made agents
	{"machine", "activity", "approval"},      // what machines and people are told of a run
	{"execution"},                            // one run
	{"step"},                                 // one step of a run
	{"dispatch", "runner", "sweep", "alert"}, // begin, move on and repair runs; tell owners
	{"meter"},                                // request units
	{"dynamo", "memory", "stepfn", "queue", "bus"}, // the outside: stores and AWS
	{"session", "httpapi"},                         // the outside: people
	{"httpcall"},                                   // the outside: causes of failed HTTP calls
	{"model", "product", "notify"},                 // the outside: models, products, messages
	{"gateway", "boot"},                            // plug a function in
	{"wire"},                                       // the dependencies of each function
	{"storetest", "simulation"},                    // tests only
}

// forTests are packages that the tests of any layer may import: the store that
// needs no AWS, and the promises of every store.
var forTests = []string{"memory", "storetest"}

// behind names the later room that a test puts its own room behind, on purpose.
var behind = map[string]string{
	"shared/httpapi/whole_test.go": "gateway", // API Gateway's requests pass through the whole API
	"shared/client/client_test.go": "catalog", // the events are those of the products
}

// outside is the first layer that may touch the world.
const outside = 12

// world are import prefixes that no layer before outside may use.
var world = []string{"net", "os", "log", "database/sql", "github.com/aws"}

// toolkit are import prefixes for infra alone: they must never reach a Lambda.
var toolkit = []string{"github.com/aws/aws-cdk-go", "github.com/aws/jsii-runtime-go", "github.com/aws/constructs-go"}

// contracts are the packages whose names infra shares with the programs.
var contracts = []string{"events", "shared/boot", "shared/machine", "shared/dynamo/schema"}

func TestImportsPointUpstream(t *testing.T) {
	t.Parallel()

	rank := map[string]int{}
	for n, names := range layers {
		for _, name := range names {
			rank[name] = n
		}
	}
	eachImport(t, "..", func(file, from, to string) {
		part, name := split(from)
		toPart, toName := split(strings.TrimPrefix(to, module))
		inside := strings.HasPrefix(to, module)
		switch {
		case part == "infra":
			if inside && toPart != part && !slices.Contains(contracts, strings.TrimPrefix(to, module)) {
				t.Errorf("%s: infra imports %s, which is not a contract", file, to)
			}
		case slices.ContainsFunc(toolkit, under(to)):
			t.Errorf("%s: imports %s; only infra may", file, to)
		case inside && toPart != part && (toPart == "functions" || toPart == "infra"):
			t.Errorf("%s: imports %s; nothing imports a program", file, to)
		case part == "shared" && name != "":
			mine, known := rank[name]
			if !known {
				t.Errorf("%s: shared/%s is not on the map; say in layers what it is for", file, name)
				return
			}
			test := strings.HasSuffix(file, "_test.go")
			allowed := test && (slices.Contains(forTests, toName) || behind[file] == toName)
			if inside && toPart == "shared" && toName != name && rank[toName] >= mine && !allowed {
				t.Errorf("%s: shared/%s imports shared/%s, which comes after it", file, name, toName)
			}
			if mine < outside && !test && slices.ContainsFunc(world, under(to)) {
				t.Errorf("%s: shared/%s imports %s; that belongs further out", file, name, to)
			}
		}
	})
}

// eachImport calls f for every import of every Go file below root, tests included.
// It parses files rather than asking the go command, so that the test cache
// knows what was read.
func eachImport(t *testing.T, root string, f func(file, from, to string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir // tools and state, not ours
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		src, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		from := filepath.ToSlash(filepath.Dir(rel))
		f(rel, from, module+from) // so that a file without imports is seen too
		for _, spec := range src.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f(rel, from, to)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// split returns the first two elements of a slash-separated path.
func split(path string) (first, second string) {
	first, rest, _ := strings.Cut(path, "/")
	second, _, _ = strings.Cut(rest, "/")
	return first, second
}

func under(imp string) func(string) bool {
	return func(prefix string) bool { return imp == prefix || strings.HasPrefix(imp, prefix+"/") }
}
