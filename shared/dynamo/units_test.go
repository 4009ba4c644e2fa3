package dynamo_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/meter"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// A pattern is an access pattern that doc.go lists. It prepares the items that
// it needs and returns the one measured call.
type pattern func(w *fixture) call

// A call is one call of a store.
type call func(ctx context.Context) error

// A fixture is one organization with items of a usual size.
type fixture struct {
	t     *testing.T
	db    *dynamodb.Client
	table string
	store *dynamo.Store
	agent agent.Agent // active
	draft agent.Agent
	key   key.Key
	next  int // the number of the next event
}

const (
	org     id.Org       = "org_01JMSP0000000000000000000A"
	month   credit.Month = "2026-03"
	owner                = "7b0c2d1e7b0c2d1e7b0c2d1e7b0c2d1e" // a digest, as the runner's
	history              = 60
	page                 = 50 // the rows of a list's page
)

func start() time.Time { return time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC) }

// run returns the run of a new event.
func (w *fixture) run(a id.Agent) execution.Execution {
	w.next++
	published := start().Add(time.Duration(w.next) * time.Second)
	e := event.Event{
		ID: id.Event("evt_" + id.Derive(published, strconv.Itoa(w.next))), Type: "ticket.created", Product: "psa", Org: org,
		Client: "client_01JCLIENT", Published: published,
		Payload: map[string]any{
			"ticket_id": fmt.Sprintf("tkt_%d", w.next), "priority": "p2", "type": "incident",
			"subject": "The printer on the second floor does not answer", "created_by": "user_7",
		},
	}
	return execution.New(execution.Execution{
		ID: execution.ID(org, a, e), Org: org, Agent: a, Version: 1, Trigger: e,
	}, e.Published).Kept(0, 0)
}

// begun stores a new run as the dispatcher does.
func (w *fixture) begun() execution.Execution {
	x := w.run(w.agent.ID)
	x = x.FirstLeased(owner, x.Created)
	_, err := w.store.ClaimDedup(w.t.Context(), x, x.Created, x.Created.Add(dispatch.Window))
	w.ok(err)
	w.ok(w.store.Create(w.t.Context(), x))
	x.Revision = 1
	return x
}

// tree stores the tree below a new root event, one run smaller than the largest.
func (w *fixture) tree() (id.Event, quota.Tree) {
	var t quota.Tree
	for range quota.Of(credit.Scale).RunsPerRootEvent - 1 {
		t, _ = t.Admit(quota.Root{}, []id.Execution{w.run(w.agent.ID).ID}, 200)
	}
	root := w.run(w.agent.ID).Trigger.ID
	w.ok(w.store.SaveTree(w.t.Context(), org, root, quota.Tree{}, t, start()))
	return root, t
}

// made returns an object whose maker is stored.
func (w *fixture) made() catalog.ObjectID {
	x := w.run(w.agent.ID)
	made := catalog.ObjectID{Kind: "psa:ticket", ID: string(x.Trigger.ID)}
	w.ok(w.store.SaveMaker(w.t.Context(), org, made, x.ID, start()))
	return made
}

// admission returns a request to count n new runs. The tally of the organization is
// as large as it becomes.
func (w *fixture) admission(n int) quota.Admission {
	w.t.Helper()
	t, err := w.store.RunTally(w.t.Context(), org)
	w.ok(err)
	minute := quota.MinuteOf(start())
	full := quota.Limits{RunsPerMinute: 1 << 20, OpenRuns: 1 << 20}
	if t.Counted.IsZero() {
		w.ok(w.store.SaveOpen(w.t.Context(), org, t, 49_999, start()))
		for m := range quota.Minute(15) {
			for range 20 {
				w.ok(w.counted(w.t.Context(), quota.Admission{Minute: minute - 12*m, Runs: []id.Execution{w.run(w.agent.ID).ID}, Limits: full}, true))
			}
		}
	}
	a := quota.Admission{Minute: minute, Limits: full}
	for range n {
		a.Runs = append(a.Runs, w.run(w.agent.ID).ID)
	}
	return a
}

// batch returns a new batch of 20 messages. The tally of the day is as large as it
// becomes.
func (w *fixture) batch(limit int) quota.Batch {
	w.t.Helper()
	b := quota.Batch{Name: quota.ChatsPerDay, Day: quota.DayOf(start()), Size: 20, Limit: 1 << 20}
	counts, err := w.store.Messages(w.t.Context(), org, b.Day)
	w.ok(err)
	if counts[b.Name] == 0 {
		for range 8 * quota.MessageSlots {
			b.Key = string(w.run(w.agent.ID).ID) + ":tell"
			_, _, err := w.store.AdmitMessages(w.t.Context(), org, b)
			w.ok(err)
		}
	}
	b.Key, b.Limit = string(w.run(w.agent.ID).ID)+":tell", limit
	return b
}

// counted counts runs, and returns an error unless that succeeds as wanted.
func (w *fixture) counted(ctx context.Context, a quota.Admission, want bool) error {
	_, ok, err := w.store.AdmitRuns(ctx, org, a)
	if err == nil && ok != want {
		return fmt.Errorf("counted: %t, want %t", ok, want)
	}
	return err
}

// leased stores a new run under a lease.
func (w *fixture) leased() execution.Execution {
	x, _ := w.begun().Leased(owner, 0, start())
	return w.committed(execution.Change{Execution: x})
}

// foundOpen stores a run that the watchdog found open.
func (w *fixture) foundOpen() execution.Execution {
	x, _ := w.leased().FindOpen()
	return w.committed(execution.Change{Execution: x})
}

func (w *fixture) committed(c execution.Change) execution.Execution {
	w.ok(w.store.Commit(w.t.Context(), c))
	c.Execution.Revision++
	return c.Execution
}

// holding stores a new run that holds credits.
func (w *fixture) holding() execution.Execution {
	c, _ := w.leased().Reserved("classify_ticket", hold())
	return w.committed(c)
}

func hold() credit.Hold { return credit.Hold{Month: month, Tier: credit.Standard, Amount: 20} }

// parked stores a new run that waits for a time.
func (w *fixture) parked() execution.Execution {
	return w.committed(execution.Change{Execution: w.leased().Parked(start())})
}

// failed stores a new run that has failed.
func (w *fixture) failed() {
	f := execution.Failure{Code: "product_error", Message: "The product is not available."}
	w.committed(execution.Change{Execution: w.leased().Fail(f, start())})
}

// waiting stores a new run that waits for approval, and returns the approval.
func (w *fixture) waiting() (execution.Execution, approval.Approval) {
	x := w.leased()
	a := question(x)
	x = w.committed(execution.Change{Execution: x.AwaitingApproval(a.Expires), Gate: &a})
	a.Revision = 1
	return x, a
}

func question(x execution.Execution) approval.Approval {
	return approval.Approval{
		ID: approval.ID(x.Created, x.ID, "confirm_isolation"), Org: org, Execution: x.ID, Agent: x.Agent,
		Step: "confirm_isolation", Status: approval.Pending, Min: 1, Token: strings.Repeat("t", 400),
		Message: "Confirm device isolation for WORKSTATION-01 (Client: Acme Corp).",
		Created: x.Created, Expires: x.Created.Add(2 * time.Hour),
	}
}

