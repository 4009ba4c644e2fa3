package rehearsal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// live is an organization with one active agent, whose services run as in production
// over the store in memory. Its ports perform effects: they note what reaches them.
type live struct {
	*testing.T
	*memory.Store

	now     time.Time
	agent   definition.Definition
	answers answers
	started []machine.Cursor
	effects []effect
}

// answers are those of the outside, by step.
type answers struct {
	model   map[string]any
	replies map[string]any
	fail    map[string]string
	decide  map[string]string
}

// An effect is one that reached a port.
type effect struct {
	Step, What, Key          string
	Params                   any
	Recipient, Subject, Text string
}

type broken struct{}

func (broken) Error() string  { return "broken" }
func (broken) Reason() string { return "broken" }

func (l *live) Act(_ context.Context, c step.Command) (map[string]any, error) {
	if l.answers.fail[string(c.Step)] != "" {
		return nil, broken{}
	}
	l.effects = append(l.effects, effect{Step: string(c.Step), What: c.Product + "." + c.Action, Key: c.Key, Params: c.Params})
	reply, _ := l.answers.replies[string(c.Step)].(map[string]any)
	return maps.Clone(reply), nil
}

func (l *live) Send(_ context.Context, m step.Message) error {
	rest, mine := strings.CutPrefix(m.Key, string(m.Execution)+":")
	name, _, _ := strings.Cut(rest, ":")
	switch {
	case !mine:
		return nil // of a gate
	case l.answers.fail[name] != "":
		return step.ErrNotification
	}
	l.effects = append(l.effects, effect{
		Step: name, What: string(m.Channel), Key: m.Key, Recipient: m.Recipient, Subject: m.Subject, Text: m.Body,
	})
	return nil
}

func (l *live) Ask(_ context.Context, q step.Question) (step.Answer, error) {
	if l.answers.fail[string(q.Step)] != "" {
		return step.Answer{}, broken{}
	}
	return step.Answer{Text: jsonvalue.Canonical(l.answers.model[string(q.Step)])}, nil
}

func (l *live) Start(_ context.Context, c machine.Cursor) error {
	l.started = append(l.started, c)
	return nil
}
func (l *live) Ring(context.Context, string) error                     { return nil }
func (l *live) PutEvent(context.Context, event.Event) error            { return nil }
func (l *live) Tell(context.Context, tenant.Tenant, event.Event) error { return nil }
func (l *live) Invalidate(context.Context, id.Org, id.Agent) error     { return nil }
func (l *live) Publish(context.Context, []event.Event)                 {}
func (l *live) Repeat(context.Context, id.Org) error                   { return nil }
func (l *live) clock() time.Time                                       { return l.now }
func (l *live) sleep(_ context.Context, d time.Duration) error {
	l.now = l.now.Add(d)
	return nil
}

func (l *live) ok(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *live) Version(context.Context, id.Org, id.Agent, int) (definition.Definition, error) {
	return l.agent, nil
}

func (l *live) VersionRecord(context.Context, id.Org, id.Agent, int) (agent.Version, error) {
	return agent.Version{Number: 1, Definition: l.agent, CreatedBy: "user_author", ActivatedBy: []id.Actor{"user_author"}}, nil
}

func (l *live) Listeners(context.Context, id.Org, string) ([]agent.Listener, map[id.Agent]bool, error) {
	return []agent.Listener{{Agent: "agent_1", Version: 1, Definition: l.agent}}, nil, nil
}

