package stories_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
)

// patience is how long a story waits for an expected change.
const patience = 60 * time.Second

// A stage is the deployed system, seen from outside.
type stage struct {
	outputs cloud.Outputs
	key     *hub.Key
	bus     *cloud.Publisher
	config  aws.Config

	contract *contract // every answer of the API must match it
}

// open returns the system that LOCAL_OUTPUTS describes. Without it the stories
// are skipped, or fail with INTEGRATION=must.
func open(t *testing.T) *stage {
	t.Helper()
	file := os.Getenv("LOCAL_OUTPUTS")
	if file == "" {
		if os.Getenv("INTEGRATION") == "must" {
			t.Fatal("LOCAL_OUTPUTS is not set, want the file of the system's outputs")
		}
		t.Skip("LOCAL_OUTPUTS is not set; make test-stories starts one")
	}
	return openAt(t, file)
}

// openAt returns the system that a file of outputs describes.
func openAt(t *testing.T, file string) *stage {
	t.Helper()
	outputs, err := cloud.ReadOutputs(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hub.Open(filepath.Join(filepath.Dir(file), "hub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(outputs.Region), config.WithBaseEndpoint(outputs.Endpoint))
	if err != nil {
		t.Fatal(err)
	}
	contract, err := served()
	if err != nil {
		t.Fatal(err)
	}
	return &stage{outputs: outputs, key: key, bus: cloud.NewPublisher(cfg, "stories", outputs.Stack), config: cfg, contract: contract}
}

// A doc is a JSON object.
type doc = map[string]any

// at returns the value at a path of keys and indexes, or nil.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(doc)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func text(v any, path ...any) string {
	s, _ := at(v, path...).(string)
	return s
}

func number(v any, path ...any) float64 {
	n, _ := at(v, path...).(float64)
	return n
}

func list(v any, path ...any) []any {
	l, _ := at(v, path...).([]any)
	return l
}

// An org is a tenant that belongs to one story.
type org struct {
	*stage

	t    *testing.T
	name string
	user string
	role string
}

// tenant announces an organization and returns it, as its owner sees it.
func (s *stage) tenant(t *testing.T) *org {
	t.Helper()
	o := s.unannounced(t)
	o.announce()
	return o
}

// unannounced returns an organization that was not announced.
func (s *stage) unannounced(t *testing.T) *org {
	t.Helper()
	return &org{stage: s, t: t, name: "org_" + rand.Text()[:16], user: "user_" + rand.Text()[:8], role: "owner"}
}

func (o *org) announce() {
	o.t.Helper()
	o.publish("hub", "org.created", doc{"plan": "growth"})
	o.eventually("the organization is announced", func() bool { return o.get("/api/agents").status == http.StatusOK })
}

// as returns the organization as another person sees it.
func (o *org) as(user, role string) *org {
	c := *o
	c.user, c.role = user, role
	return &c
}

// envelope returns an event of the organization.
func (o *org) envelope(product, eventType string, payload doc) doc {
	e := doc{
		"id": "evt_" + rand.Text(), "event_type": eventType, "source_product": product, "org_id": o.name,
		"payload": payload, "published_at": time.Now().UTC().Format(time.RFC3339),
	}
	if client, ok := payload["client_id"]; ok {
		e["client_id"] = client
	}
	return e
}

// publish puts an event on the bus and returns its id.
func (o *org) publish(product, eventType string, payload doc) string {
	o.t.Helper()
	e := o.envelope(product, eventType, payload)
	o.put(product, eventType, e)
	return text(e, "id")
}

// put puts any event on the bus of its source.
func (o *org) put(source, detailType string, detail any) {
	o.t.Helper()
	body, isText := detail.(string)
	if !isText {
		b, err := json.Marshal(detail)
		if err != nil {
			o.t.Fatal(err)
		}
		body = string(b)
	}
	if err := o.bus.Put(context.Background(), source, detailType, body); err != nil {
		o.t.Fatalf("publish: %v", err)
	}
}

// A reply is an answer of the API.
type reply struct {
	status int
	body   doc
}

func (o *org) get(path string) reply { return o.call(http.MethodGet, path, nil) }

func (o *org) post(path string, body any) reply { return o.call(http.MethodPost, path, body) }

// call calls the API with a session.
func (o *org) call(method, path string, body any) reply {
	o.t.Helper()
	token, err := o.key.Mint(hub.Claims{
		Org: o.name, User: o.user, Roles: []string{o.role}, ID: "jti_" + rand.Text(), Issued: time.Now(), TTL: time.Hour,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return o.send(method, o.outputs.API+path, body, http.Header{"Authorization": {"Bearer " + token}})
}

// send calls any address; an answer of the API must match its document.
func (o *org) send(method, address string, body any, header http.Header) reply {
	o.t.Helper()
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			o.t.Fatal(err)
		}
		reader = bytes.NewReader(b)
		header = header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Content-Type", "application/json")
	}
	req, err := http.NewRequestWithContext(context.Background(), method, address, reader)
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header = header
	if req.Header == nil {
		req.Header = http.Header{}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body was only read.
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	if target, ours := strings.CutPrefix(address, o.outputs.API); ours {
		if err := o.contract.fits(method, target, resp, data); err != nil {
			o.t.Fatalf("%s %s: %v", method, target, err)
		}
	}
	r := reply{status: resp.StatusCode}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &r.body); err != nil {
			o.t.Fatalf("%s %s: %d %q is no JSON object", method, address, resp.StatusCode, data)
		}
	}
	return r
}

// must fails the story unless the API answered with this status.
func (o *org) must(status int, r reply) doc {
	o.t.Helper()
	if r.status != status {
		o.t.Fatalf("status %d, want %d: %v", r.status, status, r.body)
	}
	return r.body
}

// eventually waits until holds returns true.
func (o *org) eventually(condition string, holds func() bool) {
	o.t.Helper()
	o.within(patience, condition, holds)
}

// within is eventually with another patience.
func (o *org) within(patience time.Duration, condition string, holds func() bool) {
	o.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			o.t.Fatalf("not within %v: %s\n%s", patience, condition, o.state())
		}
		<-tick.C
	}
}