// action returns the record of an action step.
func action(name id.Step) execution.StepRecord {
	return execution.StepRecord{
		ID: name, Kind: definition.Action, Status: execution.StepCompleted, Tries: 1, Attempt: 1,
		Input:   map[string]any{"ticket_id": "tkt_abc123", "priority": "p1", "category": "network", "ai_classified": true},
		Output:  map[string]any{"ticket_id": "tkt_abc123", "updated": true},
		Started: start(), Ended: start().Add(80 * time.Millisecond),
	}
}

// contribution returns that of another run, for an agent.
func (w *fixture) contribution(a id.Agent) execution.Contribution {
	w.next++
	at := start().Add(time.Duration(w.next) * time.Second)
	return execution.Contribution{
		Org: org, Agent: a, Run: id.Execution(fmt.Sprintf("exec_01JP%022d", w.next)), Revision: 3, At: at,
		StatsDelta: execution.StatsDelta{
			Runs: 1, Completed: 1, Duration: 1234567890 * time.Nanosecond, LastRun: at,
			Used: []credit.Hold{{Month: "2026-03", Tier: credit.Standard, Amount: 20}},
		},
	}
}

// contributed returns an agent with contributions of n runs, and the last of them.
func (w *fixture) contributed(n int) (id.Agent, execution.Contribution) {
	w.t.Helper()
	a := w.newAgent("ticket.created").ID
	var c execution.Contribution
	for range n {
		c = w.contribution(a)
		w.ok(w.store.AddStats(w.t.Context(), org, a, []execution.Contribution{c}))
	}
	return a, c
}

// adding returns a call that adds contributions.
func (w *fixture) adding(all ...execution.Contribution) call {
	return func(ctx context.Context) error { return w.store.AddStats(ctx, org, all[0].Agent, all) }
}

// noted returns the record of an action whose input has some bytes.
func noted(bytes int) execution.StepRecord {
	last := action("add_note")
	last.Input = strings.Repeat("x", bytes)
	return last
}

// brief returns the change that build makes with a last step of 240 bytes in JSON, as small
// actions leave it: with it the record of most runs stays below 1 KB.
func (w *fixture) brief(build func(last execution.StepRecord) execution.Change) execution.Change {
	raw, err := json.Marshal(noted(1))
	w.ok(err)
	c := build(noted(241 - len(raw)))
	if !w.store.Inline(c) {
		w.t.Error("the step of an action is not inline")
	}
	return c
}

// longest returns the change that build makes with the largest last step that the record
// of the run keeps inline.
func (w *fixture) longest(build func(last execution.StepRecord) execution.Change) execution.Change {
	n := sort.Search(4096, func(n int) bool { return !w.store.Inline(build(noted(n + 1))) })
	if n < 1000 || n > 1400 {
		w.t.Errorf("a last step with up to %d bytes of input is inline, want about 1 KB more than that of most actions", n)
	}
	return build(noted(n))
}

// answer returns the record of a model step.
func answer() execution.StepRecord {
	h := hold()
	return execution.StepRecord{
		ID: "classify_ticket", Kind: definition.AI, Status: execution.StepCompleted, Tries: 1, Attempt: 1, Charge: &h,
		QuestionDigest: step.Question{}.Digest(),
		Usage:          &execution.Usage{Model: "anthropic.claude-sonnet", InputTokens: 812, OutputTokens: 211},
		Output:         map[string]any{"priority": "p1", "category": "network", "draft_response": strings.Repeat("We are on it. ", 20)},
		Input:          map[string]any{"prompt": strings.Repeat("Classify the ticket. ", 10)},

		Started: start(), Ended: start().Add(843 * time.Millisecond),
	}
}

// ending returns the change that ends a run with its last step.
func ending(x execution.Execution, done execution.Steps) func(last execution.StepRecord) execution.Change {
	return func(last execution.StepRecord) execution.Change {
		x.Last = &last
		done[last.ID] = last
		return x.End(func(x execution.Execution) execution.Execution { return x.Complete(start().Add(time.Hour)) }, done, false)
	}
}

// failing returns the change that ends a run as failed with its last step, and
// its event.
func failing(x execution.Execution) func(last execution.StepRecord) execution.Change {
	return func(last execution.StepRecord) execution.Change {
		x.Last = &last
		f := execution.Failure{Code: "product_error", Message: "The product is not available.", Step: last.ID}
		c := x.End(func(x execution.Execution) execution.Execution { return x.Fail(f, start().Add(time.Hour)) }, nil, false)
		c.Outbox = []event.Event{c.Execution.FailedEvent("P1 Escalation Notify")}
		return c
	}
}

func (w *fixture) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// saved stores a new agent with a status that listens for an event of psa.
func (w *fixture) saved(event string, st agent.Status) agent.Agent {
	a := w.newAgent(event)
	a.Status = st
	w.ok(w.store.SaveAgent(w.t.Context(), agent.Agent{}, a, agent.Cap{}))
	a.Revision = 1
	return a
}

func (w *fixture) newAgent(event string) agent.Agent {
	var d definition.Definition
	w.ok(json.Unmarshal([]byte(`{
		"name": "P1 Escalation Notify", "description": "SMS notify senior technicians", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "`+event+`",
			"filters": [{"field": "priority", "operator": "eq", "value": "p1"}]}, "conditions": [],
		"steps": [{"id": "notify_senior", "type": "notification", "channel": "sms", "recipients": ["+15551234567"],
			"body": "P1 escalation: {{event_payload.ticket_id}}"}],
		"conflict_behavior": "additive", "client_scope": "all"}`), &d))
	w.next++
	return agent.Agent{Definition: d, Head: agent.Head{
		ID: id.Agent(fmt.Sprintf("agent_01JP%022d", w.next)), Org: org, Name: d.Name, Type: agent.Custom, Status: agent.Draft,
		Category: d.Category, Created: start(), Updated: start(), Version: 1,
	}}
}

// anAct returns the n-th act on an object.
func anAct(object string, n int) audit.Entry {
	who := caller.Caller{Org: org, User: "user_01JSTAFF0000000000000000A", Session: "ses_01JSESSION00000000000000A", Address: "198.51.100.7"}
	return audit.Of(who, audit.Change{
		Kind: audit.AgentStatusChanged, Object: object, From: "version 12, paused", To: "version 13, active",
	}, start().Add(time.Duration(n)*time.Second))
}

// entry returns a refusal of a new event.
func (w *fixture) entry() activity.Entry {
	x := w.run(w.agent.ID)
	return activity.Entry{
		ID: activity.ID(org, x.Agent, x.Trigger.ID, x.Trigger.Published), Org: org, Agent: x.Agent, At: x.Created,
		Event: x.Trigger.ID, EventType: x.Trigger.Type, Product: x.Trigger.Product,
		Outcome: definition.Filtered, Detail: "priority is p2, not p1", Client: x.Trigger.Client,
		Fault: &condition.Fault{Path: "priority", Operator: condition.Eq, Wanted: "p1", Found: "p2"},
	}
}

// newFixture returns a fixture without items.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	db, name := connect(t, direct()), table(t)
	return &fixture{t: t, db: db, table: name, store: dynamo.New(db, name)}
}

// announce stores the organization.
func (w *fixture) announce() {
	w.ok(w.store.SaveTenant(w.t.Context(), tenant.Tenant{Org: org, Plan: credit.Growth, Created: start(), Updated: start()}, month))
}

