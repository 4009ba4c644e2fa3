package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/bus"
	"theoneagents.app/agents/shared/event"
)

type api struct {
	in  *eventbridge.PutEventsInput
	out eventbridge.PutEventsOutput
	err error
}

func (a *api) PutEvents(
	_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options),
) (*eventbridge.PutEventsOutput, error) {
	a.in = in
	return &a.out, a.err
}

func anEvent() event.Event {
	return event.Event{
		ID: "evt_1", Type: "execution.failed", Product: "agents", Org: "org_acme", Client: "cli_1",
		Payload:   map[string]any{"agent_name": "R&D <b> \u00e9 ☃", "n": int64(9007199254740993), "step_id": nil},
		Metadata:  &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_1", Depth: 2}},
		Published: time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC),
	}
}

func TestAnEventArrivesAsItWasPut(t *testing.T) {
	t.Parallel()
	a := &api{}
	if err := (bus.EventBridge{API: a, Name: "one-agents"}).Put(t.Context(), anEvent()); err != nil {
		t.Fatal(err)
	}
	entry := a.in.Entries[0]
	if len(a.in.Entries) != 1 || *entry.EventBusName != "one-agents" {
		t.Errorf("%+v", a.in)
	}
	got, err := event.Parse(*entry.Source, *entry.DetailType, []byte(*entry.Detail))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(anEvent(), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnEntryThatTheBusRefusedIsAFailure(t *testing.T) {
	t.Parallel()
	down := errors.New("no connection")
	for name, tc := range map[string]struct {
		api  api
		want string
	}{
		"a failed call":               {api{err: down}, "no connection"},
		"a refused entry":             {api{out: eventbridge.PutEventsOutput{FailedEntryCount: 1, Entries: []types.PutEventsResultEntry{{ErrorCode: aws.String("ThrottlingException"), ErrorMessage: aws.String("slow down")}}}}, "evt_1: ThrottlingException: slow down"},
		"a refused entry, no reasons": {api{out: eventbridge.PutEventsOutput{FailedEntryCount: 1}}, "refused evt_1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := (bus.EventBridge{API: &tc.api, Name: "b"}).Put(t.Context(), anEvent())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
		})
	}
}