// state describes the organization for a failure message.
func (o *org) state() string {
	runs := o.get("/api/executions").body
	var details []any
	for _, x := range list(runs, "executions") {
		details = append(details, o.get("/api/executions/"+text(x, "id")).body)
	}
	b, _ := json.MarshalIndent(doc{"executions": details, "calls": o.calls("")}, "", "  ")
	return string(b)
}

// runs returns the organization's executions, newest first.
func (o *org) runs() []any {
	o.t.Helper()
	return list(o.must(http.StatusOK, o.get("/api/executions")), "executions")
}

// run waits for the organization's only execution and returns its id.
func (o *org) run() string {
	o.t.Helper()
	o.eventually("an execution exists", func() bool { return len(o.runs()) > 0 })
	runs := o.runs()
	if len(runs) != 1 {
		o.t.Fatalf("%d executions, want 1: %v", len(runs), runs)
	}
	return text(runs[0], "id")
}

// reaches waits until an execution has one of the statuses and returns it.
func (o *org) reaches(exec string, statuses ...string) doc {
	o.t.Helper()
	var x doc
	o.eventually(exec+" is "+strings.Join(statuses, " or "), func() bool {
		x = o.must(http.StatusOK, o.get("/api/executions/"+exec))
		return slices.Contains(statuses, text(x, "status"))
	})
	return x
}

// ends waits for the end of an execution and returns it.
func (o *org) ends(exec string) doc {
	o.t.Helper()
	return o.reaches(exec, "completed", "failed", "cancelled")
}