// settled returns a fixture with the items that every pattern needs.
func settled(t *testing.T) *fixture {
	t.Helper()
	w := newFixture(t)
	w.announce()
	w.agent, w.draft = w.saved("ticket.created", agent.Active), w.saved("ticket.escalated", agent.Draft)
	hash, _ := key.HashOf("secret")
	w.key = key.Key{ID: "key_01JKEY", Org: org, Name: "CI", Access: caller.ReadWrite, Hash: hash, Created: start()}
	w.ok(w.store.CreateKey(t.Context(), w.key))
	w.ok(w.store.SaveFact(t.Context(), org, "client_01JCLIENT", client.Fact{Kind: client.Posture, At: start(), Event: "evt_1", Score: 71.5}))
	for n := range 20 {
		w.ok(w.store.SaveFact(t.Context(), org, "client_01JCLIENT", ticket(n)))
	}
	for n := range history {
		k := w.newKey()
		w.ok(w.store.CreateKey(t.Context(), k, anAct("agent_system_dispatch", n)))
		w.ok(w.store.RevokeKey(t.Context(), org, k.ID))
		w.waiting()
		w.failed()
		w.parked()
	}
	w.holding()
	w.committed(ending(w.leased(), execution.Steps{})(action("a")))
	return w
}

// crowd adds completed runs of the same agent.
func (w *fixture) crowd(n int) {
	runs := make(chan execution.Execution)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for x := range runs {
				if err := w.store.Create(w.t.Context(), x); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	for range n {
		x := w.run(w.agent.ID)
		runs <- x.Complete(x.Created)
	}
	close(runs)
	wg.Wait()
}

// someAgents returns the names of 25 agents.
func someAgents() (names []id.Agent) {
	for n := range 25 {
		names = append(names, id.Agent(fmt.Sprintf("agent_%d", n)))
	}
	return names
}

// newEvent returns a received event of a day.
func (w *fixture) newEvent(at time.Time) journal.Entry {
	e := w.run(w.agent.ID).Trigger
	e.Published = at.Add(time.Duration(w.next) * time.Second)
	entry, _ := journal.Of(e, 30, at)
	return entry
}

// received stores a received event of a day.
func (w *fixture) received(at time.Time) { w.ok(w.store.KeepEvent(w.t.Context(), org, w.newEvent(at))) }

// journalled returns an organization that received 70 events of the types together.
func (w *fixture) journalled(types ...string) id.Org {
	o := id.Org("org_" + rand.Text())
	for n := range 70 {
		e := w.newEvent(start())
		e.Event.Type, e.Event.Published = types[n%len(types)], start().Add(time.Duration(n)*time.Second)
		w.ok(w.store.KeepEvent(w.t.Context(), o, e))
	}
	return o
}

// got drops the result of a call.
func got[T any](_ T, err error) error { return err }

// ticket returns the fact that the nth ticket was created.
func ticket(n int) client.Fact {
	return client.Fact{Kind: client.Ticket, Name: fmt.Sprintf("tkt_%05d", n), At: start().Add(time.Duration(n) * time.Minute)}
}

// patterns returns the implementation of each row in doc.go.
func patterns() map[string]pattern {
	all := map[string]pattern{}
	for _, some := range []map[string]pattern{orgPatterns(), agentPatterns(), dispatchPatterns(), runPatterns(), listPatterns()} {
		maps.Copy(all, some)
	}
	return all
}

// listsFirst returns the names of the patterns. The lists are first: the other patterns
// leave runs of several sizes, which would be on the lists' first pages.
func listsFirst() []string {
	lists, all := listPatterns(), patterns()
	maps.DeleteFunc(all, func(name string, _ pattern) bool { return lists[name] != nil })
	return slices.Concat(slices.Sorted(maps.Keys(lists)), slices.Sorted(maps.Keys(all)))
}

func orgPatterns() map[string]pattern {
	return map[string]pattern{
		"Tenant, Plan": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Tenant(ctx, org)) }
		},
		"SaveTenant": func(w *fixture) call {
			x := tenant.Tenant{Org: id.Org("org_" + rand.Text()), Plan: credit.Growth, Created: start(), Updated: start()}
			return func(ctx context.Context) error { return w.store.SaveTenant(ctx, x, month) }
		},
		"SaveSettings": func(w *fixture) call {
			x := tenant.Tenant{Org: id.Org("org_" + rand.Text()), Plan: credit.Growth, Created: start(), Updated: start()}
			w.ok(w.store.SaveTenant(w.t.Context(), x, month))
			x.Revision++
			x.Settings = tenant.Settings{Chosen: map[tenant.Policy]tenant.Choice{tenant.SelfApproval: tenant.Deny}, Revision: 1}
			return func(ctx context.Context) error { return w.store.SaveSettings(ctx, x, anAct(string(x.Org), 1)) }
		},
		"SaveOrgPause": func(w *fixture) call {
			x := tenant.Tenant{Org: id.Org("org_" + rand.Text()), Plan: credit.Growth, Created: start(), Updated: start()}
			w.ok(w.store.SaveTenant(w.t.Context(), x, month))
			x.Revision++
			x = x.Paused(tenant.Pause{By: "user_1", At: start(), OpenRuns: tenant.Hold}).Searched(start())
			return func(ctx context.Context) error { return w.store.SaveOrgPause(ctx, x, anAct(string(x.Org), 1)) }
		},
		"Searching, none": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Searching(ctx, 100)) }
		},
		"Erasing, none": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Erasing(ctx, start(), 100)) }
		},
		"BeginErasure": func(w *fixture) call {
			x := tenant.Tenant{Org: id.Org("org_" + rand.Text()), Plan: credit.Growth, Created: start(), Updated: start()}
			w.ok(w.store.SaveTenant(w.t.Context(), x, month))
			e := tenant.Erasure{Org: x.Org, Event: "evt_deleted", Deleted: start(), Began: start(), Stage: tenant.Stopping, Next: start().Add(time.Hour)}
			return func(ctx context.Context) error { return w.store.BeginErasure(ctx, e) }
		},
		"Refusal": func(w *fixture) call {
			return func(ctx context.Context) error {
				e := activity.Entry{ID: activity.ID(org, w.agent.ID, "evt_1", start()), Org: org, Agent: w.agent.ID}
				return got(w.store.Refusal(ctx, e))
			}
		},
		"Missed": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Missed(ctx, org, "agent_01JNEVER", start())) }
		},
		"Commit: hold": func(w *fixture) call {
			held, _ := w.leased().Hold()
			return func(ctx context.Context) error { return w.store.Commit(ctx, execution.Change{Execution: held}) }
		},
		"Balance": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Balance(ctx, org, month)) }
		},
		"Balance of a month without use": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Balance(ctx, org, month.Before(1))) }
		},
		"Balances of 12 months": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Balances(ctx, org, month, 12)) }
		},
		"CreateKey": func(w *fixture) call {
			k := w.newKey()
			return func(ctx context.Context) error { return w.store.CreateKey(ctx, k) }
		},
		"RevokeKey": func(w *fixture) call {
			k := w.newKey()
			w.ok(w.store.CreateKey(w.t.Context(), k))
			return func(ctx context.Context) error { return w.store.RevokeKey(ctx, org, k.ID) }
		},
		"Keys": func(w *fixture) call {
			k := w.newKey()
			k.Org = id.Org("org_" + rand.Text())
			w.ok(w.store.CreateKey(w.t.Context(), k))
			return func(ctx context.Context) error { return got(w.store.Keys(ctx, k.Org)) }
		},
		"KeyByHash": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.KeyByHash(ctx, w.key.Hash)) }
		},
		"Rotation": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Rotation(ctx, org)) }
		},
		"SaveRotation": func(w *fixture) call {
			o := id.Org("org_" + rand.Text())
			act := anAct("webhook_secret", 1)
			act.Org = o
			return func(ctx context.Context) error {
				return w.store.SaveRotation(ctx, o, key.Rotation{}, key.Rotation{}.Next(start()), act)
			}
		},
		"MarkUsed": func(w *fixture) call {
			w.next++
			k := w.key
			k.Used = start().Add(time.Duration(w.next) * 24 * time.Hour)
			return func(ctx context.Context) error { return w.store.MarkUsed(ctx, k) }
		},
		"Revoke": func(w *fixture) call {
			r := tenant.Revocation{Org: org, JTI: "ses_01J", Expires: start()}
			return func(ctx context.Context) error { return w.store.Revoke(ctx, r) }
		},
		"Revoke, user": func(w *fixture) call {
			r := tenant.Revocation{Org: org, User: id.User("user_" + rand.Text()), Before: start(), Expires: start()}
			return func(ctx context.Context) error { return w.store.Revoke(ctx, r) }
		},
		"Revoked": func(w *fixture) call {
			session := tenant.Session{Org: org, JTI: "ses_01J", User: "user_1", Issued: start()}
			return func(ctx context.Context) error { return got(w.store.Revoked(ctx, session)) }
		},
		"Standing": func(w *fixture) call {
			session := tenant.Session{Org: org, JTI: "ses_01J", User: "user_1", Issued: start()}
			return func(ctx context.Context) error {
				_, _, err := w.store.Standing(ctx, session)
				return err
			}
		},
		"BeginDelivery": func(w *fixture) call {
			w.next++
			name := fmt.Sprintf("msg_%d", w.next)
			return func(ctx context.Context) error { return got(w.store.BeginDelivery(ctx, org, name, start())) }
		},
		"EndDelivery": func(w *fixture) call {
			w.next++
			name := fmt.Sprintf("msg_%d", w.next)
			_, err := w.store.BeginDelivery(context.Background(), org, name, start())
			if err != nil {
				w.t.Fatal(err)
			}
			return func(ctx context.Context) error { return w.store.EndDelivery(ctx, org, name) }
		},
		"Lease": func(w *fixture) call {
			return func(ctx context.Context) error {
				_, _, err := w.store.Lease(ctx, limit.Pot{Org: org, User: "user_1", Limit: 100}, start().Truncate(time.Minute), 10)
				return err
			}
		},
		"SaveFact": func(w *fixture) call {
			w.next++
			f := ticket(1000 + w.next)
			return func(ctx context.Context) error { return w.store.SaveFact(ctx, org, "client_01JANOTHER", f) }
		},
		"KeepEvent": func(w *fixture) call {
			w.received(start())
			e := w.newEvent(start())
			return func(ctx context.Context) error { return w.store.KeepEvent(ctx, org, e) }
		},
		"KeepEvent, the first of its type and day": func(w *fixture) call {
			e := w.newEvent(start().AddDate(0, 0, w.next%10_000))
			return func(ctx context.Context) error { return dynamo.New(w.db, w.table).KeepEvent(ctx, org, e) }
		},
		"KeepLetter": func(w *fixture) call {
			l := journal.LetterOf(w.newEvent(start()).Event.ID, "psa:ticket.created", "failed", "It failed.", start())
			return func(ctx context.Context) error { return w.store.KeepLetter(ctx, org, l) }
		},
		"Letter": func(w *fixture) call {
			l := journal.LetterOf(w.newEvent(start()).Event.ID, "psa:ticket.created", "failed", "It failed.", start())
			w.ok(w.store.KeepLetter(w.t.Context(), org, l))
			return func(ctx context.Context) error {
				_, _, err := w.store.Letter(ctx, org, l.Event)
				return err
			}
		},
		"Recorded, at 25 agents": func(w *fixture) call {
			e := w.run(w.agent.ID).Trigger
			return func(ctx context.Context) error { return got(w.store.Recorded(ctx, org, e, someAgents())) }
		},
		"Exist, 50 runs": func(w *fixture) call {
			e := w.run(w.agent.ID).Trigger
			var runs []id.Execution
			for _, a := range someAgents() {
				runs = append(runs, execution.ID(org, a, e), execution.ID(org, a+"b", e))
			}
			return func(ctx context.Context) error { return got(w.store.Exist(ctx, org, runs)) }
		},
		"Received": func(w *fixture) call {
			o := w.journalled("ticket.created", "ticket.updated", "ticket.resolved")
			return func(ctx context.Context) error {
				return got(w.store.Received(ctx, o, journal.Query{Since: start(), Now: start(), Limit: page}))
			}
		},
		"Received, of a type": func(w *fixture) call {
			o := w.journalled("ticket.created")
			q := journal.Query{Type: "psa:ticket.created", Since: start(), Now: start(), Limit: page}
			return func(ctx context.Context) error { return got(w.store.Received(ctx, o, q)) }
		},
		"Received, one event": func(w *fixture) call {
			o := w.journalled("ticket.created")
			q := journal.Query{Type: "psa:ticket.created", Since: start().Add(3 * time.Second), Until: start().Add(4 * time.Second), Now: start(), Limit: 1}
			return func(ctx context.Context) error { return got(w.store.Received(ctx, o, q)) }
		},
		"SaveFact, again": func(w *fixture) call {
			return func(ctx context.Context) error { return w.store.SaveFact(ctx, org, "client_01JCLIENT", ticket(1)) }
		},
		"Facts": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Facts(ctx, org, "client_01JCLIENT")) }
		},
	}
}

