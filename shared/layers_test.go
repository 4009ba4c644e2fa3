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

// layers lists every package of shared, in the order of an event's life. A package
// may import only packages of layers above its own. A new package needs an entry
// here.
var layers = [][]string{
	{"fault", "id", "jsonvalue", "retry", "clock", "lru"}, // used everywhere
	{"input", "span", "correlation"},                      // fields of documents; spans; common fields of log lines
	{"caller", "event", "credit", "render"},               // callers, events, prices, templates of texts
	{"audit"},                                             // acts of people and keys
	{"tenant", "client", "catalog", "key", "limit", "quota", "outbox", "journal"}, // organizations and their rights; event types and actions; own events; received events

	{"condition"},                       // filters and conditions on events
	{"definition"},                      // trigger and steps of an agent
	{"agent"},                           // agents: status, versions, statistics
	{"template"},                        // ready-made agents
	{"machine", "activity", "approval"}, // messages of the state machines; refusals; decisions of people
	{"execution", "job"},                // one run; one task for an organization
	{"step", "story"},                   // one step of a run; a run in sentences
	{"dispatch", "runner", "sweep", "hold", "alert", "canary", "erase", "tally"}, // start, continue and repair runs; e-mail owners; probe; erase organizations; sum statistics
	{"explain"}, // what became of an event
	{"meter"},   // request units
	{"dynamo", "memory", "stepfn", "lambdafn", "queue", "bus"}, // outside: stores and AWS
	{"rehearsal"}, // test runs: the services over memory, effects held back
	{"backtest"},  // the journal played to other agents
	{"session", "httpapi", "console", "docs"}, // outside: people
	{"httpcall", "callkey"},                   // outside: causes of failed HTTP calls, keys of calls
	{"model", "product", "notify", "otlp"},    // outside: models, products, messages, traces
	{"gateway", "boot", "stream"},             // entry points of functions
	{"wire"},                                  // the dependencies of each function
	{"storetest", "simulation", "releases"},   // tests only
}

// forTests are packages that the tests of any layer may import: the memory store,
// and the test suite of every store.
var forTests = []string{"memory", "storetest"}

// behind lists the exceptions: test files that may import one package of a later
// layer.
var behind = map[string]string{
	"shared/httpapi/whole_test.go": "gateway", // API Gateway's requests pass through the whole API
	"shared/client/client_test.go": "catalog", // the events are those of the products
}

// outside is the index of the first layer that may use the network, files and AWS.
const outside = 14

// world are import prefixes for the layers from outside on.
var world = []string{"net", "os", "log", "database/sql", "github.com/aws"}

// toolkit are import prefixes for infra only: no Lambda function may contain them.
var toolkit = []string{"github.com/aws/aws-cdk-go", "github.com/aws/jsii-runtime-go", "github.com/aws/constructs-go"}

// contracts are the packages that infra may import, for names that it shares with
// the functions.
var contracts = []string{"events", "shared/boot", "shared/console", "shared/machine", "shared/dynamo/schema"}

func TestAPackageImportsOnlyEarlierLayers(t *testing.T) {
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
				t.Errorf("%s: shared/%s has no entry in layers", file, name)
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
// It parses the files itself, not with the go command, so that the test cache tracks
// them.
func eachImport(t *testing.T, root string, f func(file, from, to string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir // tools and state
		}
		if d != nil && d.Name() == "node_modules" {
			return filepath.SkipDir // a folder, or the link that make makes
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
		f(rel, from, module+from) // for files without imports
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
