package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

const whole = `{
	"id": "evt_01HXYZ", "event_type": "ticket.created", "source_product": "psa", "org_id": "org_a", "client_id": "cli_acme",
	"payload": {"ticket_id": 12345678901234567, "priority": "p2", "ratio": 0.97, "none": null, "tags": ["a", {"n": 9007199254740993}]},
	"metadata": {"agent_triggered": true, "causation": {"execution_id": "exec_1", "depth": 2}},
	"published_at": "2026-03-09T14:23:01Z"
}`

// with returns the whole envelope with one field replaced, or removed for "".
func with(t *testing.T, field, value string) []byte {
	t.Helper()
	var doc map[string]json.RawMessage
	if err := json.Unmarshal([]byte(whole), &doc); err != nil {
		t.Fatal(err)
	}
	if value == "" {
		delete(doc, field)
	} else {
		doc[field] = json.RawMessage(value)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAWholeEnvelopeIsReadExactly(t *testing.T) {
	t.Parallel()

	got, err := event.Parse("psa", "ticket.created", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{
		ID: "evt_01HXYZ", Type: "ticket.created", Product: "psa", Org: "org_a", Client: "cli_acme",
		Payload: map[string]any{
			"ticket_id": int64(12345678901234567), "priority": "p2", "ratio": jsonvalue.Number("0.97"), "none": nil,
			"tags": []any{"a", map[string]any{"n": int64(9007199254740993)}},
		},
		Metadata:  &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_1", Depth: 2}},
		Published: time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse -want +got:\n%s", diff)
	}
	if got.Name() != "psa:ticket.created" {
		t.Errorf("Name = %q", got.Name())
	}
}

func TestOptionalAndUnknownFieldsAreAccepted(t *testing.T) {
	t.Parallel()

	for name, detail := range map[string][]byte{
		"no client":                            with(t, "client_id", ""),
		"no metadata":                          with(t, "metadata", ""),
		"empty metadata":                       with(t, "metadata", `{}`),
		"metadata of other kinds":              with(t, "metadata", `{"trace_id": "x", "agent_triggered": false}`),
		"no client, said as null":              with(t, "client_id", `null`),
		"no metadata, said as null":            with(t, "metadata", `null`),
		"half a surrogate pair":                with(t, "payload", `{"subject": "VPN \ud83d"}`),
		"an identifier of thirty digits":       with(t, "payload", `{"id": 123456789012345678901234567890}`),
		"a payload that nests sixty-four deep": with(t, "payload", strings.Repeat(`{"a":`, 64)+"1"+strings.Repeat("}", 64)),
		"an empty payload":                     with(t, "payload", `{}`),
		"an unknown field":                     with(t, "schema_version", `3`),
		"a client in the style of a number":    with(t, "client_id", `"4711"`),
		"a time with an offset":                with(t, "published_at", `"2026-03-09T15:23:01+01:00"`),
		"a time with fractions":                with(t, "published_at", `"2026-03-09T14:23:01.123456789Z"`),
		"an id of sixty-four letters":          with(t, "id", `"evt_`+strings.Repeat("a", 64)+`"`),
		"a large payload":                      with(t, "payload", `{"text": "`+strings.Repeat("x", 255<<10)+`"}`),
		"blanks around it":                     []byte("\n " + whole + "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if _, err := event.Parse("psa", "ticket.created", detail); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAMalformedEnvelopeIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		detail []byte
		want   string
	}{
		"nothing":                                {nil, "it is empty"},
		"half of it":                             {[]byte(whole[:100]), "it ends too early"},
		"two of them":                            {[]byte(whole + whole), "more than one value"},
		"an array":                               {[]byte("[" + whole + "]"), "it is an array, not an object"},
		"a string":                               {[]byte(`"psa"`), "it is a string, not an object"},
		"null":                                   {[]byte(`null`), "it is null, not an object"},
		"an empty object":                        {[]byte(`{}`), "payload must be an object"},
		"one name twice":                         {[]byte(`{"id":"evt_1",` + whole[1:]), `it has the name "id" twice`},
		"one name twice in the payload":          {with(t, "payload", `{"a":1,"a":2}`), `it has the name "a" twice, at /payload/a`},
		"a name in another case":                 {[]byte(strings.Replace(whole, `"org_id"`, `"Org_ID"`, 1)), "org_id must be org_"},
		"no id":                                  {with(t, "id", ""), "id must be evt_"},
		"an id of another kind":                  {with(t, "id", `"exec_1"`), "id must be evt_"},
		"an id that is empty":                    {with(t, "id", `""`), "id must be evt_"},
		"an id that is the prefix alone":         {with(t, "id", `"evt_"`), "id must be evt_"},
		"an id with a separator of keys":         {with(t, "id", `"evt_a#b"`), "id must be evt_"},
		"an id that is too long":                 {with(t, "id", `"evt_`+strings.Repeat("a", 65)+`"`), "id must be evt_"},
		"an id that is a number":                 {with(t, "id", `5`), "id must be a string, not a number"},
		"no event type":                          {with(t, "event_type", ""), "event_type must be like"},
		"an event type in capitals":              {with(t, "event_type", `"Ticket.Created"`), "event_type must be like"},
		"an event type that ends in a dot":       {with(t, "event_type", `"ticket."`), "event_type must be like"},
		"an event type with two dots":            {with(t, "event_type", `"ticket..created"`), "event_type must be like"},
		"an event type that is too long":         {with(t, "event_type", `"`+strings.Repeat("a", 101)+`"`), "event_type must be like"},
		"an event type that is an array":         {with(t, "event_type", `["ticket.created"]`), "event_type must be a string, not an array"},
		"no product":                             {with(t, "source_product", ""), "source_product must be like"},
		"a product with a colon":                 {with(t, "source_product", `"psa:x"`), "source_product must be like"},
		"a product that is too long":             {with(t, "source_product", `"`+strings.Repeat("a", 41)+`"`), "source_product must be like"},
		"no organization":                        {with(t, "org_id", ""), "org_id must be org_"},
		"the system organization":                {with(t, "org_id", `"system"`), "org_id must be org_"},
		"an organization that begins a key":      {with(t, "org_id", `"org_a#AGENT"`), "org_id must be org_"},
		"an organization that is an object":      {with(t, "org_id", `{}`), "org_id must be a string, not an object"},
		"a client that is a number":              {with(t, "client_id", `5`), "client_id must be a string, not a number"},
		"a client with a blank":                  {with(t, "client_id", `"cli acme"`), "client_id must be"},
		"a client with a separator of keys":      {with(t, "client_id", `"cli#acme"`), "client_id must be"},
		"a client that is too long":              {with(t, "client_id", `"`+strings.Repeat("c", 129)+`"`), "client_id must be"},
		"no payload":                             {with(t, "payload", ""), "payload must be an object"},
		"a payload that is null":                 {with(t, "payload", `null`), "payload must be an object"},
		"a payload that is an array":             {with(t, "payload", `[]`), "payload must be an object, not an array"},
		"a payload that is a string":             {with(t, "payload", `"{}"`), "payload must be an object, not a string"},
		"a payload that nests too deep":          {with(t, "payload", strings.Repeat(`{"a":`, 65)+"1"+strings.Repeat("}", 65)), "nests deeper"},
		"a number in the payload that is none":   {with(t, "payload", `{"n": 1e999}`), "too large"},
		"metadata that is a string":              {with(t, "metadata", `"x"`), "metadata must be an object, not a string"},
		"agent_triggered that is a string":       {with(t, "metadata", `{"agent_triggered": "true"}`), "metadata.agent_triggered must be a boolean, not a string"},
		"agent_triggered that is a number":       {with(t, "metadata", `{"agent_triggered": 1}`), "metadata.agent_triggered must be a boolean, not a number"},
		"a causation that is a string":           {with(t, "metadata", `{"causation": "exec_1"}`), "metadata.causation must be an object, not a string"},
		"a depth that is a string":               {with(t, "metadata", `{"causation": {"depth": "5"}}`), "metadata.causation.depth must be a whole number, not a string"},
		"a depth that is a fraction":             {with(t, "metadata", `{"causation": {"depth": 1.5}}`), "metadata.causation.depth must be a whole number"},
		"no time":                                {with(t, "published_at", ""), "published_at must be a time"},
		"a time that is the zero of the program": {with(t, "published_at", `"0001-01-01T00:00:00Z"`), "published_at must be a time"},
		"a time that is a number":                {with(t, "published_at", `1773066181`), "published_at must be a string, not a number"},
		"a time without a zone":                  {with(t, "published_at", `"2026-03-09T14:23:01"`), "published_at must be a time like"},
		"a day that does not exist":              {with(t, "published_at", `"2026-02-30T14:23:01Z"`), "published_at must be a time like"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := event.Parse("psa", "ticket.created", tc.detail)
			if !errors.Is(err, event.ErrMalformed) {
				t.Fatalf("err = %v, want ErrMalformed", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v; want one that says %q", err, tc.want)
			}
		})
	}
}

func TestAllFaultsOfAnEnvelopeAreNamed(t *testing.T) {
	t.Parallel()

	_, err := event.Parse("psa", "ticket.created", []byte(`{"client_id": "#"}`))
	for _, field := range []string{"id", "event_type", "source_product", "org_id", "client_id", "payload", "published_at"} {
		if err == nil || !strings.Contains(err.Error(), field+" must") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
}

func TestAnEnvelopeMustAgreeWithTheBus(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ source, detailType string }{
		"another source":              {"rmm", "ticket.created"},
		"another detail-type":         {"psa", "ticket.updated"},
		"no source":                   {"", "ticket.created"},
		"no detail-type":              {"psa", ""},
		"the source in capitals":      {"PSA", "ticket.created"},
		"the qualified name as type":  {"psa", "psa:ticket.created"},
		"the two the other way round": {"ticket.created", "psa"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if _, err := event.Parse(tc.source, tc.detailType, []byte(whole)); !errors.Is(err, event.ErrMismatch) {
				t.Errorf("err = %v, want ErrMismatch", err)
			}
		})
	}
}

func TestAnEventMayBeAsLargeAsTheInputOfAMachine(t *testing.T) {
	t.Parallel()

	fill := func(size int) []byte {
		d := with(t, "payload", `{"text": ""}`)
		return []byte(strings.Replace(string(d), `"text":""`, `"text":"`+strings.Repeat("x", size-len(d))+`"`, 1))
	}
	if d := fill(event.MaxSize); len(d) != event.MaxSize {
		t.Fatalf("the test has %d bytes", len(d))
	}
	if _, err := event.Parse("psa", "ticket.created", fill(event.MaxSize)); err != nil {
		t.Errorf("%d bytes: %v", event.MaxSize, err)
	}
	_, err := event.Parse("psa", "ticket.created", fill(event.MaxSize+1))
	if !errors.Is(err, event.ErrTooLarge) || !strings.Contains(err.Error(), "262145") {
		t.Errorf("%d bytes: %v, want ErrTooLarge", event.MaxSize+1, err)
	}
	// What is too large is not read at all, so it need not be JSON.
	if _, err := event.Parse("psa", "ticket.created", []byte(strings.Repeat("x", event.MaxSize+1))); !errors.Is(err, event.ErrTooLarge) {
		t.Errorf("rubbish: %v, want ErrTooLarge", err)
	}
}

func TestTheReasonsOfTheDeadLetterQueueAreCodes(t *testing.T) {
	t.Parallel()

	for want, err := range map[string]error{
		"malformed": event.ErrMalformed, "too_large": event.ErrTooLarge, "envelope_mismatch": event.ErrMismatch,
	} {
		if got := fault.From(err).Code; got != want {
			t.Errorf("the code is %q, want %q", got, want)
		}
	}
}

func TestAnEnvelopeIsADocumentForTemplates(t *testing.T) {
	t.Parallel()

	e, err := event.Parse("psa", "ticket.created", with(t, "published_at", `"2026-03-09T15:23:01.5+01:00"`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": "evt_01HXYZ", "event_type": "ticket.created", "source_product": "psa", "org_id": "org_a", "client_id": "cli_acme",
		"payload": e.Payload, "published_at": "2026-03-09T14:23:01Z",
		"metadata": map[string]any{
			"agent_triggered": true, "causation": map[string]any{"execution_id": "exec_1", "depth": int64(2)},
		},
	}
	if diff := cmp.Diff(want, e.Document()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	e.Client, e.Metadata = "", nil
	delete(want, "client_id")
	delete(want, "metadata")
	if diff := cmp.Diff(want, e.Document()); diff != "" {
		t.Errorf("without client and metadata -want +got:\n%s", diff)
	}
}

func TestTheDepthCountsTheRunsBehindAnEvent(t *testing.T) {
	t.Parallel()

	cause := func(depth int) *event.Causation { return &event.Causation{Execution: "exec_1", Depth: depth} }
	for name, tc := range map[string]struct {
		metadata *event.Metadata
		want     int
	}{
		"no metadata":                          {nil, 0},
		"empty metadata":                       {&event.Metadata{}, 0},
		"an agent, without a causation":        {&event.Metadata{AgentTriggered: true}, 1},
		"an agent at depth 1":                  {&event.Metadata{AgentTriggered: true, Causation: cause(1)}, 1},
		"an agent at depth 5":                  {&event.Metadata{AgentTriggered: true, Causation: cause(5)}, 5},
		"an agent whose depth was lost":        {&event.Metadata{AgentTriggered: true, Causation: cause(0)}, 1},
		"an agent of a negative depth":         {&event.Metadata{AgentTriggered: true, Causation: cause(-7)}, 1},
		"a depth without the mark of an agent": {&event.Metadata{Causation: cause(3)}, 3},
		"no agent at depth 0":                  {&event.Metadata{Causation: cause(0)}, 0},
		"no agent of a negative depth":         {&event.Metadata{Causation: cause(-1)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := event.Event{Metadata: tc.metadata}
			if e.Depth() != tc.want || e.AgentTriggered() != (tc.want > 0) {
				t.Errorf("Depth = %d, AgentTriggered = %t; want depth %d", e.Depth(), e.AgentTriggered(), tc.want)
			}
		})
	}
}

func TestEventsWithEqualContentHaveTheSameDigest(t *testing.T) {
	t.Parallel()

	parse := func(detail []byte) event.Event {
		e, err := event.Parse("psa", "ticket.created", detail)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := parse([]byte(whole))
	for name, tc := range map[string]struct {
		detail []byte
		same   bool
	}{
		"another id":                       {with(t, "id", `"evt_other"`), true},
		"another time":                     {with(t, "published_at", `"2026-03-09T14:24:00Z"`), true},
		"other metadata":                   {with(t, "metadata", ""), true},
		"another client":                   {with(t, "client_id", `"cli_other"`), false},
		"no client":                        {with(t, "client_id", ""), false},
		"another payload":                  {with(t, "payload", `{"ticket_id": 12345678901234567}`), false},
		"a payload that differs by a unit": {[]byte(strings.Replace(whole, "12345678901234567", "12345678901234568", 1)), false},
		"the payload in another order": {
			with(t, "payload", `{"tags": ["a", {"n": 9007199254740993}], "none": null, "ratio": 0.97, "priority": "p2", "ticket_id": 12345678901234567}`), true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := parse(tc.detail).Content() == first.Content(); got != tc.same {
				t.Errorf("the same content: %t", got)
			}
		})
	}
	other := first
	other.Product = "crm"
	if other.Content() == first.Content() {
		t.Error("an event of another product has the same content")
	}
}

// texts returns a generator of payload values.
func payloads() *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.String(), rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Int64().AsAny(),
		rapid.MapOfN(rapid.String(), rapid.Int64().AsAny(), 0, 3).AsAny(),
		rapid.SliceOfN(rapid.String().AsAny(), 0, 3).AsAny(),
	), 0, 6)
}

func TestAnEventSurvivesItsJSON(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		want := event.Event{
			ID: "evt_1", Type: "ticket.created", Product: "psa", Org: id.Org("org_a"), Payload: payloads().Draw(t, "payload"),
			Client:    id.Client(rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "client")),
			Published: time.Unix(rapid.Int64Range(4e7, 7e9).Draw(t, "published"), 0).UTC(),
		}
		if rapid.Bool().Draw(t, "by an agent") {
			want.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{
				Execution: "exec_1", Depth: rapid.IntRange(1, 9).Draw(t, "depth"),
			}}
		}
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.Parse("psa", "ticket.created", data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s -want +got:\n%s", data, diff)
		}
		if got.Content() != want.Content() {
			t.Errorf("%s: the content has changed", data)
		}
	})
}