func agentPatterns() map[string]pattern {
	return map[string]pattern{
		"Agent": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Agent(ctx, org, w.agent.ID)) }
		},
		"Version": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Version(ctx, org, w.agent.ID, 1)) }
		},
		"Versions": func(w *fixture) call {
			return func(ctx context.Context) error {
				return got(w.store.Versions(ctx, org, w.agent.ID, agent.VersionQuery{Limit: 50}))
			}
		},
		"Agents": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Agents(ctx, org)) }
		},
		"AgentNames": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.AgentNames(ctx, org, []id.Agent{w.agent.ID})) }
		},
		"Stats": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Stats(ctx, org)) }
		},
		"SaveAgent, new": func(w *fixture) call {
			a := w.newAgent("ticket.escalated")
			return func(ctx context.Context) error { return w.store.SaveAgent(ctx, agent.Agent{}, a, agent.Cap{}) }
		},
		"SaveAgent, becoming active": func(w *fixture) call {
			before := w.saved("ticket.escalated", agent.Draft)
			after := before
			after.Status, after.UpdatedBy = agent.Active, "user_01KWZG7Q8RSTVWXYZ0123456"
			return func(ctx context.Context) error {
				return w.store.SaveAgent(ctx, before, after, agent.Cap{Limited: true, Most: 25})
			}
		},
		"SaveAgent, active, with uses": func(w *fixture) call {
			before := w.saved("ticket.escalated", agent.Draft)
			after := before
			after.Status, after.UpdatedBy = agent.Active, "user_01KWZG7Q8RSTVWXYZ0123456"
			after.Uses = []tenant.Use{tenant.Hears("psa:ticket"), tenant.Makes("psa:note")}
			return func(ctx context.Context) error {
				return w.store.SaveAgent(ctx, before, after, agent.Cap{Limited: true, Most: 25})
			}
		},
		"SaveAgent, becoming invalid": func(w *fixture) call {
			before := w.saved("ticket.escalated", agent.Active)
			after := before
			after.Status = agent.Invalid
			return func(ctx context.Context) error { return w.store.SaveAgent(ctx, before, after, agent.Cap{}) }
		},
		"SaveAgent, active, new version": func(w *fixture) call {
			before := w.saved("ticket.escalated", agent.Active)
			after := before
			after.Version++
			return func(ctx context.Context) error { return w.store.SaveAgent(ctx, before, after, agent.Cap{}) }
		},
		"SaveRequested": func(w *fixture) call {
			a := w.newAgent("ticket.escalated")
			return func(ctx context.Context) error {
				return w.store.SaveRequested(ctx, a, agent.Request{Key: "k" + string(a.ID), Digest: "d", Agent: a.ID, Made: a.Created}, a.Created.Add(-agent.RequestKept))
			}
		},
		"Requested": func(w *fixture) call {
			return func(ctx context.Context) error {
				_, _, err := w.store.Requested(ctx, org, "k")
				return err
			}
		},
		"DeleteAgent, active": func(w *fixture) call {
			a := w.saved("ticket.escalated", agent.Active)
			return func(ctx context.Context) error { return w.store.DeleteAgent(ctx, a) }
		},
		"DeleteAgent, draft": func(w *fixture) call {
			a := w.saved("ticket.escalated", agent.Draft)
			return func(ctx context.Context) error { return w.store.DeleteAgent(ctx, a) }
		},
		"CreateKey, with its act": func(w *fixture) call {
			k := w.newKey()
			return func(ctx context.Context) error { return w.store.CreateKey(ctx, k, anAct(string(k.ID), 1)) }
		},
		"SaveDecision, with its act": func(w *fixture) call {
			_, a := w.waiting()
			a.Status = approval.Approved
			return func(ctx context.Context) error {
				return w.store.SaveDecision(ctx, a, start(), anAct(string(a.ID), 1))
			}
		},
		"CreateRetry": func(w *fixture) call {
			x := w.begun()
			x.RetryOf, x.ID, x.Created, x.Revision = x.ID, id.Execution("exec_"+rand.Text()), x.Created.Add(time.Hour), 0
			x = x.Kept(0, 0)
			return func(ctx context.Context) error { return w.store.CreateRetry(ctx, x, anAct(string(x.ID), 1)) }
		},
		"Audit": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Audit(ctx, org, audit.Query{Limit: 50})) }
		},
		"Audit of an object": func(w *fixture) call {
			return func(ctx context.Context) error {
				return got(w.store.Audit(ctx, org, audit.Query{Limit: 50, Object: "agent_system_dispatch"}))
			}
		},
		"Pauses": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Pauses(ctx, org)) }
		},
		"SavePause": func(w *fixture) call {
			return func(ctx context.Context) error {
				return w.store.SavePause(ctx, org, "agent_system_dispatch", "psa:ticket.created", agent.Pause{By: "user_1"})
			}
		},
		"DeletePause": func(w *fixture) call {
			w.ok(w.store.SavePause(w.t.Context(), org, "agent_system_dispatch", "psa:ticket.created", agent.Pause{By: "user_1"}))
			return func(ctx context.Context) error {
				return w.store.DeletePause(ctx, org, "agent_system_dispatch", "psa:ticket.created")
			}
		},
	}
}

