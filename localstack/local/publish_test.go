package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/local/cloud"
)

func TestAFileBecomesAnEvent(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 9, 14, 23, 1, 5, time.UTC)
	then := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	payload := []byte(`{"ticket_id":"tkt_1"}`)
	tests := map[string]struct {
		text, name, org string
		want            envelope
	}{
		"an entry of the catalogue gives its sample": {
			`{"description": "d", "sample_payload": {"ticket_id": "tkt_1"}}`, "psa:ticket.created", "",
			envelope{Type: "ticket.created", Product: "psa", Org: "org_demo", Payload: payload, Published: now.Truncate(time.Second)},
		},
		"a client of the sample is one of the envelope too": {
			`{"sample_payload": {"client_id": "c"}}`, "psa:ticket.created", "",
			envelope{Type: "ticket.created", Product: "psa", Org: "org_demo", Client: "c", Payload: []byte(`{"client_id":"c"}`), Published: now.Truncate(time.Second)},
		},
		"the id of a catalogue entry is not an event id": {
			`{"id": "psa:ticket.created", "source_product": "psa", "event_type": "ticket.created", "sample_payload": {"ticket_id": "tkt_1"}}`, "", "org_a",
			envelope{Type: "ticket.created", Product: "psa", Org: "org_a", Payload: payload, Published: now.Truncate(time.Second)},
		},
		"a payload alone has the name that is given": {
			`{"ticket_id": "tkt_1"}`, "psa:ticket.created", "org_a",
			envelope{Type: "ticket.created", Product: "psa", Org: "org_a", Payload: payload, Published: now.Truncate(time.Second)},
		},
		"an envelope stays as it is": {
			`{"id": "evt_1", "event_type": "ticket.created", "source_product": "psa", "org_id": "org_b", "client_id": "c",
			  "payload": {"ticket_id": "tkt_1"}, "published_at": "2025-01-01T00:00:00Z"}`, "", "",
			envelope{ID: "evt_1", Type: "ticket.created", Product: "psa", Org: "org_b", Client: "c", Payload: payload, Published: then},
		},
		"an envelope goes to the organization that is given": {
			`{"event_type": "ticket.created", "source_product": "psa", "org_id": "org_b", "payload": {"ticket_id": "tkt_1"}}`, "", "org_a",
			envelope{Type: "ticket.created", Product: "psa", Org: "org_a", Payload: payload, Published: now.Truncate(time.Second)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := readEvent([]byte(test.text), test.name, test.org, now)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got.ID, "evt_") {
				t.Errorf("id %q", got.ID)
			}
			if test.want.ID == "" { // a new id each time
				got.ID = ""
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPayloadWithoutANameIsRefused(t *testing.T) {
	t.Parallel()

	for _, text := range []string{`{"a": 1}`, `[]`, `{`, `{"payload": 1}`} {
		if e, err := readEvent([]byte(text), "", "", time.Time{}); err == nil {
			t.Errorf("%s: made %+v", text, e)
		}
	}
}

func TestAProductWithoutAPublisherRoleIsRefused(t *testing.T) {
	t.Parallel()

	o := cloud.NewOutputs("", "", cloud.Stands{}, map[string]string{
		"PublisherRolePsa": "arn:aws:iam::000000000000:role/one-agents-publish-psa",
		"PublisherRoleRmm": "arn:aws:iam::000000000000:role/one-agents-publish-rmm",
	})
	for product, want := range map[string]string{"psa": "", "agents": "the platform's own", "pas": "psa", "hub": `"hub"`} {
		err := checkPublisher(o, product)
		if (err == nil) != (want == "") || err != nil && (exitCode(t.Context(), err) != exitMisuse || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: err = %v, want %q", product, err, want)
		}
	}
}

func TestAnEventThatCouldHaveNoEffectIsRefusedAtOnce(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	tests := map[string]struct {
		text string   // of the file; empty: none is given
		args []string // besides the file
		want []string // parts of the error
	}{
		"nothing to publish":           {"", nil, []string{"EVENT=psa:ticket.created"}},
		"an unknown event":             {"", []string{"-event", "psa:tikcet.created"}, []string{`"psa:tikcet.created"`, "psa:ticket.created"}},
		"an event without its product": {"", []string{"-event", "ticket.created"}, []string{"psa:ticket.created"}},
		"a malformed organization":     {"", []string{"-event", "psa:ticket.created", "-org", "acme"}, []string{`"acme"`, "org_"}},
		"a payload of an unknown event": {
			`{"a": 1}`, []string{"-event", "psa:ticket.craeted"}, []string{"psa:ticket.created"},
		},
		"an envelope of an unknown event": {
			`{"event_type": "ticket.made", "source_product": "psa", "payload": {}}`, nil, []string{`"psa:ticket.made"`, "psa:ticket."},
		},
		"no JSON":                           {`{"a": }`, []string{"-event", "psa:ticket.created"}, []string{"JSON"}},
		"a doubled name":                    {`{"a": 1, "a": 2}`, []string{"-event", "psa:ticket.created"}, []string{"twice"}},
		"no object":                         {`[1]`, []string{"-event", "psa:ticket.created"}, []string{"object"}},
		"an envelope with a text for a map": {`{"event_type": "ticket.created", "source_product": "psa", "payload": "x"}`, nil, []string{"payload must be an object"}},
		"an envelope with a number as type": {`{"event_type": 5, "source_product": "psa", "payload": {}}`, nil, []string{"event_type must be a string"}},
		"an envelope without a type":        {`{"source_product": "psa", "payload": {}}`, nil, []string{"event_type"}},
		"an envelope with a bad id":         {`{"id": "5", "event_type": "ticket.created", "source_product": "psa", "payload": {}}`, nil, []string{"evt_"}},
		"an envelope with a bad time":       {`{"event_type": "ticket.created", "source_product": "psa", "payload": {}, "published_at": "now"}`, nil, []string{"published_at"}},
		"a too large event": {
			`{"a": "` + strings.Repeat("x", 256<<10) + `"}`, []string{"-event", "psa:ticket.created"}, []string{"262144"},
		},
		"a missing file of the catalogue":      {"", []string{"-file", "events/psa/ticket.craeted.json"}, []string{"no file", "events/psa/ticket.created.json"}},
		"a missing file outside the catalogue": {"", []string{"-file", "my.json"}, []string{"no file my.json"}},
		"a folder":                             {"", []string{"-file", dir}, []string{"directory"}},
		"an argument that is not a flag":       {"", []string{"-event", "psa:ticket.created", "x"}, []string{`unexpected argument "x"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			args := append([]string{"publish", "-state", t.TempDir()}, test.args...)
			if test.text != "" {
				file := filepath.Join(t.TempDir(), "my.json")
				if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args[:3:3], append([]string{"-file", file}, test.args...)...)
			}
			w, _ := newWorld(t)
			err := run(t.Context(), w, args)
			if exitCode(t.Context(), err) != exitMisuse {
				t.Fatalf("err = %v, want a misuse", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			for _, alien := range []string{"unmarshal", "Go ", "struct", "main."} {
				if strings.Contains(err.Error(), alien) {
					t.Errorf("%q repeats the words of a library: %q", err, alien)
				}
			}
		})
	}
}

func TestTheCatalogueNamesItsEventsByPath(t *testing.T) {
	t.Parallel()

	tests := map[string]string{
		"events/psa/ticket.created.json":        "psa:ticket.created",
		"./events/hub/org.created.json":         "hub:org.created",
		"/x/events/psa/ticket.created.json":     "psa:ticket.created",
		"events/psa/actions/create_ticket.json": "",
		"payload.json":                          "",
		"somewhere/psa/ticket.created.json":     "",
	}
	for file, want := range tests {
		if got := nameOf(file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}
