package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
)

// dist has a folder of dummy programs for each architecture: synthesis only reads
// their headers.
var dist = map[string]string{}

func TestMain(m *testing.M) {
	os.Exit(withDist(m.Run))
}

func withDist(run func() int) int {
	defer jsii.Close()
	for architecture, p := range processors() {
		dir, err := os.MkdirTemp("", "dist")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		for _, f := range plan() {
			if err := os.MkdirAll(filepath.Join(dir, f.name), 0o750); err != nil {
				panic(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f.name, "bootstrap"), program(p.machine), 0o600); err != nil {
				panic(err)
			}
		}
		dist[architecture] = dir
	}
	return run()
}

// program returns the header of a program for Linux, which is all that a check reads.
func program(machine elf.Machine) []byte {
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var out bytes.Buffer
	if err := binary.Write(&out, binary.LittleEndian, header); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// catalogue has two products with events, one with actions only, the hub and
// the platform itself.
func catalogue() fstest.MapFS {
	return fstest.MapFS{
		"agents/credits.low.json":       {},
		"canary/probe.sent.json":        {},
		"psa/ticket.created.json":       {},
		"psa/ticket.resolved.json":      {},
		"psa/actions/add_note.json":     {},
		"defend/alert.fired.json":       {},
		"chat/actions/post.json":        {},
		"hub/org.created.json":          {},
		"hub/subscription.changed.json": {},
	}
}

// A template is the CloudFormation template.
type template struct {
	raw       []byte
	Resources map[string]resource
	Outputs   map[string]any
}

type resource struct {
	Type           string
	DeletionPolicy string

	UpdateReplacePolicy string
	UpdatePolicy        map[string]any
	DependsOn           any
	Properties          map[string]any
}

// production is the template without further context. Synthesis takes a second,
// so the tests share it.
var production = sync.OnceValues(func() (template, error) { return synthesize(nil) })

// made has a function that makes the template, for each context as JSON.
var made sync.Map

// synthesize returns the template for a context that extends that of cdk.json. Tests with
// the same context share it, and none changes it.
func synthesize(context map[string]any) (template, error) {
	key, err := json.Marshal(context)
	if err != nil {
		return template{}, err
	}
	once, _ := made.LoadOrStore(string(key), sync.OnceValues(func() (template, error) { return synthesizeFor(context, catalogue()) }))
	return once.(func() (template, error))() //nolint:errcheck,forcetypeassert // nothing else is there.
}

// synthesizeFor is synthesize for another catalogue.
func synthesizeFor(context map[string]any, catalogue fs.FS) (template, error) {
	var file struct{ Context map[string]any }
	raw, err := os.ReadFile("../cdk.json")
	if err != nil {
		return template{}, err
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return template{}, err
	}
	maps.Copy(file.Context, map[string]any{"dist": dist[arm64]})
	if context["architecture"] == x8664 {
		file.Context["dist"] = dist[x8664]
	}
	maps.Copy(file.Context, context)
	app := awscdk.NewApp(&awscdk.AppProps{Context: &file.Context})
	s, err := readStage(func(key string) any { return app.Node().TryGetContext(jsii.String(key)) }, defaultRegion)
	if err != nil {
		return template{}, err
	}
	stack, err := newStack(app, s, catalogue)
	if err != nil {
		return template{}, err
	}
	var t template
	t.raw, err = json.MarshalIndent(assertions.Template_FromStack(stack, nil).ToJSON(), "", " ")
	if err != nil {
		return template{}, err
	}
	return t, json.Unmarshal(t.raw, &t)
}

func inProduction(t *testing.T) template {
	t.Helper()
	tmpl, err := production()
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// of returns the resources of a type by logical id.
func (t template) of(kind string) map[string]resource {
	out := map[string]resource{}
	for id, r := range t.Resources {
		if r.Type == kind {
			out[id] = r
		}
	}
	return out
}

// named returns the resource of a type whose property is name, and its logical
// id.
func (t template) named(tt *testing.T, kind, property, name string) (string, resource) {
	tt.Helper()
	for id, r := range t.of(kind) {
		if r.Properties[property] == name {
			return id, r
		}
	}
	tt.Fatalf("no %s with %s %q", kind, property, name)
	return "", resource{}
}

// dig follows a path of keys; a missing one gives nil.
func dig(v any, path ...string) any {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// each returns the elements of a list. CloudFormation may replace a list of one
// by its element.
func each(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// withoutHashes returns the template without the hashes of the functions' properties in
// the names of their versions.
func (t template) withoutHashes() string {
	return regexp.MustCompile(`(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}`).ReplaceAllString(string(t.raw), "$1")
}

// behind returns the function behind an alias, and any other resource itself.
func (t template) behind(id string) resource {
	r := t.Resources[id]
	if r.Type == "AWS::Lambda::Alias" {
		return t.Resources[fmt.Sprint(dig(r.Properties, "FunctionName", "Ref"))]
	}
	return r
}

func number(t *testing.T, v any) float64 {
	t.Helper()
	n, ok := v.(float64)
	if !ok {
		t.Fatalf("%v is not a number", v)
	}
	return n
}

// dump returns a value as text, references included.
func dump(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// A statement is one statement of a role's inline policies.
type statement struct {
	roles     string // JSON of the roles that have it
	actions   []string
	resources string // JSON
	raw       map[string]any
}

func (t template) statements(tt *testing.T) []statement {
	tt.Helper()
	var out []statement
	for _, policy := range t.of("AWS::IAM::Policy") {
		for _, s := range each(dig(policy.Properties, "PolicyDocument", "Statement")) {
			raw, ok := s.(map[string]any)
			if !ok {
				tt.Fatalf("unexpected statement %v", s)
			}
			one := statement{roles: dump(policy.Properties["Roles"]), resources: dump(raw["Resource"]), raw: raw}
			for _, action := range each(raw["Action"]) {
				name, ok := action.(string)
				if !ok {
					tt.Fatalf("unexpected action %v", action)
				}
				one.actions = append(one.actions, name)
			}
			out = append(out, one)
		}
	}
	return out
}

// actionsOf returns the permitted actions of a function's role, except logging.
func (t template) actionsOf(tt *testing.T, function string) []string {
	tt.Helper()
	var out []string
	for _, s := range t.statements(tt) {
		if strings.Contains(s.roles, `"Function`+function+`ServiceRole`) {
			out = append(out, s.actions...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