func dispatchPatterns() map[string]pattern {
	return map[string]pattern{
		"Listeners": func(w *fixture) call {
			return func(ctx context.Context) error {
				_, _, err := w.store.Listeners(ctx, org, "psa:ticket.created")
				return err
			}
		},
		"ClaimDedup": func(w *fixture) call {
			x := w.run(w.agent.ID)
			return func(ctx context.Context) error { return got(w.store.ClaimDedup(ctx, x, x.Created, x.Created)) }
		},
		"DedupHolder": func(w *fixture) call {
			x := w.begun()
			return func(ctx context.Context) error { return got(w.store.DedupHolder(ctx, x, x.Created)) }
		},
		"ReleaseDedup": func(w *fixture) call {
			x := w.begun()
			return func(ctx context.Context) error { return w.store.ReleaseDedup(ctx, x) }
		},
		"Tree": func(w *fixture) call {
			root, _ := w.tree()
			return func(ctx context.Context) error { return got(w.store.Tree(ctx, org, root)) }
		},
		"SaveTree": func(w *fixture) call {
			root, before := w.tree()
			after, _ := before.Admit(quota.Root{}, []id.Execution{w.run(w.agent.ID).ID}, 200)
			return func(ctx context.Context) error { return w.store.SaveTree(ctx, org, root, before, after, start()) }
		},
		"AddUses": func(w *fixture) call {
			return func(ctx context.Context) error {
				return w.store.AddUses(ctx, org, []tenant.Use{tenant.Makes("psa:ticket")})
			}
		},
		"Maker": func(w *fixture) call {
			made := w.made()
			return func(ctx context.Context) error { return got(w.store.Maker(ctx, org, made, start())) }
		},
		"SaveMaker": func(w *fixture) call {
			w.next++
			made := catalog.ObjectID{Kind: "psa:ticket", ID: fmt.Sprintf("tkt_%d", w.next)}
			return func(ctx context.Context) error {
				return w.store.SaveMaker(ctx, org, made, w.run(w.agent.ID).ID, start())
			}
		},
		"SaveMaker, again": func(w *fixture) call {
			made := w.made()
			return func(ctx context.Context) error {
				return w.store.SaveMaker(ctx, org, made, w.run(w.agent.ID).ID, start())
			}
		},
		"LimitStarts": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.LimitStarts(ctx, org, w.draft.ID)) }
		},
		"AdmitWithinLimit": func(w *fixture) call {
			x := w.run(w.draft.ID)
			seen, err := w.store.LimitStarts(w.t.Context(), org, x.Agent)
			w.ok(err)
			return func(ctx context.Context) error {
				return got(w.store.AdmitWithinLimit(ctx, x, definition.Limit{PerHour: 5}, seen, x.Created))
			}
		},
		"Create": func(w *fixture) call {
			x := w.run(w.agent.ID)
			x = x.FirstLeased(owner, x.Created)
			return func(ctx context.Context) error { return w.store.Create(ctx, x) }
		},
		"AdmitRuns": func(w *fixture) call {
			a := w.admission(3)
			return func(ctx context.Context) error { return w.counted(ctx, a, true) }
		},
		"AdmitRuns, refused": func(w *fixture) call {
			a := w.admission(3)
			a.Limits.RunsPerMinute = 0
			return func(ctx context.Context) error { return w.counted(ctx, a, false) }
		},
		"WithdrawRun": func(w *fixture) call {
			a := w.admission(1)
			w.ok(w.counted(w.t.Context(), a, true))
			return func(ctx context.Context) error { return w.store.WithdrawRun(ctx, org, a.Minute, a.Runs[0]) }
		},
		"SaveOpen": func(w *fixture) call {
			w.admission(1)
			before, err := w.store.RunTally(w.t.Context(), org)
			w.ok(err)
			return func(ctx context.Context) error { return w.store.SaveOpen(ctx, org, before, before.Open, start()) }
		},
		"RunTally": func(w *fixture) call {
			w.admission(1)
			return func(ctx context.Context) error { return got(w.store.RunTally(ctx, org)) }
		},
		"AdmitMessages": func(w *fixture) call {
			b := w.batch(1 << 20)
			return func(ctx context.Context) error { _, _, err := w.store.AdmitMessages(ctx, org, b); return err }
		},
		"AdmitMessages, refused": func(w *fixture) call {
			b := w.batch(1)
			return func(ctx context.Context) error { _, _, err := w.store.AdmitMessages(ctx, org, b); return err }
		},
		"Messages": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Messages(ctx, org, quota.DayOf(start()))) }
		},
		"OpenRuns, few": func(w *fixture) call {
			now := start().AddDate(0, 1, 0)
			return func(ctx context.Context) error {
				return got(w.store.OpenRuns(ctx, "org_01JMSP0000000000000000000B", now.Add(-time.Minute), now))
			}
		},
		"Refuse": func(w *fixture) call {
			e := w.entry()
			return func(ctx context.Context) error { return w.store.Refuse(ctx, e) }
		},
		"Refuse, again": func(w *fixture) call {
			e := w.entry()
			w.ok(w.store.Refuse(w.t.Context(), e))
			e.At = e.At.Add(time.Hour)
			return func(ctx context.Context) error { return w.store.Refuse(ctx, e) }
		},
		"Refuse, late": func(w *fixture) call {
			e := w.entry()
			e.At = e.At.Add(time.Hour)
			return func(ctx context.Context) error { return w.store.Refuse(ctx, e) }
		},
	}
}

