package definition_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/jsonvalue"
)

func FuzzDefinition(f *testing.F) {
	for _, name := range []string{"reference", "everything"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"steps":[{"id":"a","type":"branch","cases":[{"when":{"all":[{"any":[]}]},"steps":[{"type":"wait"}]}]}]}`))
	f.Add([]byte(`{"trigger":{"filters":[{"field":"x","operator":"in","value":[[]]}]},"client_scope":{"include":[null]}}`))
	f.Add([]byte(`{"name":"\u0000","steps":[{"id":"a","type":"ai_reason","output_schema":{"$ref":"#"},"prompt":"{{ a | b }}"}]}`))
	r := rules(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := jsonvalue.Object(data)
		if err != nil {
			return
		}
		d, err := r.Parse(doc)
		if err != nil {
			if len(faults(err)) == 0 {
				t.Errorf("%q is refused without a fault: %v", data, err)
			}
			return
		}
		first, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("%q has no JSON: %v", data, err)
		}
		var stored definition.Definition
		if err := json.Unmarshal(first, &stored); err != nil {
			t.Fatalf("%s cannot be read: %v", first, err)
		}
		if err := r.Valid(stored); err != nil {
			t.Errorf("%s is not valid any more: %v", first, faults(err))
		}
		if second, err := json.Marshal(stored); err != nil || string(first) != string(second) {
			t.Errorf("%s became %s, %v", first, second, err)
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, o := range condition.Operators() {
		f.Add(string(o), []byte(`"p1"`), []byte(`["p1",1,null]`))
		f.Add(string(o), []byte(`1.0`), []byte(`1`))
		f.Add(string(o), []byte(``), []byte(`false`))
	}
	f.Fuzz(func(t *testing.T, operator string, found, wanted []byte) {
		v, err := jsonvalue.Decode(wanted)
		if err != nil {
			return
		}
		raw := ""
		if len(found) > 0 {
			w, err := jsonvalue.Decode(found)
			if err != nil {
				return
			}
			raw = jsonvalue.Canonical(w)
		}
		o := condition.Operator(operator)
		want := oracle(o, raw, jsonvalue.Canonical(v))
		if got := matches(t, o, raw, jsonvalue.Canonical(v)); got != want {
			t.Errorf("%s %s %s is %t, want %t", raw, o, jsonvalue.Canonical(v), got, want)
		}
		// For all values, ne is the opposite of eq, and not_in of in.
		if e, n := matches(t, condition.Eq, raw, jsonvalue.Canonical(v)), matches(t, condition.Ne, raw, jsonvalue.Canonical(v)); e == n {
			t.Errorf("%s eq and ne %s are both %t", raw, wanted, e)
		}
		if i, n := matches(t, condition.In, raw, jsonvalue.Canonical(v)), matches(t, condition.NotIn, raw, jsonvalue.Canonical(v)); i == n {
			t.Errorf("%s in and not_in %s are both %t", raw, wanted, i)
		}
	})
}

func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		`{"field":"a","operator":"eq","value":1}`,
		`{"all":[{"field":"a.b","operator":"exists","value":false},{"any":[{"context":"client_context","field":"score","operator":"lt","value":80}]}]}`,
		`{"context":"client_context","field":"device_inventory.devices.0.id","operator":"ne","value":null}`,
		`{"any":[{"all":[]}]}`, `{"all":null}`, `[]`, `{"field":"payload.a","operator":"in","value":[]}`,
	} {
		f.Add([]byte(seed), []byte(`{"a":{"b":[1]}}`))
	}
	r := rules(f)
	f.Fuzz(func(t *testing.T, tried, payload []byte) {
		c, err := jsonvalue.Decode(tried)
		if err != nil {
			return
		}
		p, err := jsonvalue.Object(payload)
		if err != nil {
			return
		}
		doc := read(t, "reference")
		doc["conditions"] = []any{c}
		d, err := r.Parse(doc)
		if err != nil {
			return
		}
		d.Trigger.Filters = nil
		e := event.Event{Payload: p}
		for _, client := range []map[string]any{nil, {"score": int64(72)}} {
			facts := condition.Facts{Event: e, Client: client}
			ok, why := d.Conditions[0].Holds(facts)
			if ok != (why == "") {
				t.Errorf("%s is %t, because %q", tried, ok, why)
			}
			switch outcome, _ := judged(d, facts); {
			case ok != (outcome == definition.Started):
				t.Errorf("%s is %t, and the outcome %s", tried, ok, outcome)
			case outcome == definition.NoProfile && (client != nil || !d.UsesClient()):
				t.Errorf("%s: no profile reported, though it exists or is not needed", tried)
			}
		}
	})
}