// play plays an event as the dispatcher, the machines and people would.
func (l *live) play(rules definition.Rules, e event.Event) (execution.Trace, execution.Status) {
	ctx := l.Context()
	l.ok(l.SaveTenant(ctx, tenant.Tenant{Org: "org_a", Plan: credit.Growth, Created: l.now, Updated: l.now, PlanAt: l.now, StateAt: l.now}, credit.MonthOf(l.now)))
	quotas := &quota.Service{Store: l.Store, Limits: quota.Of, Now: l.clock}
	clients := &client.Service{Store: l.Store, Now: l.clock}
	dispatcher := &dispatch.Service{
		Tenants: l.Store, Agents: l, Rules: rules, Deactivator: l, Profiles: clients, Runs: l.Store, Quotas: quotas, Machine: l,
		Orgs: &tenant.Service{Store: l.Store, Now: l.clock}, Clients: clients, Owners: l, Now: l.clock,
	}
	l.ok(dispatcher.Dispatch(ctx, e))
	if len(l.started) == 0 {
		return nil, ""
	}
	senders := map[definition.Channel]step.Sender{}
	for _, c := range definition.Channels() {
		senders[c] = l
	}
	r := &runner.Service{
		Store: l.Store, Definitions: l, Actions: rules.Catalog, Profiles: clients, Doorbell: l, Outbox: l, Pauses: l, Now: l.clock, Sleep: l.sleep,
		Link:   func(a id.Approval) string { return "https://console.example/approvals/" + string(a) },
		Report: func(_ context.Context, err error) { l.Error(err) }, Observe: func(context.Context, runner.Result) {},
		Steps: &step.Service{Model: l, Products: l, Senders: senders, Quotas: quotas, Rules: rules, Now: l.clock, Sleep: l.sleep, Failed: func(context.Context, error) {}},
	}
	people := &approval.Service{Store: l.Store, Tenants: l.Store, Revocations: l.Store, Doorbell: l, Now: l.clock}
	cursor := l.started[0]
	for {
		next, err := r.Handle(ctx, machine.Call{Op: machine.OpRun, Cursor: cursor, Owner: "machine"})
		l.ok(err)
		cursor = next.Cursor
		switch next.Next {
		case machine.NextDone:
			x, steps, err := l.Execution(ctx, "org_a", cursor.Execution)
			l.ok(err)
			return execution.TraceOf(l.agent, steps, x.Status.Ended()), x.Status
		case machine.NextWait:
			l.now = l.now.Add(time.Duration(next.Seconds) * time.Second)
		case machine.NextRun:
		case machine.NextGate:
			_, err := r.Handle(ctx, machine.Call{Op: machine.OpGate, Cursor: cursor, Owner: "machine", Token: "t"})
			l.ok(err)
			open, err := l.Approvals(ctx, "org_a", approval.Query{Status: approval.Pending, Limit: 10})
			l.ok(err)
			for _, a := range open.Approvals {
				decision := l.answers.decide[string(a.Step)]
				for n := range a.Min {
					if decision == "expired" {
						l.now = l.now.Add(time.Duration(next.Seconds) * time.Second)
						break
					}
					who := caller.Caller{Org: "org_a", User: id.User(fmt.Sprintf("user_assumed_%d", n+1)), Roles: []caller.Role{caller.Owner}, Issued: l.now}
					_, err := people.Decide(ctx, who, a.ID, approval.Verdict{Approve: decision == "approved", Note: "Assumed in a test run."})
					l.ok(err)
					if decision == "denied" {
						break
					}
				}
			}
		}
	}
}

