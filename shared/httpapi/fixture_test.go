package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/explain"
	"theoneagents.app/agents/shared/hold"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/template"
	"theoneagents.app/agents/shared/tenant"
)

// now is the time of all these tests.
var now = time.Date(2026, time.March, 9, 14, 23, 1, 987_654_321, time.UTC)

// A fixture has the real services over a store in memory. org_a has one resource
// of every kind, org_b has none.
type fixture struct {
	store    *memory.Store
	catalog  catalog.Catalog
	agents   *agent.Service
	edge     Edge
	routes   []route
	patterns *http.ServeMux // finds the route of a request
	handler  http.Handler
	contract *openapi3.T
	secrets  map[string]string // the secrets of keys, by access
	log      *bytes.Buffer
	made     int // the number of ids made
	machine  machines
	broken   error // returned for every credit balance, when set

	background *job.Service

	quotas quota.Limits
	later  time.Duration // by which the clock of authentication is ahead
}

func (w *fixture) now() time.Time { return now.Add(w.later) }

// The ids of the resources of org_a.
const (
	agentID   = "agent_01CUSTOM"
	systemID  = "agent_system_triage"
	doneID    = "exec_01DONE"
	failedID  = "exec_01FAILED"
	askingID  = "exec_01ASKING"
	pendingID = "appr_01PENDING"
	oldID     = "appr_01OLD"
)

