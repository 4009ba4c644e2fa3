package condition_test

import (
	"encoding/json"
	"testing"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/jsonvalue"
)

func value(t *testing.T, text string) any {
	t.Helper()
	v, err := jsonvalue.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	m, ok := value(t, text).(map[string]any)
	if !ok {
		t.Fatalf("%s is no object", text)
	}
	return m
}

// happened returns an event with the given payload.
func happened(t *testing.T, payload string) event.Event {
	t.Helper()
	return event.Event{
		ID: "evt_1", Type: "ticket.created", Product: "psa", Org: "org_a", Client: "cli_acme", Payload: object(t, payload),
		Published: time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC),
	}
}

// filtered reports whether a filter lets an event pass.
func filtered(e event.Event, f condition.Filter) bool {
	ok, _ := f.Holds(condition.Facts{Event: e})
	return ok
}

func TestAFilterComparesWithoutCoercion(t *testing.T) {
	t.Parallel()

	// found is the JSON of the payload's field x, "" if the field is absent.
	for _, tc := range []struct {
		name, operator, found, wanted string
		want                          bool
	}{
		{"equal strings", "eq", `"p1"`, `"p1"`, true},
		{"strings in another case", "eq", `"P1"`, `"p1"`, false},
		{"a string with a blank behind", "eq", `"p1 "`, `"p1"`, false},
		{"equal numbers", "eq", `5`, `5`, true},
		{"a number and the same as a fraction", "eq", `5.0`, `5`, true},
		{"large neighbours", "eq", `9007199254740993`, `9007199254740992`, false},
		{"a number and its text", "eq", `5`, `"5"`, false},
		{"a text and its number", "eq", `"5"`, `5`, false},
		{"equal booleans", "eq", `false`, `false`, true},
		{"different booleans", "eq", `true`, `false`, false},
		{"a boolean and its text", "eq", `"true"`, `true`, false},
		{"a boolean and one", "eq", `1`, `true`, false},
		{"null and null", "eq", `null`, `null`, true},
		{"null and an empty string", "eq", `null`, `""`, false},
		{"null and zero", "eq", `null`, `0`, false},
		{"missing and null", "eq", ``, `null`, false},
		{"missing and a string", "eq", ``, `"p1"`, false},
		{"an array that has it", "eq", `["p1"]`, `"p1"`, false},
		{"an object", "eq", `{"p1":1}`, `"p1"`, false},

		{"not equal strings", "ne", `"p2"`, `"p1"`, true},
		{"not equal, and it is", "ne", `"p1"`, `"p1"`, false},
		{"not equal of another type", "ne", `5`, `"5"`, true},
		{"not equal and missing", "ne", ``, `"p1"`, true},
		{"not equal and null", "ne", `null`, `"p1"`, true},
		{"not null and null", "ne", `null`, `null`, false},
		{"not null and missing", "ne", ``, `null`, true},
		{"not equal and an array", "ne", `["p1"]`, `"p1"`, true},

		{"greater", "gt", `5.1`, `5`, true},
		{"greater, and it is equal", "gt", `5`, `5`, false},
		{"greater by one of many", "gt", `9007199254740993`, `9007199254740992`, true},
		{"greater than a negative one", "gt", `0`, `-1`, true},
		{"greater of a string", "gt", `"6"`, `5`, false},
		{"greater of null", "gt", `null`, `-5`, false},
		{"greater of a boolean", "gt", `true`, `0`, false},
		{"greater of an array", "gt", `[6]`, `5`, false},
		{"greater and missing", "gt", ``, `-5`, false},
		{"greater or equal", "gte", `5`, `5.0`, true},
		{"greater or equal, and it is less", "gte", `4.999`, `5`, false},
		{"greater or equal and missing", "gte", ``, `0`, false},
		{"less", "lt", `0.96`, `0.97`, true},
		{"less, and it is equal", "lt", `0.97`, `0.97`, false},
		{"less of a string", "lt", `"4"`, `5`, false},
		{"less of null", "lt", `null`, `5`, false},
		{"less and missing", "lt", ``, `5`, false},
		{"less or equal", "lte", `5`, `5`, true},
		{"less or equal, and it is greater", "lte", `5.0001`, `5`, false},
		{"less or equal and missing", "lte", ``, `5`, false},

		{"contains", "contains", `"the VPN is down"`, `"VPN"`, true},
		{"contains in another case", "contains", `"the vpn is down"`, `"VPN"`, false},
		{"contains the empty string", "contains", `"abc"`, `""`, true},
		{"contains the whole", "contains", `"abc"`, `"abc"`, true},
		{"contains in an array", "contains", `["VPN"]`, `"VPN"`, false},
		{"contains in a number", "contains", `155`, `"5"`, false},
		{"contains in null", "contains", `null`, `""`, false},
		{"contains and missing", "contains", ``, `""`, false},
		{"starts with", "starts_with", `"impact.x"`, `"impact"`, true},
		{"starts with, and it ends so", "starts_with", `"x.impact"`, `"impact"`, false},
		{"starts with in another case", "starts_with", `"Impact"`, `"impact"`, false},
		{"starts with in a number", "starts_with", `15`, `"1"`, false},
		{"starts with and missing", "starts_with", ``, `""`, false},
		{"ends with", "ends_with", `"jane@acme.example"`, `"@acme.example"`, true},
		{"ends with, and it is longer", "ends_with", `"a"`, `"ba"`, false},
		{"ends with in a boolean", "ends_with", `true`, `"e"`, false},
		{"ends with and missing", "ends_with", ``, `""`, false},

		{"in", "in", `"p2"`, `["p1","p2"]`, true},
		{"in, and it is not", "in", `"p3"`, `["p1","p2"]`, false},
		{"in of another type", "in", `1`, `["1",true]`, false},
		{"in with several types", "in", `true`, `["1",1,true]`, true},
		{"in as a fraction", "in", `1.0`, `[1]`, true},
		{"in with null", "in", `null`, `["p1",null]`, true},
		{"in and missing", "in", ``, `["p1",null]`, false},
		{"in of an array", "in", `["p1"]`, `["p1"]`, false},
		{"not in", "not_in", `"p3"`, `["p1","p2"]`, true},
		{"not in, and it is", "not_in", `"p1"`, `["p1","p2"]`, false},
		{"not in of another type", "not_in", `1`, `["1"]`, true},
		{"not in and missing", "not_in", ``, `["p1"]`, true},
		{"not in and null", "not_in", `null`, `["p1"]`, true},
		{"not in with null", "not_in", `null`, `[null]`, false},
		{"not in of an array", "not_in", `["p1"]`, `["p1"]`, true},

		{"exists", "exists", `"x"`, `true`, true},
		{"exists, and it is null", "exists", `null`, `true`, true},
		{"exists, and it is false", "exists", `false`, `true`, true},
		{"exists, and it is empty", "exists", `{}`, `true`, true},
		{"exists and missing", "exists", ``, `true`, false},
		{"does not exist", "exists", ``, `false`, true},
		{"does not exist, and it does", "exists", `0`, `false`, false},
		{"does not exist, and it is null", "exists", `null`, `false`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()

			payload := `{}`
			if tc.found != "" {
				payload = `{"x":` + tc.found + `}`
			}
			f := condition.Filter{Field: "x", Operator: condition.Operator(tc.operator), Value: value(t, tc.wanted)}
			if got := filtered(happened(t, payload), f); got != tc.want {
				t.Errorf("%s %s %s is %t", tc.found, tc.operator, tc.wanted, got)
			}
			// A condition gives the same answer as the filter.
			c := condition.Condition{Context: condition.InEvent, Field: "x", Operator: f.Operator, Value: f.Value}
			ok, why := c.Holds(condition.Facts{Event: happened(t, payload)})
			if ok != tc.want || ok != (why == "") {
				t.Errorf("as a condition it is %t: %q", ok, why)
			}
		})
	}
}