// random returns a random definition and the answers of the outside to its steps.
func random(r *rand.Rand) (map[string]any, answers) {
	a := answers{model: map[string]any{}, replies: map[string]any{}, fail: map[string]string{}, decide: map[string]string{}}
	values := []string{"{{ event_payload.subject }}", "{{ event_payload.ticket_id | upcase }}", "{{ execution.id }} {{ event.published_at }}", "plain", "{{ event_payload.description | truncate: 9 }}"}
	var known []string
	n := 0
	text := func() string {
		all := append(append([]string{}, values...), known...)
		return all[r.IntN(len(all))] + " " + all[r.IntN(len(all))]
	}
	var steps func(depth, most int) []any
	one := func(depth int) map[string]any {
		n++
		name := fmt.Sprintf("s%d", n)
		s := map[string]any{"id": name}
		if r.IntN(5) == 0 {
			s["if"] = map[string]any{"context": "event", "field": "priority", "operator": "eq", "value": []string{"p1", "p2", "p3"}[r.IntN(3)]}
		}
		kind := r.IntN(7)
		if r.IntN(4) == 0 && kind < 4 {
			s["on_error"] = "continue"
		}
		fails := r.IntN(6) == 0
		switch kind {
		case 0:
			s["type"], s["product"], s["action"] = "product_action", "psa", "create_ticket"
			s["params"] = map[string]any{"subject": text(), "description": text(), "priority": "p2"}
			a.replies[name] = map[string]any{"ticket_id": fmt.Sprintf("tkt_%d", r.IntN(100))}
			if fails {
				a.fail[name] = "product_error"
			} else if depth == 1 && s["if"] == nil {
				known = append(known, "{{ steps."+name+".output.ticket_id }}")
			}
		case 1:
			s["type"], s["product"], s["action"] = "product_action", "psa", "add_note"
			s["params"] = map[string]any{"ticket_id": "{{ event_payload.ticket_id }}", "body": text(), "visibility": "internal"}
			a.replies[name] = map[string]any{"note_id": "n1"}
		case 2:
			s["type"], s["channel"], s["recipients"], s["subject"], s["body"] = "notification", "email", []any{"ops@msp.test", "lead@msp.test"}, text(), text()
			if fails {
				a.fail[name] = "notification_failed"
			}
		case 3:
			s["type"], s["model"], s["prompt"] = "ai_reason", []string{"quick", "standard"}[r.IntN(2)], "Sort: "+text()
			s["output_schema"] = map[string]any{"type": "object", "required": []any{"word"}, "properties": map[string]any{"word": map[string]any{"type": "string"}}}
			a.model[name] = map[string]any{"word": fmt.Sprintf("word %d", r.IntN(100))}
			if fails {
				a.fail[name] = "model_unavailable"
			} else if depth == 1 && s["if"] == nil {
				known = append(known, "{{ steps."+name+".output.word }}")
			}
		case 4:
			s["type"], s["message"] = "approval_gate", "Go on? "+text()
			s["min_approvals"] = 1 + r.IntN(2)
			if r.IntN(2) == 0 {
				s["on_expiry"] = "approve"
			}
			a.decide[name] = []string{"approved", "approved", "approved", "denied", "expired"}[r.IntN(5)]
		case 5:
			s["type"], s["duration_seconds"] = "wait", 1+r.IntN(100_000)
		case 6:
			if depth >= 3 {
				s["type"], s["duration_seconds"] = "wait", 5
				break
			}
			s["type"] = "branch"
			s["cases"] = []any{map[string]any{
				"when":  map[string]any{"context": "event", "field": "priority", "operator": "eq", "value": "p2"},
				"steps": steps(depth+1, 2),
			}}
			s["else"] = steps(depth+1, 2)
		}
		return s
	}
	steps = func(depth, most int) []any {
		list := []any{}
		for range 1 + r.IntN(most) {
			list = append(list, one(depth))
		}
		return list
	}
	return map[string]any{
		"name": "Random", "description": "Random steps.", "category": "service_desk",
		"trigger": map[string]any{
			"type": "bus_event", "event_type": "ticket.created", "source_product": "psa",
			"filters": []any{map[string]any{"field": "priority", "operator": "in", "value": []any{"p1", "p2"}}},
		},
		"steps": steps(1, 6),
	}, a
}