// callKeySet is the key set of the tests.
const callKeySet = `{"keys":[{"kty":"EC","use":"sig","alg":"ES256","kid":"Lh-k1bgrwxc1kA0ZOCxzGP0Cu7GSmS4K5a3rLXrqIBo",` +
	`"crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

const exampleAgent = `{
	"name": "P1 Escalation Notify",
	"description": "Tells the seniors.",
	"category": "service_desk",
	"trigger": {"type": "bus_event", "event_type": "ticket.created", "source_product": "psa",
		"filters": [{"field": "priority", "operator": "eq", "value": "p1"}]},
	"conditions": [{"context": "client_context", "field": "recent_incidents", "operator": "gt", "value": 3}],
	"steps": [
		{"id": "classify", "type": "ai_reason", "model": "standard", "prompt": "Classify {{ event_payload.subject }}"},
		{"id": "confirm", "type": "approval_gate", "message": "Really?", "approvers": {"users": ["user_member"]}},
		{"id": "choose", "type": "branch",
			"cases": [{"when": {"context": "run", "field": "steps.classify.output.text", "operator": "eq", "value": "p1"},
				"steps": [{"id": "note", "type": "product_action", "product": "psa", "action": "add_note",
					"params": {"ticket_id": "{{ event_payload.ticket_id }}", "body": "Seen."}}]}],
			"else": [{"id": "later", "type": "wait", "duration_seconds": 60}]},
		{"id": "tell", "type": "notification", "channel": "sms", "recipients": ["+15551234567"], "body": "Look."}
	],
	"conflict_behavior": "additive",
	"client_scope": {"exclude": ["client_1"]},
	"execution_limit": {"max_per_hour": 10}
}`

var catalogueFiles = fstest.MapFS{
	"psa/ticket.created.json": {Data: []byte(`{
		"source_product": "psa", "event_type": "ticket.created", "category": "service_desk",
		"display_name": "Ticket Created", "description": "A ticket was opened.", "headline": "ticket_id",
		"filterable_fields": [{"path": "priority", "label": "Priority", "type": "enum", "enum_values": ["p1", "p2"]}],
		"sample_payload": {"ticket_id": "tkt_abc123", "priority": "p2"}}`)},
	"defend/alert.fired.json": {Data: []byte(`{
		"source_product": "defend", "event_type": "alert.fired", "category": "security",
		"display_name": "Alert Fired", "description": "An alert fired.",
		"filterable_fields": [{"path": "severity", "label": "Severity", "type": "string"}],
		"sample_payload": {"severity": "critical"}}`)},
	"psa/actions/add_note.json": {Data: []byte(`{
		"product": "psa", "action": "add_note", "display_name": "Add Note", "description": "Adds a note.",
		"destructive": false, "sample_params": {"ticket_id": "tkt_abc123", "body": "Hello"}, "sample_reply": {"note_id": "note_1"}, "emits": ["psa:ticket.note_added"],
		"undo": {"action": "delete_note", "params": {"note_id": "ticket_id"}},
		"risk": {"param": "visibility", "values": {"public": "outward"}, "else": "internal"},
		"params": [
			{"name": "ticket_id", "type": "string", "required": true, "role": "target", "description": "The ticket."},
			{"name": "body", "type": "string", "required": true, "role": "content", "description": "The note."},
			{"name": "visibility", "type": "enum", "required": false, "role": "audience", "description": "The readers.",
				"enum_values": ["public", "internal"]}]}`)},
}

// machines counts the starts of runs and of workers, and the rings of doorbells.
type machines struct{ starts, rings, begun int }

func (m *machines) Restart(ctx context.Context, c machine.Cursor, _ time.Time) error {
	return m.Start(ctx, c)
}

func (m *machines) Begin(context.Context, job.Call) error       { m.begun++; return nil }
func (m *machines) Start(context.Context, machine.Cursor) error { m.starts++; return nil }
func (m *machines) Ring(context.Context, string) error          { m.rings++; return nil }
func (w *fixture) id(prefix string) string                      { w.made++; return fmt.Sprintf("%s_NEW%d", prefix, w.made) }
func (w *fixture) next(context.Context) string                  { return "req_1" }
func (w *fixture) report(context.Context, error)                {}
func (w *fixture) Caller(_ context.Context, token string) (caller.Caller, error) {
	role, org, _ := strings.Cut(token, "@")
	who := caller.Caller{Org: id.Org(org), User: id.User("user_" + role), Roles: []caller.Role{caller.Role(role)}}
	if !who.Roles[0].Known() {
		return caller.Caller{}, ErrUnauthorized
	}
	return who, nil
}

func (w *fixture) Balance(ctx context.Context, org id.Org, m credit.Month) (credit.Balance, error) {
	if w.broken != nil {
		return credit.Balance{}, w.broken
	}
	return w.store.Balance(ctx, org, m)
}

func (w *fixture) Balances(ctx context.Context, org id.Org, last credit.Month, n int) ([]credit.Balance, error) {
	if w.broken != nil {
		return nil, w.broken
	}
	return w.store.Balances(ctx, org, last, n)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{store: memory.New(), secrets: map[string]string{}, log: &bytes.Buffer{}, contract: theContract(t)}
	var err error
	if w.catalog, err = catalog.Load(catalogueFiles); err != nil {
		t.Fatal(err)
	}
	w.edge = Edge{
		Auth: &Auth{
			Sessions: w, Keys: w.store, Orgs: w.store, Origins: []string{"https://console.theoneagents.app"},
			Now: func() time.Time { return w.now() }, Report: func(_ context.Context, err error) { t.Error(err) },
		},
		Limits: &limit.Limiter{
			Store: w.store, Rates: limit.Rates{User: 6000, Keys: 6000}, Now: func() time.Time { return now },
			Report: func(_ context.Context, err error) { t.Error(err) },
		},
		Strangers: &limit.Addresses{Limit: 6000, Now: func() time.Time { return now }},
		Log:       slog.New(slog.NewJSONHandler(w.log, nil)), RequestID: w.next,
		Address: func(context.Context) string { return "198.51.100.7" },
		Now:     func() time.Time { return now }, CursorKey: bytes.Repeat([]byte("k"), 32),
	}
	w.wire(t)
	w.fill(t)
	return w
}

// wire creates the services and mounts every group on one handler.
func (w *fixture) wire(t *testing.T) {
	t.Helper()
	clock := func() time.Time { return now }
	rules := definition.Rules{Catalog: w.catalog}
	d, err := rules.Parse(parsed(t, exampleAgent))
	if err != nil {
		t.Fatal(err)
	}
	d.Name, d.Steps = "Triage Agent", d.Steps[:1]
	system := []agent.Agent{{Definition: d, Head: agent.Head{
		ID: systemID, Org: id.System, Name: d.Name, Description: d.Description, Needs: d.Needs(), Type: agent.System, Status: agent.Active, Category: d.Category,
		Created: now, Updated: now, Version: 1, Revision: 1,
	}, Editions: []agent.Edition{{Version: agent.Version{Number: 1, Created: now, Definition: d}}}}}
	quotas := &quota.Service{Store: w.store, Limits: func(credit.Plan) quota.Limits { return w.quotas }, Now: clock}
	w.quotas = quota.Of(credit.Growth)
	names := agent.Names{Definitions: agent.Definitions{System: system, Versions: w.store}, Store: w.store}
	runs := &execution.Service{
		Store: w.store, Definitions: names.Definitions, Tenants: w.store, Balances: w,
		Gates: w.store, Quotas: quotas, Machine: &w.machine, Doorbell: &w.machine, Now: clock, Sleep: atOnce, Report: w.report,
	}
	w.agents = &agent.Service{
		Store: w.store, Plans: w.store, Runs: runs, Rules: rules, Settings: w.store, System: system, Now: clock,
		NewID: func() id.Agent { return id.Agent(w.id("agent")) },
	}
	keyService := &key.Service{
		Store: w.store, Now: clock, NewID: func() id.Key { return id.Key(w.id("key")) },
		Random: func() [32]byte { return [32]byte{byte(w.made + 1)} }, Masters: key.Masters{Current: key.Master("a master of these tests")},
	}
	for _, access := range []caller.Access{caller.Read, caller.ReadWrite} {
		_, secret, err := keyService.Create(t.Context(), caller.Caller{Org: "org_a", User: "user_owner"}, string(access), access, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		w.secrets[string(access)] = secret
	}
	background := &job.Service{Store: w.store, Workers: &w.machine, Now: clock, NewID: func() id.Job { return id.Job(w.id("job")) }, Report: w.report}
	w.background = background
	w.routes = append(w.routes, agents{w.edge, w.edge.signer(), w.agents, w.templates(t), w.store, w.stage()}.routes()...)
	w.routes = append(w.routes, executions{w.edge, w.edge.signer(), runs, names, w.catalog, &subjects{}}.routes()...)
	w.routes = append(w.routes, approvals{
		w.edge, w.edge.signer(), &approval.Service{Store: w.store, Tenants: w.store, Revocations: w.store, Doorbell: &w.machine, Now: clock},
		names, w.catalog,
	}.routes()...)
	w.routes = append(w.routes, keys{w.edge, keyService}.routes()...)
	w.routes = append(w.routes, events{w.edge, w.catalog, w.edge.signer(), w.explanations(clock)}.routes()...)
	w.routes = append(w.routes, credits{w.edge, w, w.store, w.store, quotas}.routes()...)
	w.routes = append(w.routes, auditLog{w.edge, w.edge.signer(), &audit.Service{Store: w.store}}.routes()...)
	w.routes = append(w.routes, settings{w.edge, &tenant.SettingsService{Store: w.store, Now: clock}, 400}.routes()...)
	w.routes = append(w.routes, pause{w.edge, &hold.Service{
		Store: w.store, Runs: runs, Machine: &w.machine, System: system, Now: clock, Sleep: atOnce, Report: w.report,
	}}.routes()...)
	w.routes = append(w.routes, newJobs(background, &backtest.Service{Store: w.store, Jobs: background, Now: clock}, w.agents, w.edge).routes()...)
	w.routes = append(append(w.routes, callKeys([]byte(callKeySet))...), documents(pagesOf(builtPages()))...)
	w.handler = w.edge.mount(w.routes)
	w.patterns = http.NewServeMux()
	for _, rt := range w.routes {
		w.patterns.Handle(rt.pattern, http.NotFoundHandler())
	}
}

func (w *fixture) explanations(clock func() time.Time) *explain.Service {
	return &explain.Service{
		Agents: w.agents, Definitions: agent.Definitions{System: w.agents.System, Versions: w.store}, Records: w.store, Journal: w.store, Tenants: w.store, Acts: w.store,
		Profiles: &client.Service{Store: w.store, Now: clock}, Rules: w.agents.Rules, Now: clock,
	}
}

// templates returns a service with three templates.
func (w *fixture) templates(t *testing.T) *template.Service {
	t.Helper()
	file := func(name, category, title string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"id": "` + name + `", "category": "` + category + `", "name": "` + title + `",
			"description": "Waits a minute.", "version": "1.0.0", "definition": {"category": "service_desk",
			"trigger": {"type": "bus_event", "event_type": "ticket.created", "source_product": "psa"},
			"steps": [{"id": "later", "type": "wait", "duration_seconds": 60}]}}`)}
	}
	all, err := template.Load(fstest.MapFS{
		"files/c.json": {Data: []byte(`{"id": "tmpl_c", "category": "operations", "name": "Ticket Mail", "description": "Fill in the recipients.",
			"version": "1.0.0", "definition": {"category": "service_desk",
			"trigger": {"type": "bus_event", "event_type": "ticket.created", "source_product": "psa"},
			"steps": [{"id": "tell", "type": "notification", "channel": "email", "recipients": ["desk@example.com"], "body": "Look."}]}}`)},
		"files/a.json": file("tmpl_a", "security", "Alert Delay"), "files/b.json": file("tmpl_b", "operations", "Ticket Delay"),
	}, definition.Rules{Catalog: w.catalog})
	if err != nil {
		t.Fatal(err)
	}
	return &template.Service{All: func() ([]template.Template, error) { return all, nil }, Agents: w.agents}
}