// approvalOf waits for the approval of an execution and returns its id.
func (o *org) approvalOf(exec string) string {
	o.t.Helper()
	o.reaches(exec, "waiting_approval")
	for _, a := range list(o.must(http.StatusOK, o.get("/api/approvals?status=pending")), "approvals") {
		if text(a, "execution_id") == exec {
			return text(a, "id")
		}
	}
	o.t.Fatalf("%s waits without an approval", exec)
	return ""
}

// decide votes on an approval.
func (o *org) decide(approval, decision string) reply {
	return o.post("/api/approvals/"+approval+"/decision", doc{"decision": decision, "note": "decided by a story"})
}

// calls returns the calls of one action that the stand-ins received for the
// organization.
func (o *org) calls(action string) []any {
	o.t.Helper()
	all := list(o.send(http.MethodGet, o.outputs.Products+"/_calls?org_id="+url.QueryEscape(o.name), nil, nil).body, "calls")
	return slices.DeleteFunc(all, func(c any) bool { return action != "" && text(c, "action") != action })
}

// done returns the effective calls of an action, without the repetitions that
// the product recognized and the calls that it refused.
func (o *org) done(action string) []any {
	return slices.DeleteFunc(o.calls(action), func(c any) bool {
		return at(c, "repeated") == true || number(c, "status") >= http.StatusBadRequest
	})
}

// agent creates and activates an agent with these steps that listens for the
// event of escalate.
func (o *org) agent(steps ...any) string {
	o.t.Helper()
	return o.agentOn("psa", "ticket.escalated", steps...)
}

func (o *org) agentOn(product, eventType string, steps ...any) string {
	o.t.Helper()
	return o.agentWith(product, eventType, doc{}, steps...)
}

// agentWith is agentOn with more fields; the fields of trigger are merged.
func (o *org) agentWith(product, eventType string, more doc, steps ...any) string {
	o.t.Helper()
	trigger := doc{"type": "bus_event", "source_product": product, "event_type": eventType, "filters": []any{}}
	if added, ok := more["trigger"].(doc); ok {
		maps.Copy(trigger, added)
	}
	definition := doc{"name": "Story agent", "description": "Made by a story.", "category": "service_desk", "steps": steps}
	maps.Copy(definition, more)
	definition["trigger"] = trigger
	name := text(o.must(http.StatusCreated, o.post("/api/agents", definition)), "id")
	o.must(http.StatusOK, o.call(http.MethodPut, "/api/agents/"+name, doc{"status": "active"}))
	return name
}

// note returns a step that adds a note to the event's ticket.
func note(id, body string) doc {
	return doc{
		"id": id, "type": "product_action", "product": "psa", "action": "add_note",
		"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "body": body, "visibility": "internal"},
	}
}

// escalate publishes the event that agents of stories listen for.
func (o *org) escalate() (ticket string) {
	ticket = "tkt_" + rand.Text()[:10]
	o.publish("psa", "ticket.escalated", doc{"ticket_id": ticket, "escalated_to": "p1"})
	return ticket
}

// statuses returns the steps of an execution as "id:status".
func statuses(x doc) string {
	var out []string
	for _, s := range list(x, "steps") {
		out = append(out, fmt.Sprintf("%s:%s", text(s, "step_id"), text(s, "status")))
	}
	return strings.Join(out, " ")
}

// addRules adds rules for this organization to a stand-in ("_model" or
// "_products"). The first match wins.
func (o *org) addRules(of string, rules ...doc) {
	o.t.Helper()
	for _, r := range rules {
		r["org_id"] = o.name
	}
	o.must(http.StatusOK, o.send(http.MethodPost, o.outputs.Products+"/"+of, doc{"rules": rules}, nil))
}

// removeRules removes the rules of this organization.
func (o *org) removeRules(of string) {
	o.t.Helper()
	o.must(http.StatusOK, o.send(http.MethodDelete, o.outputs.Products+"/"+of+"?org_id="+o.name, nil, nil))
}
