package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An ordered is a JSON value that keeps the order of its objects' keys.
type ordered struct {
	keys   []string // of an object
	fields map[string]ordered
	items  []ordered
}

// readOrdered reads a JSON value.
func readOrdered(d *json.Decoder) (ordered, error) {
	token, err := d.Token()
	if err != nil {
		return ordered{}, err
	}
	v := ordered{fields: map[string]ordered{}}
	switch token {
	case json.Delim('{'):
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return v, err
			}
			name := fmt.Sprint(key)
			v.keys = append(v.keys, name)
			if v.fields[name], err = readOrdered(d); err != nil {
				return v, err
			}
		}
	case json.Delim('['):
		for d.More() {
			item, err := readOrdered(d)
			if err != nil {
				return v, err
			}
			v.items = append(v.items, item)
		}
	default:
		return v, nil
	}
	_, err = d.Token()
	return v, err
}

// orderOf returns a document with the order of its keys.
func orderOf(t *testing.T, text string) ordered {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	v, err := readOrdered(d)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one value: %s", text)
	}
	return v
}

// free are the fields with data, whose keys are sorted by name.
var free = []string{"payload", "sample_payload", "output", "by_agent", "params"}

// like reports where a response does not begin with the keys of a sample in the
// sample's order. Each item of a list must be like the sample's first item.
func (v ordered) like(t *testing.T, path string, sample ordered) {
	t.Helper()
	if len(sample.keys) > 0 && len(v.keys) > 0 {
		want := slices.DeleteFunc(slices.Clone(sample.keys), func(key string) bool {
			return key == "enum_values" && !slices.Contains(v.keys, key) // only enums have them
		})
		if got := v.keys[:min(len(v.keys), len(want))]; !slices.Equal(got, want) {
			t.Errorf("%s begins with the keys %v, want %v", path, got, want)
		}
	}
	v.each(path, sample, func(path string, v, sample ordered) { v.like(t, path, sample) })
}

// agrees reports where a response has keys of a sample in another order.
func (v ordered) agrees(t *testing.T, path string, sample ordered) {
	t.Helper()
	in := func(of []string) func(string) bool {
		return func(key string) bool { return !slices.Contains(of, key) }
	}
	got := slices.DeleteFunc(slices.Clone(v.keys), in(sample.keys))
	want := slices.DeleteFunc(slices.Clone(sample.keys), in(v.keys))
	if !slices.Equal(got, want) {
		t.Errorf("%s has the keys %v, want %v", path, got, want)
	}
	v.each(path, sample, func(path string, v, sample ordered) { v.agrees(t, path, sample) })
}

// each calls f for every field and item that the value and the sample both have.
func (v ordered) each(path string, sample ordered, f func(path string, v, sample ordered)) {
	for _, key := range sample.keys {
		if !slices.Contains(free, key) {
			f(path+"."+key, v.fields[key], sample.fields[key])
		}
	}
	for n, item := range v.items {
		if len(sample.items) > 0 {
			f(fmt.Sprintf("%s[%d]", path, n), item, sample.items[0])
		}
	}
}

// sample returns a sample of the published reference.
func sample(t *testing.T, name string) ordered {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "reference", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return orderOf(t, string(text))
}

func TestResponsesBeginWithTheKeysOfTheReferenceInItsOrder(t *testing.T) {
	t.Parallel()

	first := func(key string) func(ordered) ordered {
		return func(v ordered) ordered { return v.fields[key].items[0] }
	}
	whole := func(v ordered) ordered { return v }
	owner := "owner@org_a"
	for what, tc := range map[string]struct {
		call   call
		sample string
		of     func(ordered) ordered // the part of the sample that the response is like
	}{
		"the list of agents":     {call{as: owner, what: "GET /api/agents"}, "agents", whole},
		"the list of executions": {call{as: owner, what: "GET /api/executions"}, "executions", whole},
		"an execution":           {call{as: owner, what: "GET /api/executions/" + doneID}, "execution", whole},
		"a failed execution":     {call{as: owner, what: "GET /api/executions/" + failedID}, "execution", whole},
		"a cancelled execution":  {call{as: owner, what: "POST /api/executions/" + askingID + "/cancel"}, "execution", whole},
		"a retry":                {call{as: owner, what: "POST /api/executions/" + failedID + "/retry"}, "execution", whole},
		"the list of approvals":  {call{as: owner, what: "GET /api/approvals"}, "approvals", whole},
		"an approval":            {call{as: owner, what: "GET /api/approvals/" + oldID}, "approvals", first("approvals")},
		"a decision": {
			call{as: owner, what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "denied"}`},
			"approvals", first("approvals"),
		},
		"the list of templates":  {call{as: owner, what: "GET /api/templates"}, "templates", whole},
		"the catalogue":          {call{as: owner, what: "GET /api/events"}, "events", whole},
		"the month's credits":    {call{as: owner, what: "GET /api/credits"}, "credits", whole},
		"the history of credits": {call{as: owner, what: "GET /api/credits/history"}, "credits_history", whole},
		"a missing agent":        {call{as: owner, what: "GET /api/agents/agent_NONE"}, "error", whole},
		"a bad request":          {call{as: owner, what: "GET /api/agents?status=asleep"}, "error", whole},
		"no credentials":         {call{what: "GET /api/agents"}, "error", whole},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()

			orderOf(t, newFixture(t).do(t, tc.call).text).like(t, "$", tc.of(sample(t, tc.sample)))
		})
	}
}

func TestAnAgentHasTheKeysOfTheRequestAndOfTheListInTheirOrder(t *testing.T) {
	t.Parallel()

	list, request := sample(t, "agents").fields["agents"].items[0], sample(t, "create_agent")
	comparison := orderOf(t, `{"context": "", "field": "", "operator": "", "value": ""}`)
	for what, c := range map[string]call{
		"created":   {as: "owner@org_a", what: "POST /api/agents", body: exampleAgent},
		"read":      {as: "owner@org_a", what: "GET /api/agents/" + agentID},
		"updated":   {as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: `{"name": "B"}`},
		"cloned":    {as: "owner@org_a", what: "POST /api/agents/" + agentID + "/clone"},
		"a version": {as: "owner@org_a", what: "GET /api/agents/" + agentID + "/versions/1"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()

			got := orderOf(t, newFixture(t).do(t, c).text)
			got.agrees(t, "$", list)
			got.agrees(t, "$", request)
			for _, step := range got.fields["steps"].items {
				if !slices.Equal(step.keys[:2], []string{"type", "id"}) {
					t.Errorf("a step begins with %v", step.keys[:2])
				}
			}
			if keys := got.fields["conditions"].items[0].keys; !slices.Equal(keys, comparison.keys) {
				t.Errorf("a condition has the keys %v, want %v", keys, comparison.keys)
			}
		})
	}
}
