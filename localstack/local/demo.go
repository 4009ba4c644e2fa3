package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
	"theoneagents.app/agents/localstack/local/timeline"
	"theoneagents.app/agents/shared/credit"
	ids "theoneagents.app/agents/shared/id"
)

// demoOrg is the organization that a fresh local cloud has.
const demoOrg = "org_demo"

// ticketFile describes the event that the demonstration publishes.
const ticketFile = "events/psa/ticket.created.json"

// effectTimeout limits the wait for the effect of an event.
const effectTimeout = 30 * time.Second

// demo creates org_demo, publishes a ticket and shows the run that it starts.
func demo(ctx context.Context, w world, report steps.Reporter, h home, o cloud.Outputs) error {
	owner, err := w.as(h, o, demoOrg)
	if err != nil {
		return err
	}
	if err := seed(ctx, w, report, o, owner, demoOrg, string(credit.Growth)); err != nil {
		return err
	}
	ticket, err := newTicket(w.now())
	if err != nil {
		return err
	}
	var run timeline.Run
	err = report.Do(ctx, "Publishing psa:ticket.created and waiting for its run", func(ctx context.Context) error {
		if err := put(ctx, o, ticket); err != nil {
			return err
		}
		return until(ctx, func(ctx context.Context) (bool, error) {
			var err error
			run, err = owner.runOf(ctx, ticket.ID)
			return run.Over(), err
		})
	})
	if err != nil {
		return fmt.Errorf("the demonstration failed: the run of %s did not end: %w\n%s", ticket.ID, err, w.lookAt(ctx, h, o, ticket.ID, run))
	}
	w.say("")
	if err := run.Print(w.out); err != nil {
		return err
	}
	if run.Status != "completed" {
		return fmt.Errorf("the demonstration failed: its run is %s, not completed\n%s", run.Status, w.lookAt(ctx, h, o, ticket.ID, run))
	}
	return w.invite(h, o, run)
}

// lookAt lists the places that explain why the demonstration failed.
func (w world) lookAt(ctx context.Context, h home, o cloud.Outputs, event string, run timeline.Run) string {
	var b strings.Builder
	if n := w.rules(ctx, o); n > 0 {
		fmt.Fprintf(&b, "%d rules make the products or the model misbehave (GET %s/_products and /_model list them): remove them with curl -X PUT -d '{\"rules\": []}'\n", n, o.Products)
	}
	if run.ID != "" {
		fmt.Fprintf(&b, "make inspect RUN=%s shows the stored run\n", run.ID)
	} else {
		fmt.Fprintf(&b, "GET %s/api/agents/agent_system_dispatch/activity says why no run started, make letters whether %s became a dead letter\n", o.API, event)
	}
	fmt.Fprintf(&b, "make logs shows the logs of the functions, %s is the log of the emulator; the system keeps running", h.log("emulator"))
	return b.String()
}

// seed creates an organization unless it is known already.
func seed(ctx context.Context, w world, report steps.Reporter, o cloud.Outputs, owner api, org, plan string) error {
	err := owner.known(ctx)
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*refusal](err); !ok || r.Status != http.StatusForbidden {
		return err
	}
	return report.Do(ctx, "Creating "+org+" with hub:org.created", func(ctx context.Context) error {
		e := newEvent("hub", "org.created", org, json.RawMessage(`{"plan":"`+plan+`","name":"Demo MSP"}`), w.now())
		if err := put(ctx, o, e); err != nil {
			return err
		}
		return until(ctx, func(ctx context.Context) (bool, error) {
			err := owner.known(ctx)
			return err == nil, err
		})
	})
}

// known returns nil when the caller's organization is known.
func (a api) known(ctx context.Context) error {
	return a.call(ctx, http.MethodGet, "/api/agents", nil, nil)
}

