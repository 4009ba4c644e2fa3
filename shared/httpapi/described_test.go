package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	files "theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/render"
)

// An inspection walks an OpenAPI document and collects the missing parts that a
// reader or a generator needs.
type inspection struct {
	document map[string]any
	missing  []string
}

// gaps returns the missing parts of a document: descriptions, the items of
// arrays, the properties of objects, examples.
func gaps(document map[string]any) []string {
	w := &inspection{document: document}
	for _, tag := range listAt(document["tags"]) {
		w.described("tag "+fmt.Sprint(objectAt(tag)["name"]), objectAt(tag))
	}
	components := objectAt(document["components"])
	for name, s := range objectAt(components["schemas"]) {
		w.described(name, objectAt(s))
		w.schema(name, objectAt(s))
	}
	for _, kind := range []string{"parameters", "headers", "responses", "securitySchemes"} {
		for name, v := range objectAt(components[kind]) {
			w.described(kind+" "+name, objectAt(v))
			w.schema(kind+" "+name, objectAt(objectAt(v)["schema"]))
			w.content(kind+" "+name, objectAt(v))
		}
	}
	for p, item := range objectAt(document["paths"]) {
		for method, o := range objectAt(item) {
			if method != "parameters" {
				w.operation(strings.ToUpper(method)+" "+p, objectAt(o))
			}
		}
		for _, parameter := range listAt(objectAt(item)["parameters"]) {
			w.described(p+" parameter", w.follow(objectAt(parameter)))
		}
	}
	slices.Sort(w.missing)
	return w.missing
}

func (w *inspection) operation(at string, o map[string]any) {
	w.described(at, o)
	for _, parameter := range listAt(o["parameters"]) {
		p := w.follow(objectAt(parameter))
		w.described(fmt.Sprintf("%s parameter %v", at, p["name"]), p)
		w.schema(fmt.Sprintf("%s parameter %v", at, p["name"]), objectAt(p["schema"]))
	}
	w.content(at+" request", objectAt(o["requestBody"]))
	for status, r := range objectAt(o["responses"]) {
		response := w.follow(objectAt(r))
		w.described(at+" "+status, response)
		w.content(at+" "+status, response)
	}
}

// content inspects the bodies of a request or a response.
func (w *inspection) content(at string, holder map[string]any) {
	for media, v := range objectAt(holder["content"]) {
		w.schema(at+" "+media, objectAt(objectAt(v)["schema"]))
		if _, one := objectAt(v)["example"]; !one && len(objectAt(objectAt(v)["examples"])) == 0 {
			w.miss("%s %s has no example", at, media)
		}
	}
}

func (w *inspection) schema(at string, s map[string]any) {
	if len(s) == 0 {
		return // no schema, or one that allows any value
	}
	types := wordsAt(s["type"])
	_, hasItems := s["items"]
	_, hasProperties := s["properties"]
	_, hasOthers := s["additionalProperties"]
	if slices.Contains(types, "array") && !hasItems {
		w.miss("%s is an array without items", at)
	}
	if slices.Contains(types, "object") && !hasProperties && !hasOthers {
		w.miss("%s is an object without properties or additionalProperties", at)
	}
	for name, p := range objectAt(s["properties"]) {
		w.described(at+"."+name, objectAt(p))
		if _, own := objectAt(p)["default"]; own { // generators make such a property required in requests
			w.miss("%s.%s has a default: give it a schema with a name", at, name)
		}
		w.schema(at+"."+name, objectAt(p))
	}
	w.schema(at+"[]", objectAt(s["items"]))
	w.schema(at+".*", objectAt(s["additionalProperties"]))
	for _, group := range []string{"oneOf", "anyOf", "allOf"} {
		for i, alternative := range listAt(s[group]) {
			w.schema(fmt.Sprintf("%s %s %d", at, group, i), objectAt(alternative))
		}
	}
}

// described reports a node when neither it nor the target of its reference has a
// description.
func (w *inspection) described(at string, node map[string]any) {
	for range 3 {
		if text, _ := node["description"].(string); strings.TrimSpace(text) != "" {
			return
		}
		if node["$ref"] == nil {
			break
		}
		node = w.follow(node)
	}
	w.miss("%s has no description", at)
}

// follow returns the target of a reference, or the node itself.
func (w *inspection) follow(node map[string]any) map[string]any {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	kind := path.Base(path.Dir(ref))
	return objectAt(objectAt(objectAt(w.document["components"])[kind])[path.Base(ref)])
}

func (w *inspection) miss(format string, args ...any) {
	w.missing = append(w.missing, fmt.Sprintf(format, args...))
}

func objectAt(v any) map[string]any { m, _ := v.(map[string]any); return m }
func listAt(v any) []any            { l, _ := v.([]any); return l }

