package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/outbox"
)

func day() time.Time { return time.Date(2026, 3, 9, 14, 23, 1, 987654321, time.UTC) }

func failed(exec id.Execution) outbox.Notice {
	return outbox.Notice{
		Type: outbox.ExecutionFailed, Org: "org_acme", Client: "cli_1", Agent: "agent_a", AgentName: "Ann's agent",
		Execution: exec, Step: "act", Event: "evt_1", Code: "product_error", Message: "A product refused.",
		At: day(), Key: string(exec), Cause: exec, Depth: 3,
	}
}

func TestAnEventHasTheContentOfItsNotice(t *testing.T) {
	t.Parallel()
	got := outbox.EventOf(failed("exec_1"))
	want := event.Event{
		ID: got.ID, Type: "execution.failed", Product: "agents", Org: "org_acme", Client: "cli_1",
		Published: day().Truncate(time.Second),
		Metadata:  &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_1", Depth: 3}},
		Payload: map[string]any{
			"agent_id": "agent_a", "agent_name": "Ann's agent", "execution_id": "exec_1", "step_id": "act",
			"code": "product_error", "message": "A product refused.", "client_id": "cli_1", "event_id": "evt_1",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !id.Valid("evt_", string(got.ID)) || got.Name() != "agents:execution.failed" {
		t.Errorf("%s %s", got.Name(), got.ID)
	}
}

func TestFieldsThatDoNotApplyAreNull(t *testing.T) {
	t.Parallel()
	got := outbox.EventOf(outbox.Notice{
		Type: outbox.CreditsLow, Org: "org_acme", Code: "credits_low", Message: "m", At: day(), Key: "80",
		More: map[string]any{"threshold_percent": int64(80)},
	})
	want := map[string]any{
		"agent_id": nil, "agent_name": nil, "execution_id": nil, "step_id": nil, "client_id": nil, "event_id": nil,
		"code": "credits_low", "message": "m", "threshold_percent": int64(80),
	}
	if diff := cmp.Diff(want, got.Payload); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !got.AgentTriggered() || got.Depth() != 1 {
		t.Errorf("depth %d", got.Depth())
	}
}

func TestTheIDOfAnEventIdentifiesItsNotice(t *testing.T) {
	t.Parallel()
	base := failed("exec_1")
	ids := map[id.Event]string{outbox.EventOf(base).ID: "the notice"}
	if outbox.EventOf(base).ID != outbox.EventOf(failed("exec_1")).ID {
		t.Error("the same notice has two ids")
	}
	for name, change := range map[string]func(*outbox.Notice){
		"another key":          func(n *outbox.Notice) { n.Key = "exec_2" },
		"another type":         func(n *outbox.Notice) { n.Type = outbox.AgentError },
		"another organization": func(n *outbox.Notice) { n.Org = "org_b" },
	} {
		n := base
		change(&n)
		e := outbox.EventOf(n)
		if other, taken := ids[e.ID]; taken {
			t.Errorf("%s has the id of %s", name, other)
		}
		ids[e.ID] = name
	}
	retold := base
	retold.Message, retold.AgentName = "other words", "another name"
	if outbox.EventOf(retold).ID != outbox.EventOf(base).ID {
		t.Error("the id depends on words")
	}
}

func TestOnlyPlatformEventsNameTheFailedAgent(t *testing.T) {
	t.Parallel()
	e := outbox.EventOf(failed("exec_1"))
	if got := outbox.Failed(e); got != "agent_a" {
		t.Errorf("failed %q", got)
	}
	e.Product = "psa"
	if got := outbox.Failed(e); got != "" {
		t.Errorf("of another product %q", got)
	}
	if got := outbox.Failed(event.Event{Product: "agents", Payload: map[string]any{"agent_id": int64(1)}}); got != "" {
		t.Errorf("of no text %q", got)
	}
}

// A fixture is a store and a bus that can be down.
type fixture struct {
	left      []event.Event
	put       map[id.Event]int
	published map[id.Event]bool
	busDown   map[id.Event]error
	storeDown error
	reported  []error
}

func (s *fixture) Unpublished(context.Context, time.Time, int) ([]event.Event, error) {
	var left []event.Event
	for _, e := range s.left {
		if !s.published[e.ID] {
			left = append(left, e)
		}
	}
	return left, s.storeDown
}

func (s *fixture) Published(_ context.Context, _ id.Org, e id.Event) error {
	if s.put[e] == 0 {
		return fmt.Errorf("%s is marked before it was put", e)
	}
	if s.storeDown == nil {
		s.published[e] = true
	}
	return s.storeDown
}

func (s *fixture) Put(_ context.Context, e event.Event) error {
	if err := s.busDown[e.ID]; err != nil {
		return err
	}
	s.put[e.ID]++
	return nil
}

func open() (*fixture, *outbox.Service) {
	s := &fixture{put: map[id.Event]int{}, published: map[id.Event]bool{}, busDown: map[id.Event]error{}}
	for _, exec := range []id.Execution{"exec_1", "exec_2", "exec_3"} {
		s.left = append(s.left, outbox.EventOf(failed(exec)))
	}
	return s, &outbox.Service{
		Store: s, Bus: s, Now: day, Report: func(_ context.Context, err error) { s.reported = append(s.reported, err) },
	}
}

func TestTheSweeperPublishesEventsThatTheWriterCouldNot(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	s, service := open()
	s.busDown[s.left[1].ID] = down
	service.Publish(t.Context(), s.left)
	if len(s.put) != 2 || len(s.published) != 2 || len(s.reported) != 1 || !errors.Is(s.reported[0], down) {
		t.Errorf("put %v, published %v, reported %v", s.put, s.published, s.reported)
	}
	if n, err := service.Sweep(t.Context()); n != 0 || !errors.Is(err, down) {
		t.Errorf("while the bus is down: %d, %v", n, err)
	}
	delete(s.busDown, s.left[1].ID)
	if n, err := service.Sweep(t.Context()); n != 1 || err != nil || len(s.published) != 3 {
		t.Errorf("then: %d, %v, published %v", n, err, s.published)
	}
	if n, err := service.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("when nothing is left: %d, %v", n, err)
	}
}

func TestAnEventThatCannotBePublishedDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	s, service := open()
	s.busDown[s.left[0].ID] = errors.New("refused")
	if n, err := service.Sweep(t.Context()); n != 2 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAnEventThatCannotBeMarkedIsPublishedAgainUnderItsID(t *testing.T) {
	t.Parallel()
	s, service := open()
	s.storeDown = errors.New("the table is down")
	service.Publish(t.Context(), s.left[:1])
	s.storeDown = nil
	if n, err := service.Sweep(t.Context()); n != 3 || err != nil || s.put[s.left[0].ID] != 2 {
		t.Errorf("%d, %v, put %v", n, err, s.put)
	}
}

func TestAnOutboxThatCannotBeReadIsAFailure(t *testing.T) {
	t.Parallel()
	s, service := open()
	s.storeDown = errors.New("the table is down")
	if _, err := service.Sweep(t.Context()); !errors.Is(err, s.storeDown) {
		t.Errorf("err = %v", err)
	}
}