// newTicket returns the event of a new ticket.
func newTicket(now time.Time) (envelope, error) {
	text, err := os.ReadFile(ticketFile)
	if err != nil {
		return envelope{}, err
	}
	e, err := readEvent(text, nameOf(ticketFile), demoOrg, now)
	if err != nil {
		return e, err
	}
	var payload map[string]any
	if err := json.Unmarshal(e.Payload, &payload); err != nil {
		return e, err
	}
	// Deduplication drops a payload that equals one of the last five minutes.
	payload["ticket_id"], payload["created_at"] = "tkt_"+ulid.Make().String(), e.Published
	e.Payload, err = json.Marshal(payload)
	return e, err
}

// runOf returns the run that an event started, or an error while it has started
// none.
func (a api) runOf(ctx context.Context, event string) (timeline.Run, error) {
	var list struct {
		Executions []timeline.Run `json:"executions"`
	}
	if err := a.call(ctx, http.MethodGet, "/api/executions?limit=5", nil, &list); err != nil {
		return timeline.Run{}, err
	}
	for _, x := range list.Executions {
		run, err := a.run(ctx, x.ID)
		if err != nil || run.Trigger.ID == event {
			return run, err
		}
	}
	return timeline.Run{}, errors.New("no run was started")
}

func (a api) run(ctx context.Context, id string) (timeline.Run, error) {
	var run timeline.Run
	return run, a.call(ctx, http.MethodGet, "/api/executions/"+url.PathEscape(id), nil, &run)
}

// until repeats ask until it returns true. After effectTimeout it returns the last
// error of ask as the reason.
func until(ctx context.Context, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, effectTimeout)
	defer cancel()
	for {
		yes, err := ask(ctx)
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// show prints a run, by default the newest.
func show(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "show")
	org := f.String("org", demoOrg, "organization")
	id := f.String("run", "", "execution to show; by default the newest")
	if err := parse(f, args); err != nil {
		return err
	}
	if err := checkOrg(*org); err != nil {
		return err
	}
	if *id != "" && !ids.Valid("exec_", *id) {
		return misusef("%q is not an execution id: an id is exec_ and up to 64 letters, digits or underscores", *id)
	}
	h := home(*state)
	o, err := h.readOutputs(ctx, w)
	if err != nil {
		return err
	}
	owner, err := w.as(h, o, *org)
	if err != nil {
		return err
	}
	if *id == "" {
		if *id, err = owner.newest(ctx, *org); err != nil {
			return err
		}
	}
	run, err := owner.run(ctx, *id)
	if err != nil {
		return err
	}
	return run.Print(w.out)
}

// newest returns the id of the newest run of org, whose owner calls.
func (a api) newest(ctx context.Context, org string) (string, error) {
	var list struct {
		Executions []timeline.Run `json:"executions"`
	}
	if err := a.call(ctx, http.MethodGet, "/api/executions?limit=1", nil, &list); err != nil {
		return "", err
	}
	if len(list.Executions) == 0 {
		return "", fmt.Errorf("%s has no runs yet: make publish FILE=events/psa/ticket.created.json starts one", org)
	}
	return list.Executions[0].ID, nil
}

// rules returns the number of rules in force at the stand-ins.
func (w world) rules(ctx context.Context, o cloud.Outputs) int {
	total := 0
	for _, path := range []string{"/_products", "/_model"} {
		var found struct {
			Rules []json.RawMessage `json:"rules"`
		}
		if (api{base: o.Products, http: w.http}).call(ctx, http.MethodGet, path, nil, &found) == nil {
			total += len(found.Rules)
		}
	}
	return total
}

// invite prints the addresses and commands to try next.
func (w world) invite(h home, o cloud.Outputs, run timeline.Run) error {
	owner, err := w.as(h, o, demoOrg)
	if err != nil {
		return err
	}
	w.say(`
Console  %[7]s/
API      %[1]s
Docs     %[6]s
Session  %[2]s

Try, in this folder:

  curl -s -H "Authorization: Bearer $(make -s token)" '%[1]s/api/executions/%[5]s'
  curl -s -H "Authorization: Bearer $(make -s token)" '%[1]s/api/credits'
  curl -s '%[3]s/_calls?org_id=%[4]s'

make help lists all commands; localstack/README.md explains them by example.
`, o.API, owner.token, o.Products, demoOrg, run.ID, o.Docs, o.Console)
	return nil
}
