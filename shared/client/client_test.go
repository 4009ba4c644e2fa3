package client_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

var now = time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)

// said returns an event of a product about client cli_1, published now.
func said(name string, payload map[string]any) event.Event {
	product, kind, _ := strings.Cut(name, ":")
	return event.Event{ID: "evt_1", Product: product, Type: kind, Org: "org_a", Client: "cli_1", Payload: payload, Published: now}
}

func TestAnEventIsAFactAboutItsClient(t *testing.T) {
	t.Parallel()

	device, ticket := map[string]any{"device_id": "d"}, map[string]any{"ticket_id": "t"}
	score := func(v any) map[string]any { return map[string]any{"security_posture_score": v} }
	longest := strings.Repeat("ö", 128)
	for name, tc := range map[string]struct {
		event event.Event
		want  client.Fact // without a kind if the event has no fact
	}{
		"a score":                   {said("defend:posture.updated", score(int64(72))), client.Fact{Kind: client.Posture, At: now, Event: "evt_1", Score: int64(72)}},
		"a score with a fraction":   {said("defend:posture.updated", score(jsonvalue.Number("72.5"))), client.Fact{Kind: client.Posture, At: now, Event: "evt_1", Score: jsonvalue.Number("72.5")}},
		"a score in words":          {said("defend:posture.updated", score("72")), client.Fact{}},
		"a score of null":           {said("defend:posture.updated", score(nil)), client.Fact{}},
		"no score":                  {said("defend:posture.updated", nil), client.Fact{}},
		"an added device":           {said("rmm:device.added", device), client.Fact{Kind: client.Device, Name: "d", At: now}},
		"a removed device":          {said("rmm:device.removed", device), client.Fact{Kind: client.Device, Name: "d", At: now, Ended: true}},
		"a device without a name":   {said("rmm:device.added", ticket), client.Fact{}},
		"a device with no name":     {said("rmm:device.added", map[string]any{"device_id": ""}), client.Fact{}},
		"a device with a number":    {said("rmm:device.added", map[string]any{"device_id": int64(7)}), client.Fact{}},
		"a device with a long name": {said("rmm:device.added", map[string]any{"device_id": longest}), client.Fact{Kind: client.Device, Name: longest, At: now}},
		"a device with a longer":    {said("rmm:device.added", map[string]any{"device_id": longest + "x"}), client.Fact{}},
		"a ticket":                  {said("psa:ticket.created", ticket), client.Fact{Kind: client.Ticket, Name: "t", At: now}},
		"a ticket that is resolved": {said("psa:ticket.resolved", ticket), client.Fact{Kind: client.Ticket, Name: "t", At: now, Ended: true}},
		"a ticket in a list":        {said("psa:ticket.created", map[string]any{"ticket_id": []any{"t"}}), client.Fact{}},
		"another event of a ticket": {said("psa:ticket.escalated", ticket), client.Fact{}},
		"another product's ticket":  {said("crm:ticket.created", ticket), client.Fact{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, ok := client.FactOf(tc.event)
			if diff := cmp.Diff(tc.want, got); diff != "" || ok != (tc.want.Kind != "") {
				t.Errorf("ok = %t (-want +got)\n%s", ok, diff)
			}
			nobody := tc.event
			nobody.Client = ""
			if f, ok := client.FactOf(nobody); ok {
				t.Errorf("without a client it is %+v", f)
			}
		})
	}
}

// The catalogue and this package must agree on events and fields.
func TestEverySampleThatIsKeptIsAFact(t *testing.T) {
	t.Parallel()

	c, err := catalog.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, e := range c.Events() {
		f, ok := client.FactOf(said(e.Product+":"+e.Type, e.Sample))
		if ok != client.Projects(e.Product+":"+e.Type) {
			t.Errorf("%s:%s: %+v, %t", e.Product, e.Type, f, ok)
		}
		if ok {
			kept++
		}
	}
	if kept != 5 {
		t.Errorf("%d events are kept, want 5", kept)
	}
}

func TestAProfileIsMadeOfFacts(t *testing.T) {
	t.Parallel()

	ticket := func(n int, age time.Duration) client.Fact {
		return client.Fact{Kind: client.Ticket, Name: strconv.Itoa(n), At: now.Add(-age)}
	}
	device := func(name string, gone bool) client.Fact {
		return client.Fact{Kind: client.Device, Name: name, Ended: gone}
	}
	doc := func(incidents int64, devices ...any) map[string]any {
		if devices == nil {
			devices = []any{}
		}
		return map[string]any{
			"recent_incidents": incidents,
			"device_inventory": map[string]any{"count": int64(len(devices)), "devices": devices},
		}
	}
	scored := doc(0)
	scored["security_posture_score"] = jsonvalue.Number("71.5")
	for name, tc := range map[string]struct {
		facts []client.Fact
		want  map[string]any
	}{
		"an unknown client":         {nil, nil},
		"a score":                   {[]client.Fact{{Kind: client.Posture, Score: jsonvalue.Number("71.5")}}, scored},
		"devices":                   {[]client.Fact{device("c", false), device("a", false), device("b", true)}, doc(0, "a", "c")},
		"only a removed device":     {[]client.Fact{device("b", true)}, doc(0)},
		"tickets":                   {[]client.Fact{ticket(1, 0), ticket(2, client.Recent-1), ticket(3, client.Recent)}, doc(2)},
		"a ticket by another clock": {[]client.Fact{ticket(1, -time.Hour)}, doc(1)},
		"only old tickets":          {[]client.Fact{ticket(1, client.Recent)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if diff := cmp.Diff(tc.want, client.ProfileOf(tc.facts, now).Document()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}

	t.Run("more devices than are listed", func(t *testing.T) {
		t.Parallel()

		var facts []client.Fact
		for n := range client.MaxDevices + 1 {
			facts = append(facts, device(fmt.Sprintf("%04d", client.MaxDevices-n), false))
		}
		inventory, _ := client.ProfileOf(facts, now).Document()["device_inventory"].(map[string]any)
		devices, _ := inventory["devices"].([]any)
		if inventory["count"] != int64(client.MaxDevices+1) || len(devices) != client.MaxDevices || devices[0] != "0000" {
			t.Errorf("count = %v, %d are listed", inventory["count"], len(devices))
		}
	})
}

func TestOnlyATicketExpiresAndNotBeforeItStopsCounting(t *testing.T) {
	t.Parallel()

	for kind, want := range map[client.Kind]time.Time{client.Posture: {}, client.Device: {}, client.Ticket: now.Add(31 * 24 * time.Hour)} {
		if got := (client.Fact{Kind: kind, At: now}).Expires(); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}

// broken is a store that fails.
type broken struct{}

var errDown = errors.New("down")

func (broken) SaveFact(context.Context, id.Org, id.Client, client.Fact) error { return errDown }

func (broken) Facts(context.Context, id.Org, id.Client) ([]client.Fact, error) { return nil, errDown }

func TestAFailingStoreIsAnErrorAndNotAnEmptyProfile(t *testing.T) {
	t.Parallel()

	s := client.Service{Store: broken{}, Now: func() time.Time { return now }}
	if _, err := s.Profile(t.Context(), "org_a", "cli_1"); !errors.Is(err, errDown) {
		t.Errorf("err = %v", err)
	}
	if err := s.Project(t.Context(), said("rmm:device.added", map[string]any{"device_id": "d"})); !errors.Is(err, errDown) {
		t.Errorf("err = %v", err)
	}
	if err := s.Project(t.Context(), said("rmm:device.added", nil)); err != nil {
		t.Errorf("an event without a fact: err = %v", err)
	}
}
