package alert_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// A fixture is the service with a mail server. Its clock is manual.
type fixture struct {
	*testing.T
	alert.Service

	mu       sync.Mutex
	now      time.Time
	mails    []step.Message
	refuse   map[string]error // by recipient
	reported []error
	acme     tenant.Tenant
}

func open(t *testing.T) *fixture {
	t.Helper()
	o := &fixture{T: t, now: time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC), refuse: map[string]error{}}
	o.acme = tenant.Tenant{Org: "org_acme", Owners: []tenant.Owner{{User: "user_ann", Email: "ann@acme.example"}}}
	o.Service = alert.Service{
		Store: memory.New(), Mail: o, Console: "https://console.example", Now: func() time.Time { return o.now },
		Report: func(_ context.Context, err error) { o.reported = append(o.reported, err) },
	}
	return o
}

// Send implements step.Sender.
func (o *fixture) Send(_ context.Context, m step.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.refuse[m.Recipient]; err != nil {
		return err
	}
	o.mails = append(o.mails, m)
	return nil
}

// failure returns the event of the nth failed run.
func (o *fixture) failure(n int) event.Event {
	return outbox.EventOf(outbox.Notice{
		Type: outbox.ExecutionFailed, Org: "org_acme", Agent: "agent_a", AgentName: "Night\nwatch", Step: "act",
		Execution: id.Execution(fmt.Sprintf("exec_%d", n)), Code: "product_error", Message: "A product refused.",
		At: o.now, Key: strconv.Itoa(n),
	})
}

func (o *fixture) tell(n int) {
	o.Helper()
	if err := o.Tell(o.Context(), o.acme, o.failure(n)); err != nil {
		o.Errorf("tell of %d: %v", n, err)
	}
}

func TestOwnersGetOneEMailAnHour(t *testing.T) {
	t.Parallel()
	o := open(t)
	for n := range 3 {
		o.tell(n)
	}
	if len(o.mails) != 1 {
		t.Fatalf("%d e-mails", len(o.mails))
	}
	first := o.mails[0]
	for _, want := range []string{"1 failure in org_acme", `the agent "Night watch"`, "A product refused.", "exec_0", "step act", "product_error", "https://console.example", "at most one such e-mail an hour", "2026-03-09 14:00:00 UTC"} {
		if !strings.Contains(first.Subject+first.Body, want) {
			t.Errorf("the e-mail does not say %q:\n%s\n%s", want, first.Subject, first.Body)
		}
	}
	o.now = o.now.Add(time.Hour - 1)
	o.tell(3)
	if len(o.mails) != 1 {
		t.Errorf("%d e-mails within an hour", len(o.mails))
	}
	o.now = o.now.Add(1)
	o.tell(4)
	if len(o.mails) != 2 || !strings.Contains(o.mails[1].Subject, "4 failures in org_acme") {
		t.Fatalf("%d e-mails, the last %+v", len(o.mails), o.mails[len(o.mails)-1])
	}
	for n := 1; n <= 4; n++ {
		if !strings.Contains(o.mails[1].Body, fmt.Sprintf("exec_%d", n)) {
			t.Errorf("the second does not tell of %d:\n%s", n, o.mails[1].Body)
		}
	}
	if strings.Contains(o.mails[1].Body, "exec_0") {
		t.Error("the second tells of what the first told")
	}
}

func TestAFailureThatArrivesTwiceIsReportedOnce(t *testing.T) {
	t.Parallel()
	o := open(t)
	e, later := o.failure(0), o.failure(1)
	for range 3 {
		for _, one := range []event.Event{e, later} {
			if err := o.Tell(t.Context(), o.acme, one); err != nil {
				t.Fatal(err)
			}
		}
	}
	o.now = o.now.Add(2 * time.Hour)
	if err := o.Tell(t.Context(), o.acme, e); err != nil || len(o.mails) != 1 {
		t.Errorf("%v, %d e-mails: one that was told is told again", err, len(o.mails))
	}
	if err := o.Tell(t.Context(), o.acme, later); err != nil || len(o.mails) != 2 || !strings.Contains(o.mails[1].Subject, "1 failure") {
		t.Errorf("%v, %+v", err, o.mails)
	}
}

func TestConcurrentFailuresSendOneEMail(t *testing.T) {
	t.Parallel()
	o := open(t)
	var wg sync.WaitGroup
	for n := range 15 {
		wg.Go(func() { o.tell(n) })
	}
	wg.Wait()
	o.now = o.now.Add(time.Hour)
	o.tell(15)
	if len(o.mails) != 2 {
		t.Fatalf("%d e-mails", len(o.mails))
	}
	for n := range 16 {
		if name := fmt.Sprintf("execution exec_%d,", n); !strings.Contains(o.mails[0].Body+o.mails[1].Body, name) {
			t.Errorf("nobody was told of %s", name)
		}
	}
}

func TestAnOrganizationWithoutKnownOwnersGetsNoEMail(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.acme.Owners = nil
	o.tell(0)
	if r, err := o.Store.Alerts(t.Context(), "org_acme"); err != nil || r.Revision != 0 || len(o.mails) > 0 {
		t.Errorf("%+v, %v, %d e-mails", r, err, len(o.mails))
	}
}