// counting mounts the routes again, with another counter of strangers.
func (w *fixture) counting(s Strangers) {
	w.edge.Strangers = s
	w.handler = w.edge.mount(w.routes)
}

// fill stores one resource of every kind for org_a.
func (w *fixture) fill(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, org := range []id.Org{"org_a", "org_b"} {
		check(w.store.SaveTenant(ctx, tenant.Tenant{Org: org, Plan: credit.Growth, Created: now, Updated: now}, "2026-03"))
	}
	d, err := w.agents.Rules.Parse(parsed(t, exampleAgent))
	check(err)
	check(w.store.SaveAgent(ctx, agent.Agent{}, agent.Agent{Definition: d, Head: agent.Head{
		ID: agentID, Org: "org_a", Name: d.Name, Description: d.Description, Type: agent.Custom, Status: agent.Active, Category: d.Category,
		Created: now.Add(-time.Hour), Updated: now.Add(-time.Minute), Version: 1, Needs: d.Needs(),
	}}, agent.Cap{}))
	w.run(t, doneID, 3*time.Minute, func(x execution.Execution) execution.Change {
		hold := credit.Hold{Month: "2026-03", Tier: credit.Standard, Amount: 20}
		c, _ := x.Reserved("classify", hold)
		check(w.store.Commit(ctx, c))
		x, steps, err := w.store.Execution(ctx, "org_a", doneID)
		check(err)
		step := execution.StepRecord{
			ID: "classify", Kind: definition.AI, Status: execution.StepCompleted, Input: map[string]any{"prompt": "Classify"},
			Output: map[string]any{"text": "p1"}, Tries: 1, Charge: &hold,
			Usage:   &execution.Usage{Model: "anthropic.claude-sonnet-4-5", InputTokens: 812, OutputTokens: 211},
			Started: x.Started.Add(12 * time.Millisecond), Ended: x.Started.Add(855 * time.Millisecond),
		}
		check(w.store.SaveStep(ctx, execution.Execution{Org: "org_a", ID: doneID}, step))
		steps["classify"] = step
		return x.End(func(x execution.Execution) execution.Execution { return x.Complete(x.Started.Add(2 * time.Second)) }, steps, false)
	})
	w.run(t, failedID, 2*time.Minute, func(x execution.Execution) execution.Change {
		f := execution.Failure{Code: "product_error", Message: "The product said no.", Step: "note"}
		return x.End(func(x execution.Execution) execution.Execution { return x.Fail(f, x.Started.Add(time.Second)) }, nil, false)
	})
	w.run(t, askingID, time.Minute, func(x execution.Execution) execution.Change {
		step := execution.StepRecord{ID: "confirm", Kind: definition.Gate, Status: execution.StepWaiting, Asked: x.Started, Started: x.Started}
		gate := w.approval(approval.Approval{
			ID: approval.ID(x.Started, x.ID, "confirm"), Status: approval.Pending, Created: x.Started, Expires: now.Add(time.Hour),
		})
		return execution.Change{Execution: x.AwaitingApproval(gate.Expires), Step: &step, Gate: &gate}
	})
	w.ask(t, approval.Approval{
		ID: pendingID, Version: 1, StepName: "Ask the lead", Status: approval.Pending, Created: now.Add(-20 * time.Second), Expires: now.Add(time.Hour),
		Risk: catalog.Destructive, Behind: approval.Behind{Wrote: []id.Actor{"user_author"}, Known: true},
		Actions: []approval.Action{
			{Step: "isolate", Product: "defend", Action: "isolate_device", Params: map[string]any{"device_id": "dev_1"}},
			{Step: "note", Product: "psa", Action: "add_note"},
		},
		Then: []approval.Following{
			{Step: "isolate", Kind: definition.Action, Name: "Isolate the device", Certain: true},
			{Step: "tell", Kind: definition.Notification, Certain: true, Message: &approval.Message{
				Channel: definition.Email, Recipients: []string{"lead@msp.example"}, More: 2,
				Text: &approval.Text{Subject: "Isolated", Body: "dev_1 is isolated.", Cut: 12},
			}},
			{Step: "which", Kind: definition.Branching, Certain: true, Branch: &approval.Way{Open: true}},
			{Step: "note", Kind: definition.Action, Within: &approval.Place{Step: "which", Case: -1}},
			{Step: "call", Kind: definition.Notification, Within: &approval.Place{Step: "which"}, Message: &approval.Message{Channel: definition.SMS}},
			{Step: "then", Kind: definition.Branching, Certain: true, Branch: &approval.Way{Case: 1}},
			{Step: "later", Kind: definition.Waiting, Certain: true, Wait: &approval.Wait{Seconds: 60}},
		},
	})
	w.ask(t, approval.Approval{
		ID: oldID, Status: approval.Approved, Created: now.Add(-2 * time.Hour), Expires: now, DecidedBy: "user_admin",
		DecidedAt: now.Add(-time.Hour), Note: "Fine.",
		Votes: []approval.Vote{{User: "user_admin", Approve: true, Note: "Fine.", At: now.Add(-time.Hour)}},
	})
}