func TestAnUnknownOperatorNeverHolds(t *testing.T) {
	t.Parallel()

	for _, o := range []condition.Operator{"", "EQ", "like"} {
		if filtered(happened(t, `{"x":1}`), condition.Filter{Field: "x", Operator: o, Value: int64(1)}) {
			t.Errorf("%q holds", o)
		}
	}
}

func TestAFieldIsLookedUpInThePayloadAndThenInTheEnvelope(t *testing.T) {
	t.Parallel()

	e := happened(t, `{"priority":"p1","client_id":"cli_payload","device":{"tags":["a","b"]},"id":null}`)
	for field, want := range map[string]string{
		"priority": `"p1"`, "client_id": `"cli_payload"`, "device.tags.1": `"b"`, "id": `null`,
		"source_product": `"psa"`, "event_type": `"ticket.created"`, "org_id": `"org_a"`,
		"published_at": `"2026-03-09T14:23:01Z"`, "payload.priority": `"p1"`, "payload.device.tags.0": `"a"`,
	} {
		if !filtered(e, condition.Filter{Field: field, Operator: condition.Eq, Value: value(t, want)}) {
			t.Errorf("%s is not %s", field, want)
		}
	}
	delete(e.Payload, "client_id")
	if !filtered(e, condition.Filter{Field: "client_id", Operator: condition.Eq, Value: "cli_acme"}) {
		t.Error("the client of the envelope is not found")
	}
	e.Client = ""
	if !filtered(e, condition.Filter{Field: "client_id", Operator: condition.Exists, Value: false}) {
		t.Error("an absent client exists")
	}
}

func TestAConditionReadsOnlyItsContext(t *testing.T) {
	t.Parallel()

	facts := condition.Facts{
		Event:  happened(t, `{"x":"event"}`),
		Client: object(t, `{"x":"client","security_posture_score":72,"device_inventory":{"count":2,"devices":[{"id":"d"}]}}`),
		Run:    object(t, `{"x":"run","steps":{"triage":{"output":{"noise":true}}}}`),
	}
	for name, tc := range map[string]struct {
		condition string
		want      bool
	}{
		"in the event":                      {`{"context":"event","field":"x","operator":"eq","value":"event"}`, true},
		"in the event by default":           {`{"field":"x","operator":"eq","value":"event"}`, true},
		"in the client's profile":           {`{"context":"client_context","field":"x","operator":"eq","value":"client"}`, true},
		"in the run":                        {`{"context":"run","field":"x","operator":"eq","value":"run"}`, true},
		"deep in the run":                   {`{"context":"run","field":"steps.triage.output.noise","operator":"eq","value":true}`, true},
		"deep in the profile":               {`{"context":"client_context","field":"device_inventory.devices.0.id","operator":"eq","value":"d"}`, true},
		"a number of the profile":           {`{"context":"client_context","field":"security_posture_score","operator":"lt","value":80}`, true},
		"not in the envelope of the client": {`{"context":"client_context","field":"org_id","operator":"exists","value":true}`, false},
		"not in the envelope of the run":    {`{"context":"run","field":"org_id","operator":"exists","value":true}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var c condition.Condition
			if err := json.Unmarshal([]byte(tc.condition), &c); err != nil {
				t.Fatal(err)
			}
			c.Value = object(t, tc.condition)["value"] // with exact numbers
			if ok, why := c.Holds(facts); ok != tc.want {
				t.Errorf("Holds = %t: %s", ok, why)
			}
		})
	}
}