func TestAStoredEnvelopeIsReadWithoutValidation(t *testing.T) {
	t.Parallel()

	var got struct {
		Trigger event.Event `json:"trigger"`
	}
	if err := json.Unmarshal([]byte(`{"trigger": {"id": "x", "payload": {"n": 9007199254740993}}}`), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(event.Event{ID: "x", Payload: map[string]any{"n": int64(9007199254740993)}}, got.Trigger); diff != "" {
		t.Error(diff)
	}
	if err := json.Unmarshal([]byte(`{"trigger": {"payload": []}}`), &got); err == nil {
		t.Error("a payload that is an array was read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("psa", "ticket.created", []byte(whole))
	f.Add("psa", "ticket.created", []byte(`{"id":"evt_1","event_type":"ticket.created","source_product":"psa","org_id":"org_a","payload":{},"published_at":"2026-03-09T14:23:01Z"}`))
	f.Add("psa", "ticket.created", []byte(`{"ID":"evt_1","Event_Type":"ticket.created","payload":{"a":1},"Payload":null}`))
	f.Add("rmm", "a.b", []byte(`{"id":"evt_1","metadata":{"agent_triggered":true,"causation":null},"published_at":"9999-12-31T23:59:59Z"}`))
	f.Add("", "", []byte(`{"id":5}`))
	f.Add("", "", []byte(`null`))
	f.Fuzz(func(t *testing.T, source, detailType string, detail []byte) {
		e, err := event.Parse(source, detailType, detail)
		if err != nil {
			if !errors.Is(err, event.ErrMalformed) && !errors.Is(err, event.ErrTooLarge) && !errors.Is(err, event.ErrMismatch) {
				t.Errorf("%v is none of the faults of an event", err)
			}
			return
		}
		// An accepted event agrees with the bus and survives a round trip.
		if e.Name() != source+":"+detailType || e.Payload == nil || e.Published.IsZero() || e.Depth() < 0 {
			t.Errorf("%q was taken as %+v", detail, e)
		}
		data, err := json.Marshal(e)
		if err != nil {
			return // a year that has no JSON
		}
		again, err := event.Parse(source, detailType, data)
		if len(data) <= event.MaxSize && (err != nil || again.Content() != e.Content() || again.ID != e.ID || again.Depth() != e.Depth()) {
			t.Errorf("%q became %+v, %v", detail, again, err)
		}
	})
}

func TestTheClientIsThatOfTheEnvelopeOrElseOfThePayload(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		envelope, payload string
		want              id.Client
	}{
		"the envelope's":                {`"cli_a"`, `{}`, "cli_a"},
		"the envelope's before another": {`"cli_a"`, `{"client_id": "cli_b"}`, "cli_a"},
		"the payload's":                 {"", `{"client_id": "cli_b"}`, "cli_b"},
		"the payload's behind null":     {`null`, `{"client_id": "cli_b"}`, "cli_b"},
		"a number":                      {"", `{"client_id": 4711}`, "4711"},
		"null":                          {"", `{"client_id": null}`, ""},
		"an empty one":                  {"", `{"client_id": ""}`, ""},
		"an invalid identifier":         {"", `{"client_id": "cli b"}`, ""},
		"a prefix of another key":       {"", `{"client_id": "cli#b"}`, ""},
		"an object":                     {"", `{"client_id": {"id": "cli_b"}}`, ""},
		"none":                          {"", `{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			detail := with(t, "client_id", tc.envelope)
			var doc map[string]json.RawMessage
			if err := json.Unmarshal(detail, &doc); err != nil {
				t.Fatal(err)
			}
			doc["payload"] = json.RawMessage(tc.payload)
			detail, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			e, err := event.Parse("psa", "ticket.created", detail)
			if err != nil || e.Client != tc.want {
				t.Errorf("client %q, %v; want %q", e.Client, err, tc.want)
			}
			if v, there := e.Envelope()["client_id"]; !there || tc.want == "" && v != nil {
				t.Errorf("templates see %v, %t", v, there)
			}
		})
	}
}

func TestThePayloadIsMeasuredWithItsNumbersWrittenOut(t *testing.T) {
	t.Parallel()

	detail := with(t, "payload", `{"n": [`+strings.Repeat("1e300,", 1000)+`0]}`)
	if _, err := event.Parse("psa", "ticket.created", detail); !errors.Is(err, event.ErrTooLarge) {
		t.Errorf("err = %v, want ErrTooLarge", err)
	}
}