// wordsAt returns the texts of a list, or a single text as a list.
func wordsAt(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	out := []string{}
	for _, x := range listAt(v) {
		s, _ := x.(string)
		out = append(out, s)
	}
	return out
}

// served returns the served document.
func served(t *testing.T) map[string]any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(openAPI, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

func TestTheDocumentIsFullyDescribed(t *testing.T) {
	t.Parallel()

	for _, gap := range gaps(served(t)) {
		t.Error(gap)
	}
}

func TestGapsFindsEveryGap(t *testing.T) {
	t.Parallel()

	schema := func(text string) string {
		return `{"components": {"schemas": {"A": ` + text + `}}}`
	}
	operation := func(text string) string { return `{"paths": {"/a": {"get": ` + text + `}}}` }
	for name, tc := range map[string]struct{ document, want string }{
		"a schema without description":   {schema(`{"type": "string"}`), "A has no description"},
		"an empty description":           {schema(`{"type": "string", "description": " "}`), "A has no description"},
		"a property without description": {schema(`{"description": "A.", "properties": {"b": {"type": "string"}}}`), "A.b has no description"},
		"a property of a property": {
			schema(`{"description": "A.", "properties": {"b": {"description": "B.", "properties": {"c": {}}}}}`), "A.b.c has no description",
		},
		"a property of the items": {
			schema(`{"description": "A.", "type": "array", "items": {"properties": {"c": {}}}}`), "A[].c has no description",
		},
		"a property of an alternative": {
			schema(`{"description": "A.", "oneOf": [{"properties": {"c": {}}}]}`), "A oneOf 0.c has no description",
		},
		"a default of a property": {
			schema(`{"description": "A.", "properties": {"b": {"description": "B.", "default": 1}}}`), "A.b has a default: give it a schema with a name",
		},
		"an array without items":        {schema(`{"description": "A.", "type": ["array", "null"]}`), "A is an array without items"},
		"an object without properties":  {schema(`{"description": "A.", "type": "object"}`), "A is an object without properties or additionalProperties"},
		"an operation without a text":   {operation(`{}`), "GET /a has no description"},
		"a parameter without a text":    {operation(`{"description": "A.", "parameters": [{"name": "b"}]}`), "GET /a parameter b has no description"},
		"a tag without a text":          {`{"tags": [{"name": "a"}]}`, "tag a has no description"},
		"a request without an example":  {operation(`{"description": "A.", "requestBody": {"content": {"b": {}}}}`), "GET /a request b has no example"},
		"a response without an example": {operation(`{"description": "A.", "responses": {"200": {"description": "B.", "content": {"b": {}}}}}`), "GET /a 200 b has no example"},
		"a reference without a target":  {operation(`{"description": "A.", "responses": {"200": {"$ref": "#/components/responses/B"}}}`), "GET /a 200 has no description"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var document map[string]any
			if err := json.Unmarshal([]byte(tc.document), &document); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tc.want}, gaps(document)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheDocumentNamesTheCallersThatTheRoutesAccept calls every route as every kind
// of caller, and compares the document's security, x-roles and x-key-access with
// the callers that were admitted.
func TestTheDocumentNamesTheCallersThatTheRoutesAccept(t *testing.T) {
	t.Parallel()

	type offer struct{ Schemes, Roles, Accesses []string }
	w := newFixture(t)
	document := served(t)
	called := map[string]bool{}
	for _, rt := range w.routes {
		called[rt.pattern] = true
		method, p, _ := strings.Cut(rt.pattern, " ")
		admits := func(who string) bool {
			got := w.do(t, call{as: who, what: method + " " + missing(p), body: valid[rt.pattern]}).status
			return got != http.StatusForbidden && got != http.StatusUnauthorized
		}
		want := offer{Schemes: []string{}, Roles: []string{}, Accesses: []string{}}
		if !admits("") {
			for _, role := range []caller.Role{caller.Owner, caller.Admin, caller.Member, caller.Viewer} {
				if admits(string(role) + "@org_a") {
					want.Roles = append(want.Roles, string(role))
				}
			}
			for _, access := range []caller.Access{caller.Read, caller.ReadWrite} {
				if admits(string(access)) {
					want.Accesses = append(want.Accesses, string(access))
				}
			}
			want.Schemes = []string{"sessionCookie", "sessionBearer"}
			if len(want.Accesses) > 0 {
				want.Schemes = append(want.Schemes, "integrationKey")
			}
		}
		operation := objectAt(objectAt(objectAt(document["paths"])[p])[strings.ToLower(method)])
		security, own := operation["security"]
		if !own {
			security = document["security"]
		}
		got := offer{Schemes: []string{}, Roles: wordsAt(operation["x-roles"]), Accesses: wordsAt(operation["x-key-access"])}
		for _, alternative := range listAt(security) {
			got.Schemes = slices.AppendSeq(got.Schemes, maps.Keys(objectAt(alternative)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-accepted +offered):\n%s", rt.pattern, diff)
		}
	}
	for p, item := range objectAt(document["paths"]) {
		for method := range objectAt(item) {
			if pattern := strings.ToUpper(method) + " " + p; method != "parameters" && !called[pattern] {
				t.Errorf("the document has %s, and no route answers it", pattern)
			}
		}
	}
}

// TestTheTablesOfTheDocumentAreComplete compares the lists in descriptions with
// the code.
func TestTheTablesOfTheDocumentAreComplete(t *testing.T) {
	t.Parallel()

	document := served(t)
	schemas := objectAt(objectAt(document["components"])["schemas"])
	text := func(schema, property string) string {
		node := objectAt(schemas[schema])
		if property != "" {
			node = objectAt(objectAt(node["properties"])[property])
		}
		s, _ := node["description"].(string)
		return s
	}
	all, err := catalog.Load(files.Files)
	if err != nil {
		t.Fatal(err)
	}
	failed, ok := all.Event("agents:execution.failed")
	code, known := failed.Field("code")
	if !ok || !known {
		t.Fatal("the event of a failed execution has no code")
	}
	for name, tc := range map[string]struct {
		text  string
		words []string
	}{
		"operators":               {text("Operator", ""), texts(condition.Operators())},
		"outcomes":                {text("Outcome", ""), texts(definition.Outcomes())},
		"reasons of cancellation": {text("ExecutionDetail", "status_reason"), texts(execution.Reasons())},
		"codes of failures":       {text("Failure", "code"), code.EnumValues},
		"kinds of step":           {text("StepType", ""), texts(definition.Kinds())},
		"filters":                 {text("Step", ""), each(render.Filters(), func(f render.Filter) string { return f.Name })},
	} {
		for _, word := range tc.words {
			if !strings.Contains(tc.text, "`"+word+"`") {
				t.Errorf("%s: %q is not explained", name, word)
			}
		}
	}
	info, _ := objectAt(document["info"])["description"].(string)
	for _, f := range render.Filters() {
		if row := filterRow(f); !strings.Contains(info, row) {
			t.Errorf("the table of filters does not have the row\n%s", row)
		}
	}
}

// TestTheExamplesContainTheSamplesOfTheReference compares the document's examples
// with the published samples. An example has the fields of its sample, and more.
func TestTheExamplesContainTheSamplesOfTheReference(t *testing.T) {
	t.Parallel()

	components := objectAt(served(t)["components"])
	example := func(name string) any { return objectAt(objectAt(components["examples"])[name])["value"] }
	missing := objectAt(objectAt(components["responses"])["NotFound"])
	errors := objectAt(objectAt(objectAt(missing["content"])["application/json"])["examples"])
	for sample, got := range map[string]any{
		"agents":          example("AgentList"),
		"create_agent":    example("AgentInput"),
		"executions":      example("ExecutionList"),
		"execution":       example("ExecutionCompleted"),
		"approvals":       example("ApprovalList"),
		"templates":       example("TemplateList"),
		"events":          example("EventList"),
		"credits":         example("Credits"),
		"credits_history": example("CreditHistory"),
		"error":           objectAt(errors["agent_not_found"])["value"],
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "reference", sample+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		for _, at := range differences(sample, got, want) {
			t.Errorf("the example differs from the sample at %s", at)
		}
	}
}

// differences returns the paths at which got differs from want. Additional fields
// of got are no difference.
func differences(at string, got, want any) []string {
	var all []string
	switch want := want.(type) {
	case map[string]any:
		for name, v := range want {
			all = append(all, differences(at+"."+name, objectAt(got)[name], v)...)
		}
		return all
	case []any:
		found := listAt(got)
		if len(found) < len(want) {
			return []string{at}
		}
		for i, v := range want {
			all = append(all, differences(fmt.Sprintf("%s[%d]", at, i), found[i], v)...)
		}
		return all
	}
	if got != want {
		return []string{at}
	}
	return nil
}

// filterRow returns the row of a filter in the document's table of filters.
func filterRow(f render.Filter) string {
	cell := strings.NewReplacer("|", `\|`, "\n", "↵").Replace
	does := strings.NewReplacer("<br />", "`<br />`", "& < >", "`& < >`").Replace(cell(f.Does))
	return fmt.Sprintf("| `%s` | %s | `%s` | `%s` |", cell(f.Usage()), does, cell(f.Example), cell(f.Shows))
}