// commits returns the pattern that commits the change.
func commits(change func(w *fixture) execution.Change) pattern {
	return func(w *fixture) call {
		c := change(w)
		return func(ctx context.Context) error { return w.store.Commit(ctx, c) }
	}
}

func runPatterns() map[string]pattern {
	return map[string]pattern{
		"Execution": func(w *fixture) call {
			x := w.leased()
			for _, name := range []id.Step{"a", "b", "c"} {
				w.ok(w.store.SaveStep(w.t.Context(), x, action(name)))
			}
			return func(ctx context.Context) error {
				_, _, err := w.store.Execution(ctx, org, x.ID)
				return err
			}
		},
		"ExecutionAt, new run": func(w *fixture) call {
			c := w.begun().Cursor()
			return func(ctx context.Context) error {
				_, _, err := w.store.ExecutionAt(ctx, c)
				return err
			}
		},
		"Header": func(w *fixture) call {
			x := w.leased()
			return func(ctx context.Context) error { return got(w.store.Header(ctx, org, x.ID)) }
		},
		"SaveStep": func(w *fixture) call {
			x := w.leased()
			return func(ctx context.Context) error { return w.store.SaveStep(ctx, x, answer()) }
		},
		"SaveNewStep": func(w *fixture) call {
			x := w.leased()
			return func(ctx context.Context) error { return w.store.SaveNewStep(ctx, x, answer()) }
		},
		"FenceStep": func(w *fixture) call {
			x, s := w.leased(), answer()
			s.Status = execution.StepRunning
			w.ok(w.store.SaveStep(w.t.Context(), x, s))
			return func(ctx context.Context) error { return w.store.FenceStep(ctx, x, s.ID) }
		},
		"Commit: lease": commits(func(w *fixture) execution.Change {
			x, _ := w.begun().Leased(owner, 0, start())
			return execution.Change{Execution: x}
		}),
		"Commit: renew": commits(func(w *fixture) execution.Change {
			return execution.Change{Execution: w.leased().Renewed(start().Add(time.Hour))}
		}),
		"Commit: found open": commits(func(w *fixture) execution.Change {
			found, _ := w.leased().FindOpen()
			return execution.Change{Execution: found}
		}),
		"Commit: renew, found open": commits(func(w *fixture) execution.Change {
			return execution.Change{Execution: w.foundOpen().Renewed(start().Add(time.Hour))}
		}),
		"Commit: end, found open": commits(func(w *fixture) execution.Change {
			return w.brief(ending(w.foundOpen(), execution.Steps{}))
		}),
		"Commit: postpone": commits(func(w *fixture) execution.Change {
			x := w.leased()
			x.Due, x.WasParked = x.Due.Add(time.Minute), true
			return execution.Change{Execution: x}
		}),
		"Commit: lease after parking": commits(func(w *fixture) execution.Change {
			x, _ := w.waiting()
			x, _ = x.Leased(owner, 0, start())
			return execution.Change{Execution: x}
		}),
		"Commit: reserve": commits(func(w *fixture) execution.Change {
			c, _ := w.leased().Reserved("classify_ticket", hold())
			c.Watched = true
			return c
		}),
		"Commit: reserve, marked": commits(func(w *fixture) execution.Change {
			seen, err := w.store.Balance(w.t.Context(), org, month)
			w.ok(err)
			h := hold()
			h.Low = credit.Low{Marks: 1, Used: 80_000, Allocation: 100_000}
			c, _ := w.leased().Reserved("classify_ticket", h)
			c.Watched, c.Seen = true, &seen
			return c
		}),
		"Commit: no answer": commits(func(w *fixture) execution.Change {
			c, _ := w.holding().Released(execution.StepRecord{ID: "classify_ticket", Status: execution.StepFailed})
			return c
		}),
		"Commit: refused answer": commits(func(w *fixture) execution.Change {
			x := w.holding()
			c, _ := x.Released(execution.StepRecord{ID: "classify_ticket", Status: execution.StepFailed, Refused: true})
			seen, err := w.store.Balance(w.t.Context(), org, month)
			w.ok(err)
			h := c.Released[0]
			return c.Pardoned(&credit.Pardon{Hold: h, Day: h.Month.DayOf(start()), Seen: &seen})
		}),
		"Commit: wait for approval": commits(func(w *fixture) execution.Change {
			x := w.leased()
			step, a := action("confirm_isolation"), question(x)
			step.Status = execution.StepWaiting
			return execution.Change{Execution: x.AwaitingApproval(a.Expires), Step: &step, Gate: &a}
		}),
		"Commit: ask again": commits(func(w *fixture) execution.Change {
			x := w.leased()
			gate := action("confirm_isolation")
			gate.Kind, gate.Status, gate.Asked = definition.Gate, execution.StepCompleted, start()
			w.ok(w.store.SaveStep(w.t.Context(), x, gate))
			x.WasParked = true
			w.ok(w.store.Commit(w.t.Context(), execution.Change{Execution: x}))
			x.Revision++
			again, earlier := gate.Again()
			return execution.Change{
				Execution: x.Parked(start().Add(time.Hour)), Step: &again, Reopen: true, Closed: []execution.StepRecord{earlier},
			}
		}),
		"Commit: end": commits(func(w *fixture) execution.Change {
			return w.brief(ending(w.leased(), execution.Steps{}))
		}),
		"Commit: end, with a last step of 1 KB": commits(func(w *fixture) execution.Change {
			return w.longest(ending(w.leased(), execution.Steps{}))
		}),
		"Commit: end after parking": commits(func(w *fixture) execution.Change {
			return w.brief(ending(w.parked(), execution.Steps{}))
		}),
		"Commit: end, answers charged": commits(func(w *fixture) execution.Change {
			return w.brief(ending(w.holding(), execution.Steps{"classify_ticket": answer()}))
		}),
		"Commit: end, no answer": commits(func(w *fixture) execution.Change {
			return w.brief(ending(w.holding(), execution.Steps{}))
		}),
		"Commit: end, failed": commits(func(w *fixture) execution.Change { return w.brief(failing(w.leased())) }),
		"AddStats": func(w *fixture) call {
			a, _ := w.contributed(1)
			return w.adding(w.contribution(a), w.contribution(a), w.contribution(a))
		},
		"AddStats, first": func(w *fixture) call {
			a, _ := w.contributed(0)
			return w.adding(w.contribution(a))
		},
		"AddStats, again": func(w *fixture) call {
			_, c := w.contributed(1)
			return w.adding(c)
		},
		"AddStats, filing marks": func(w *fixture) call {
			a, _ := w.contributed(33)
			return w.adding(w.contribution(a))
		},
		"AddStats, late": func(w *fixture) call {
			late := w.contribution("")
			late.Agent, _ = w.contributed(34)
			return w.adding(late)
		},
		"Published": func(w *fixture) call {
			c := w.brief(failing(w.leased()))
			w.committed(c)
			return func(ctx context.Context) error { return w.store.Published(ctx, org, c.Outbox[0].ID) }
		},
		"Unpublished, none": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Unpublished(ctx, start(), 500)) }
		},
		"Alerts": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Alerts(ctx, org)) }
		},
		"SaveAlerts": func(w *fixture) call {
			o := id.Org("org_" + rand.Text())
			r := alert.Record{Mailed: start(), Open: []alert.Failure{{Event: "evt_1", At: start(), Code: "product_error"}}}
			return func(ctx context.Context) error { return w.store.SaveAlerts(ctx, o, r) }
		},
		"Approval": func(w *fixture) call {
			_, a := w.waiting()
			return func(ctx context.Context) error { return got(w.store.Approval(ctx, org, a.ID)) }
		},
		"SaveDecision": func(w *fixture) call {
			_, a := w.waiting()
			a.Status = approval.Approved
			return func(ctx context.Context) error { return w.store.SaveDecision(ctx, a, start()) }
		},
	}
}