func TestAnUnreachableOwnerDoesNotStopTheEMailToTheOthers(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{
		"refused for good":       step.ErrNotification,
		"refused for now":        step.ErrAgain,
		"the outcome is unknown": errors.New("no answer"),
		"the first of them all":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t)
			o.acme.Owners = []tenant.Owner{{Email: "a@acme.example"}, {Email: "b@acme.example"}, {Email: "c@acme.example"}}
			o.refuse["a@acme.example"] = refusal
			o.tell(0)
			o.tell(1)
			want := 3
			if refusal != nil {
				want = 2
			}
			if len(o.mails) != want || (len(o.reported) == 1) != (refusal != nil) {
				t.Errorf("%d e-mails, reported %v", len(o.mails), o.reported)
			}
			keys := map[string]bool{}
			for _, m := range o.mails {
				keys[m.Key] = true
			}
			if len(keys) != want {
				t.Errorf("keys %v", keys)
			}
		})
	}
}

func TestAnEMailThatWasNotSentIsSentWhenTheEventArrivesAgain(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.refuse["ann@acme.example"] = step.ErrAgain
	if err := o.Tell(t.Context(), o.acme, o.failure(0)); !errors.Is(err, step.ErrAgain) {
		t.Errorf("err = %v, want the queue to bring it again", err)
	}
	delete(o.refuse, "ann@acme.example")
	o.tell(0)
	o.tell(0)
	if len(o.mails) != 1 {
		t.Errorf("%d e-mails", len(o.mails))
	}
}

func TestAnEMailWithUnknownOutcomeIsNotSentAgain(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.refuse["ann@acme.example"] = errors.New("the connection broke")
	o.tell(0)
	delete(o.refuse, "ann@acme.example")
	o.tell(0)
	o.tell(1)
	if len(o.mails) != 0 {
		t.Errorf("%d e-mails within the hour", len(o.mails))
	}
}

// A dispatcher that crashes while sending loses the e-mail, not the failure.
func TestAFailureWhoseEMailWasLostIsInTheNext(t *testing.T) {
	t.Parallel()
	o := open(t)
	r, _, due := alert.Record{}.With(alert.Failure{Event: "evt_lost", Execution: "exec_lost", Type: "execution.failed"}, o.now)
	if err := o.Store.SaveAlerts(t.Context(), "org_acme", r); err != nil || !due {
		t.Fatal(err)
	}
	o.tell(0)
	if len(o.mails) > 0 {
		t.Error("a second e-mail within the hour")
	}
	o.now = o.now.Add(time.Hour)
	o.tell(1)
	if len(o.mails) != 1 || !strings.Contains(o.mails[0].Body, "exec_lost") || !strings.Contains(o.mails[0].Subject, "3 failures") {
		t.Errorf("%+v", o.mails)
	}
}

func TestFailuresBeyondTheLimitCostNoWrites(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.tell(0)
	for n := range 100 {
		o.tell(n + 1)
	}
	r, err := o.Store.Alerts(t.Context(), "org_acme")
	if err != nil || len(r.Open) != alert.Most || !r.More || r.Revision > alert.Most+5 {
		t.Errorf("%d open, more %t, %d writes, %v", len(r.Open), r.More, r.Revision, err)
	}
	o.now = o.now.Add(time.Hour)
	o.tell(200)
	if last := o.mails[len(o.mails)-1]; !strings.Contains(last.Subject, "more than 20 failures") || !strings.Contains(last.Body, "More failures happened") {
		t.Errorf("%s\n%s", last.Subject, last.Body)
	}
}

func TestOtherPlatformEventsAreReportedWithTheirMessage(t *testing.T) {
	t.Parallel()
	o := open(t)
	for _, n := range []outbox.Notice{
		{Type: outbox.AgentError, Org: "org_acme", Agent: "agent_b", Code: "invalid_agent_config", Message: "The agent was deactivated.", At: o.now, Key: "1"},
		{Type: outbox.CreditsLow, Org: "org_acme", Code: "credits_low", Message: "80 percent of the credits of 2026-03 are used.", At: o.now, Key: "2"},
	} {
		if err := o.Tell(t.Context(), o.acme, outbox.EventOf(n)); err != nil {
			t.Fatal(err)
		}
		o.now = o.now.Add(time.Hour)
	}
	if len(o.mails) != 2 || !strings.Contains(o.mails[0].Body, "agent_b: The agent was deactivated.") ||
		!strings.Contains(o.mails[1].Body, "80 percent of the credits of 2026-03 are used.") {
		t.Errorf("%+v", o.mails)
	}
}

type broken struct{ err error }

func (b broken) Alerts(context.Context, id.Org) (alert.Record, error) { return alert.Record{}, b.err }
func (broken) SaveAlerts(context.Context, id.Org, alert.Record) error { return alert.ErrStale }

func TestAnEventIsRedeliveredWhenTheTableIsDownOrBusy(t *testing.T) {
	t.Parallel()
	o := open(t)
	down := errors.New("down")
	for _, s := range []broken{{down}, {nil}} {
		o.Store = s
		if err := o.Tell(t.Context(), o.acme, o.failure(0)); err == nil || s.err != nil && !errors.Is(err, down) {
			t.Errorf("err = %v", err)
		}
	}
	if len(o.mails) > 0 {
		t.Errorf("%d e-mails", len(o.mails))
	}
}