// run records a run of the agent that began ago, and commits the change of then.
func (w *fixture) run(t *testing.T, name id.Execution, ago time.Duration, then func(execution.Execution) execution.Change) {
	t.Helper()
	began := now.Add(-ago)
	x := execution.New(execution.Execution{
		ID: name, Org: "org_a", Agent: agentID, Version: 1, Trigger: event.Event{
			ID: "evt_01HXYZ", Type: "ticket.created", Product: "psa", Org: "org_a", Client: "cli_acme", Published: began,
			Payload: map[string]any{"ticket_id": "tkt_abc123", "priority": "p1", "large": int64(9007199254740993)},
		},
	}, began)
	x.Status, x.Started = execution.Running, began
	if err := w.store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	x.Revision = 1
	change := then(x)
	if err := w.store.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if c, adds := change.Contribution(); adds {
		if err := w.store.AddStats(t.Context(), c.Org, c.Agent, []execution.Contribution{c}); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *fixture) approval(a approval.Approval) approval.Approval {
	a.Org, a.Execution, a.Agent, a.Step = "org_a", askingID, agentID, "confirm"
	a.Message, a.Min, a.Token = "Really?", 1, "doorbell-token"
	a.Approvers.Users, a.OnExpiry = []id.User{"user_member"}, definition.Deny
	return a
}

// ask stores an approval of the run that waits.
func (w *fixture) ask(t *testing.T, a approval.Approval) {
	t.Helper()
	x, _, err := w.store.Execution(t.Context(), "org_a", askingID)
	if err != nil {
		t.Fatal(err)
	}
	a = w.approval(a)
	if err := w.store.Commit(t.Context(), execution.Change{Execution: x, Gate: &a}); err != nil {
		t.Fatal(err)
	}
}

func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	doc, err := jsonvalue.Object([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// A call is a test's short form of a request.
type call struct {
	as     string // "owner@org_a", "read", "read_write"; empty: no credential
	what   string // "GET /api/agents"
	body   string
	header map[string]string
}

func (c call) request(w *fixture) *http.Request {
	method, target, _ := strings.Cut(c.what, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(c.body))
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	switch secret, ok := w.secrets[c.as]; {
	case ok:
		r.Header.Set("X-Integration-Key", secret)
	case c.as != "":
		r.Header.Set("Authorization", "Bearer "+c.as)
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
	return r
}

// A reply is a response that was checked against the contract.
type reply struct {
	status int
	header http.Header
	text   string
	body   any
}

// do sends a request and checks the response against the contract.
func (w *fixture) do(t *testing.T, c call) reply {
	t.Helper()
	rec := httptest.NewRecorder()
	r := c.request(w)
	w.handler.ServeHTTP(rec, r)
	res := reply{status: rec.Code, header: rec.Header(), text: rec.Body.String()}
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") && r.Method != http.MethodHead {
		if err := json.Unmarshal(rec.Body.Bytes(), &res.body); err != nil {
			t.Fatalf("%s: the body is not JSON: %v", c.what, err)
		}
	}
	if err := w.matches(r, res); err != nil {
		t.Errorf("%s as %q: %v\n%d %s", c.what, c.as, err, res.status, res.text)
	}
	return res
}

// times finds times by the names of their fields; inSeconds is their format.
var (
	times     = regexp.MustCompile(`"(?:\w+_)?at":"([^"]*)"`)
	inSeconds = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
)

// matches reports how a response differs from the contract.
func (w *fixture) matches(r *http.Request, res reply) error {
	if id := res.header.Get("X-Request-Id"); id != "req_1" {
		return fmt.Errorf("X-Request-Id is %q", id)
	}
	for _, m := range times.FindAllStringSubmatch(res.text, -1) {
		if !inSeconds.MatchString(m[1]) {
			return fmt.Errorf("%s is not a time in UTC and whole seconds", m[0])
		}
	}
	problem := w.contract.Components.Schemas["Error"].Value
	pattern := w.pattern(r)
	if pattern == "" {
		return problem.VisitJSON(res.body, openapi3.EnableJSONSchema2020())
	}
	method, path, _ := strings.Cut(pattern, " ")
	want := w.contract.Paths.Value(path).GetOperation(method).Responses.Status(res.status)
	if want == nil {
		return fmt.Errorf("the contract has no status %d here", res.status)
	}
	if len(want.Value.Content) == 0 {
		if res.text != "" {
			return errors.New("the response has a body; the contract has none")
		}
		return nil
	}
	kind, _, _ := strings.Cut(res.header.Get("Content-Type"), ";")
	media := want.Value.Content.Get(kind)
	switch {
	case media == nil:
		return fmt.Errorf("the contract has no content of type %q", kind)
	case kind != "application/json" || r.Method == http.MethodHead:
		return nil
	}
	return media.Schema.Value.VisitJSON(res.body, openapi3.EnableJSONSchema2020())
}

// pattern returns the pattern of r's route, or "".
func (w *fixture) pattern(r *http.Request) string {
	_, pattern := w.patterns.Handler(r)
	return pattern
}

// field returns the value at a dotted path of the body.
func (r reply) field(path string) any {
	v, _ := jsonvalue.Lookup(r.body, path)
	return v
}

// stage returns the parts of test runs over the store of the fixture.
func (w *fixture) stage() Stage {
	return Stage{
		Rehearsal: &rehearsal.Service{Rules: definition.Rules{Catalog: w.catalog}}, Tenants: w.store, Runs: w.store,
		Profiles: &client.Service{Store: w.store, Now: w.edge.Now},
		Live: &rehearsal.Starter{
			Rules: definition.Rules{Catalog: w.catalog}, Jobs: w.background, Balances: w, Now: w.edge.Now,
			Quotas: &quota.Service{Store: w.store, Limits: func(credit.Plan) quota.Limits { return w.quotas }, Now: w.edge.Now},
		},
	}
}

// atOnce waits no time.
func atOnce(context.Context, time.Duration) error { return nil }