func listPatterns() map[string]pattern {
	first := func(q execution.Query) pattern {
		return func(w *fixture) call {
			q.Limit = page
			return func(ctx context.Context) error { return got(w.store.Executions(ctx, org, q)) }
		}
	}
	of := func(st execution.Status) execution.Query {
		return execution.Query{Status: st, Now: start().Add(100 * 24 * time.Hour)}
	}
	ofAgent := func(q execution.Query) pattern {
		return func(w *fixture) call {
			q.Agent = w.agent.ID
			return first(q)(w)
		}
	}
	return map[string]pattern{
		"Executions":                     first(execution.Query{}),
		"Executions with payloads":       first(execution.Query{Payload: func(id.Execution) bool { return true }}),
		"Executions, of two statuses":    first(execution.Query{Among: []execution.Status{execution.Failed, execution.Cancelled}}),
		"Executions of an agent":         ofAgent(execution.Query{}),
		"Executions, failed":             first(of(execution.Failed)),
		"Executions of an agent, failed": ofAgent(of(execution.Failed)),
		"Executions, completed": func(w *fixture) call {
			o := id.Org("org_" + rand.Text())
			for n := range page + 2 {
				x := w.run(id.Agent(fmt.Sprintf("agent_01JMANY%019d", n%2)))
				x.Org = o
				w.ok(w.store.Create(w.t.Context(), x.Complete(x.Created)))
				if n < 2 {
					c := w.contribution(x.Agent)
					c.Org = o
					w.ok(w.store.AddStats(w.t.Context(), o, x.Agent, []execution.Contribution{c}))
				}
			}
			q := execution.Query{Status: execution.Completed, Limit: page}
			return func(ctx context.Context) error { return got(w.store.Executions(ctx, o, q)) }
		},
		"Executions, running, none young": first(of(execution.Running)),
		"Approvals, pending": func(w *fixture) call {
			q := approval.Query{Limit: page, Status: approval.Pending}
			return func(ctx context.Context) error { return got(w.store.Approvals(ctx, org, q)) }
		},
		"Approvals": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Approvals(ctx, org, approval.Query{Limit: page})) }
		},
		"Activity": func(w *fixture) call {
			q := activity.Query{Limit: page, Since: start()}
			return func(ctx context.Context) error { return got(w.store.Activity(ctx, org, w.agent.ID, q)) }
		},
		"OverdueJobs, none": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.OverdueJobs(ctx, start(), 100)) }
		},
		"CreateJob": func(w *fixture) call {
			j := w.job()
			return func(ctx context.Context) error { return got(w.store.CreateJob(ctx, j, "{}", jobAct(j))) }
		},
		"Job": func(w *fixture) call {
			j := w.begunJob()
			return func(ctx context.Context) error { return got(w.store.Job(ctx, j.Org, j.ID)) }
		},
		"JobResult": func(w *fixture) call {
			j := w.begunJob()
			w.ok(w.store.EndJob(w.t.Context(), j.Completed(start()), "{}"))
			return func(ctx context.Context) error { return got(w.store.JobResult(ctx, j.Org, j.ID)) }
		},
		"Jobs": func(w *fixture) call {
			j := w.begunJob()
			return func(ctx context.Context) error {
				return got(w.store.Jobs(ctx, j.Org, job.Query{Limit: 50, Now: start()}))
			}
		},
		"SaveJob: lease": func(w *fixture) call {
			j, _ := w.begunJob().Leased("w", start().Add(time.Hour))
			return func(ctx context.Context) error { return w.store.SaveJob(ctx, j) }
		},
		"SaveJob: progress": func(w *fixture) call {
			j := w.begunJob()
			j.Done = 9
			return func(ctx context.Context) error { return w.store.SaveJob(ctx, j) }
		},
		"EndJob": func(w *fixture) call {
			j := w.begunJob()
			return func(ctx context.Context) error { return w.store.EndJob(ctx, j.Completed(start()), "{}") }
		},
		"EndJob, cancelled": func(w *fixture) call {
			j := w.begunJob()
			ended, err := j.Cancel(start())
			w.ok(err)
			return func(ctx context.Context) error { return w.store.EndJob(ctx, ended, "", jobAct(j)) }
		},
		"Overdue, none": func(w *fixture) call {
			return func(ctx context.Context) error { return got(w.store.Overdue(ctx, start(), 500)) }
		},
	}
}

// job returns a new job of an organization that has no other.
func (w *fixture) job() job.Job {
	o := id.Org("org_" + rand.Text())
	return job.New(job.Job{ID: id.Job("job_" + id.Derive(start(), string(o))), Org: o, Kind: job.Backtest, By: "user_1"}, start())
}