// A test run does what the live services would do with the same answers of the outside:
// the same steps with the same outputs, and the same effects with the same parameters. It
// does so too with the answers that the live run recorded.
func TestATestRunEqualsTheLiveRun(t *testing.T) {
	t.Parallel()

	const definitions, enough, answers = 100, 80, 10
	rules, played, acted, recorded := rules(t), 0, 0, 0
	for seed := range uint64(definitions) {
		r := rand.New(rand.NewPCG(seed, 1)) // a seed repeats the definition
		doc, a := random(r)
		d, err := rules.Parse(decoded(t, doc))
		if err != nil {
			continue // such as a model's words in a place where the parser refuses them
		}
		payload := map[string]any{
			"ticket_id": fmt.Sprintf("tkt_%d", seed), "priority": []string{"p1", "p2", "p3"}[r.IntN(3)], "subject": "VPN <b>down</b>", "type": "incident",
			"created_by": "x", "created_at": "2026-03-09T14:00:00Z", "description": strings.Repeat("long ", r.IntN(50)), "client_id": "cli_a",
		}
		body, fail := map[string]any{"event": map[string]any{"payload": payload}, "model": a.model, "replies": a.replies, "decisions": a.decide}, map[string]any{}
		for name, code := range a.fail {
			fail[name] = map[string]any{"code": code}
		}
		body["fail"] = fail
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		got := play(t, d, string(text))
		world := &live{T: t, Store: memory.New(), now: noon, agent: d, answers: a}
		e := event.Event{
			ID: got.Event.ID, Type: "ticket.created", Product: "psa", Org: "org_a", Client: "cli_a", Payload: decoded(t, payload), Published: noon,
		}
		trace, status := world.play(rules, e)
		if diff := cmp.Diff(wanted(t, trace, status, world.effects), had(t, got)); diff != "" {
			t.Fatalf("seed %d, %s: (-live +test)\n%s", seed, jsonvalue.Canonical(doc), diff)
		}
		played, acted = played+1, acted+len(got.Effects)
		body["model"] = "recorded"
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		again := playRecorded(t, d, string(text), world.Store)
		if diff := cmp.Diff(wanted(t, trace, status, world.effects), had(t, again)); diff != "" {
			t.Fatalf("seed %d with recorded answers, %s: (-live +test)\n%s", seed, jsonvalue.Canonical(doc), diff)
		}
		for _, s := range again.Steps {
			if s.Kind != definition.AI || s.Status != execution.StepCompleted {
				continue
			}
			if recorded++; *s.Source != string(rehearsal.Recorded) || s.Run == nil || *s.Run != string(world.started[0].Execution) {
				t.Errorf("seed %d: the answer to %s is from %s of %v, want that of the live run", seed, s.ID, *s.Source, s.Run)
			}
		}
	}
	if played < enough || acted < enough || recorded < answers {
		t.Errorf("%d of %d definitions were valid, with %d effects and %d recorded answers", played, definitions, acted, recorded)
	}
	t.Logf("%d definitions, %d effects, %d recorded answers", played, acted, recorded)
}

func decoded(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonvalue.Object(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// wanted and had return a run as it is compared. The sentence of a failure that was
// asked for differs, and so does the number of its calls.
func wanted(t *testing.T, trace execution.Trace, status execution.Status, effects []effect) any {
	t.Helper()
	steps := []any{}
	for _, s := range trace {
		code := ""
		if s.Error != nil {
			code = s.Error.Code
		}
		steps = append(steps, map[string]any{"id": s.ID, "status": s.Status, "input": s.Input, "output": compared(s.Status, s.Output), "credits": s.Credits(), "error": code})
	}
	return decoded(t, map[string]any{"steps": steps, "status": status, "effects": append([]effect{}, effects...)})
}

// compared leaves out the output of a failed step, which has the reason.
func compared(s execution.StepStatus, output any) any {
	if s == execution.StepFailed {
		return nil
	}
	return output
}

func had(t *testing.T, r rehearsal.Result) any {
	t.Helper()
	steps, effects, status := []any{}, []effect{}, ""
	if r.Status != nil {
		status = *r.Status
	}
	for _, s := range r.Steps {
		code := ""
		if s.Error != nil {
			code = s.Error.Code
		}
		steps = append(steps, map[string]any{"id": s.ID, "status": s.Status, "input": s.Input, "output": compared(s.Status, s.Output), "credits": s.Credits, "error": code})
	}
	value := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	for _, e := range r.Effects {
		one := effect{Step: string(e.Step), What: e.What, Key: e.Key, Recipient: value(e.Recipient), Subject: value(e.Subject), Text: value(e.Text)}
		if e.Kind == rehearsal.ActionEffect {
			one.Params = e.Params
		}
		effects = append(effects, one)
	}
	return decoded(t, map[string]any{"steps": steps, "status": status, "effects": effects})
}

// What is held back reaches nobody: the package knows no port to the outside.
func TestTheRoomKnowsNoPortToTheOutside(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range src.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			_, room, _ := strings.Cut(path, "/shared/")
			switch room {
			case "dynamo", "stepfn", "queue", "bus", "model", "product", "notify", "httpcall", "callkey":
				t.Errorf("%s imports %s, which reaches the outside", file, path)
			}
			if path == "os" || path == "net" || strings.HasPrefix(path, "net/") || strings.Contains(path, "aws") {
				t.Errorf("%s imports %s, which reaches the outside", file, path)
			}
		}
	}
}
