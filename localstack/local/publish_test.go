package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAFileBecomesAnEvent(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 9, 14, 23, 1, 5, time.UTC)
	then := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	payload := []byte(`{"ticket_id": "tkt_1"}`)
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
			envelope{Type: "ticket.created", Product: "psa", Org: "org_demo", Client: "c", Payload: []byte(`{"client_id": "c"}`), Published: now.Truncate(time.Second)},
		},
		"its own id is none of an event": {
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
			if test.want.ID == "" { // made new each time
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