func (w *fixture) begunJob() job.Job {
	j := w.job()
	w.ok(got(w.store.CreateJob(w.t.Context(), j, "{}")))
	j.Revision = 1
	w.t.Cleanup(func() { // an open job is due for every test of the table
		if now, err := w.store.Job(context.Background(), j.Org, j.ID); err == nil && !now.Status.Ended() {
			w.ok(w.store.EndJob(context.Background(), now.Completed(start()), ""))
		}
	})
	return j
}

func jobAct(j job.Job) audit.Entry {
	act := anAct(string(j.ID), 1)
	act.Org = j.Org
	return act
}

func (w *fixture) newKey() key.Key {
	hash, _ := key.HashOf(rand.Text())
	return key.Key{ID: id.Key("key_" + rand.Text()), Org: org, Name: "CI", Access: caller.Read, Hash: hash, Created: start()}
}

// row matches a line of the table in doc.go.
var row = regexp.MustCompile(`(?m)^//\t(\S.*?) {2,}(\d+) +([\d.]+) +([\d.]+) +(.*)$`)

// A cost is the documented cost of a pattern.
type cost struct {
	used

	how string
}

// used is the measured cost of a call.
type used struct {
	calls int
	meter.Units
}

// documented returns the cost of each pattern in doc.go.
func documented(t *testing.T) map[string]cost {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]cost{}
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		n := [3]float64{}
		for i := range n {
			if n[i], err = strconv.ParseFloat(m[i+2], 64); err != nil {
				t.Fatal(err)
			}
		}
		rows[m[1]] = cost{used{int(n[0]), meter.Units{Read: n[1], Write: n[2]}}, m[5]}
	}
	return rows
}

// Every access pattern costs what doc.go documents, also beside 10,000 other
// runs of the same agent.
func TestUnits(t *testing.T) {
	t.Parallel()

	w := settled(t)
	rows, all := documented(t), patterns()
	if len(rows) != len(all) {
		t.Errorf("doc.go lists %d patterns, want %d", len(rows), len(all))
	}
	exact := w.usage(all["CreateKey"]).Write == 6
	if !exact {
		t.Log("the endpoint counts transactions by a rule of its own; their write units are not compared")
	}
	for _, crowd := range []int{page, 10_000} {
		w.crowd(crowd)
		for _, name := range listsFirst() {
			p, want := all[name], rows[name]
			measured := func() used {
				u := w.usage(p)
				if !exact && strings.Contains(want.how, "transaction") {
					u.Write = want.Write
				}
				return u
			}
			got := measured()
			// The SDK repeats a call whose reply is lost, which changes its
			// cost. The next measurement shows the normal cost.
			for again := 0; got != want.used && again < 2; again++ {
				got = measured()
			}
			if got != want.used {
				t.Errorf("%s, among %d runs: %+v, want %+v", name, crowd, got, want.used)
			}
		}
	}
	w.counts(10_000)
}

// One query finds the listening agents, and its cost depends on their number
// alone.
func TestUnitsOfListenersAmongManyAgents(t *testing.T) {
	t.Parallel()

	const listening, others = 3, 10_000
	w := newFixture(t)
	w.announce()
	for range listening {
		w.saved("ticket.created", agent.Active)
	}
	listeners := func(ctx context.Context) error {
		list, paused, err := w.store.Listeners(ctx, org, "psa:ticket.created")
		if len(list) != listening || len(paused) != 0 {
			t.Errorf("%d agents listen and %d are paused, want %d and none", len(list), len(paused), listening)
		}
		return err
	}
	alone := w.usage(func(*fixture) call { return listeners })
	w.flock(others)
	if got := w.usage(func(*fixture) call { return listeners }); got != alone || got.calls != 1 || got.Read != 1 {
		t.Errorf("among %d agents: %+v, alone %+v; want one query of one unit", others, got, alone)
	}
}

// flock copies the active agents' items in the organization's own partition n
// times, under other names and events.
func (w *fixture) flock(n int) {
	w.t.Helper()
	var requests []types.WriteRequest
	events := []string{"ticket.escalated", "ticket.sla_warning", "ticket.create", "ticket.created2"}
	for _, e := range events {
		a := w.saved(e, agent.Active)
		rows, err := w.db.Query(w.t.Context(), &dynamodb.QueryInput{
			TableName: &w.table, KeyConditionExpression: aws.String("pk = :pk"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "ORG#" + string(org)}},
		})
		w.ok(err)
		own := slices.DeleteFunc(rows.Items, func(row map[string]types.AttributeValue) bool {
			sk, _ := row["sk"].(*types.AttributeValueMemberS)
			return !strings.Contains(sk.Value, string(a.ID))
		})
		if len(own) != 2 {
			w.t.Fatalf("an active agent has %d rows beside the organization's, want a head and a listener", len(own))
		}
		for range n / len(events) {
			w.next++
			for _, row := range own {
				requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{
					Item: renamed(row, string(a.ID), fmt.Sprintf("agent_01JP%022d", w.next)),
				}})
			}
		}
	}
	for batch := range slices.Chunk(requests, 25) {
		out, err := w.db.BatchWriteItem(w.t.Context(), &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{w.table: batch},
		})
		w.ok(err)
		if len(out.UnprocessedItems) > 0 {
			w.t.Fatal("the table is too busy")
		}
	}
}

// renamed returns a copy of a row with one name replaced in its texts.
func renamed(row map[string]types.AttributeValue, from, to string) map[string]types.AttributeValue {
	row = maps.Clone(row)
	for name, v := range row {
		if s, ok := v.(*types.AttributeValueMemberS); ok {
			row[name] = &types.AttributeValueMemberS{Value: strings.ReplaceAll(s.Value, from, to)}
		}
	}
	return row
}

// usage returns the measured cost of a pattern.
func (w *fixture) usage(p pattern) used {
	w.t.Helper()
	do := p(w)
	ctx, m := meter.With(w.t.Context())
	w.ok(do(ctx))
	return used{m.Count().Table, m.Count().Units}
}

// counts checks that counting is exact up to its bound, stops there, and stays
// within its cost.
func (w *fixture) counts(most int) {
	w.t.Helper()
	now := start().Add(time.Duration(w.next) * time.Second) // some of the runs are young
	for name, c := range map[string]struct {
		status execution.Status
		total  int
		more   bool
		bound  float64
	}{
		"all":       {"", most, true, 240},
		"completed": {execution.Completed, most, true, 330}, // the entries by agent and status are longer, and there are some agents
		"failed":    {execution.Failed, history, false, 5},
		"waiting":   {execution.WaitingApproval, history, false, 5},
		"running":   {execution.Running, history, false, 420}, // 300 for the runs of the last ten minutes, 100 for the page
	} {
		ctx, m := meter.With(w.t.Context())
		p, err := w.store.Executions(ctx, org, execution.Query{Limit: 1, Count: true, Status: c.status, Now: now})
		w.ok(err)
		if less := p.Total - c.total; less < 0 || less > 20 || p.More != c.more { // patterns leave a few behind
			w.t.Errorf("%s: total = %d, more = %t; want about %d and %t", name, p.Total, p.More, c.total, c.more)
		}
		used := m.Count()
		w.t.Logf("counting %s and a page of one costs %v read units", name, used.Read)
		if used.Read > c.bound {
			w.t.Errorf("counting %s uses %v units, want at most %v", name, used.Read, c.bound)
		}
	}
}
