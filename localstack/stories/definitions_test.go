package stories_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// notifies returns an agent that sends an e-mail to this recipient.
func notifies(recipient, body string) doc {
	return doc{
		"name": "Tell the desk", "category": "service_desk",
		"trigger": doc{"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"},
		"steps":   []any{doc{"id": "tell", "type": "notification", "channel": "email", "recipients": []any{recipient}, "body": body}},
	}
}

func TestAMistypedFieldIsAWarningBesideTheAgent(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.must(http.StatusCreated, o.post("/api/agents", notifies("desk@example.com", "{{ event_payload.subjct }}")))
	said := func(v any) string {
		return strings.Join(append(texts(list(v, "warnings"), "path"), texts(list(v, "warnings"), "message")...), "\n")
	}
	for _, want := range []string{"steps[0].recipients[0]", "steps[0].body", "desk@example.com is reserved for examples", "did you mean subject?"} {
		if !strings.Contains(said(a), want) {
			t.Errorf("%q is not among\n%s", want, said(a))
		}
	}
	got := o.must(http.StatusOK, o.get("/api/agents/"+text(a, "id")))
	if !reflect.DeepEqual(got["warnings"], a["warnings"]) {
		t.Errorf("get warns of\n%s\ncreate warns of\n%s", said(got), said(a))
	}
	for _, other := range list(o.must(http.StatusOK, o.get("/api/agents")), "agents") {
		if _, ok := object(other)["warnings"]; ok {
			t.Error("the list has warnings")
		}
	}
	mended := o.must(http.StatusOK, o.change(text(a, "id"), doc{"steps": notifies("desk@msp.com", "{{ event_payload.subject }}")["steps"]}))
	if len(list(mended, "warnings")) != 0 {
		t.Errorf("warnings of the corrected agent:\n%s", said(mended))
	}
}

func TestATemplateIsFilledInBeforeItRuns(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	shown := o.must(http.StatusOK, o.get("/api/templates/tmpl_admin_rights_watch"))
	recipient := text(shown, "definition", "steps", 0, "recipients", 0)
	a := o.must(http.StatusCreated, o.post("/api/templates/tmpl_admin_rights_watch/clone", nil))
	if !reflect.DeepEqual(at(shown, "definition", "steps"), a["steps"]) {
		t.Errorf("the template has %v, its clone %v", at(shown, "definition", "steps"), a["steps"])
	}
	refused := o.change(text(a, "id"), doc{"status": "active"})
	o.mustRefuse(http.StatusBadRequest, "invalid_agent_config", refused)
	details := list(refused.body, "details")
	if len(details) != 1 || text(details[0], "path") != "steps[0].recipients[0]" || !strings.Contains(text(details[0], "message"), recipient) {
		t.Errorf("details = %v, want the recipient %s", details, recipient)
	}
	o.mustRefuse(http.StatusNotFound, "template_not_found", o.get("/api/templates/tmpl_nonsense"))

	custom := o.must(http.StatusCreated, o.post("/api/agents", notifies(recipient, "x")))
	o.must(http.StatusOK, o.change(text(custom, "id"), doc{"status": "active"}))
}

func TestActionsAreListedAsStepsNameThem(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	all := list(o.must(http.StatusOK, o.get("/api/actions")), "actions")
	if len(all) < 30 || !slices.IsSorted(texts(all, "id")) {
		t.Errorf("%d actions: %v", len(all), texts(all, "id"))
	}
	defend := list(o.must(http.StatusOK, o.get("/api/actions?product=defend&destructive=true")), "actions")
	if !slices.Contains(texts(defend, "action"), "isolate_device") || slices.Contains(texts(defend, "action"), "unisolate_device") {
		t.Errorf("destructive actions of defend: %v", texts(defend, "action"))
	}
	o.mustRefuse(http.StatusBadRequest, "invalid_request", o.get("/api/actions?product=phone"))

	d := notifies("desk@msp.com", "x")
	d["steps"] = []any{doc{"id": "block", "type": "product_action", "product": "defend", "action": "block_sender", "params": doc{}}}
	refused := o.post("/api/agents", d)
	o.mustRefuse(http.StatusBadRequest, "invalid_agent_config", refused)
	message := text(refused.body, "details", 0, "message")
	if !strings.Contains(message, `product "defend" has no action "block_sender"; it has `) || !strings.Contains(message, "isolate_device") {
		t.Errorf("message = %q", message)
	}
}

func TestAnAgentThatWasReadCanBeWrittenBack(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	made := o.must(http.StatusCreated, o.post("/api/agents", notifies("desk@msp.com", "x")))
	path := "/api/agents/" + text(made, "id")
	read := o.must(http.StatusOK, o.get(path))
	written := o.must(http.StatusOK, o.call(http.MethodPut, path, read))
	if !reflect.DeepEqual(written, read) {
		t.Errorf("read %v\nwritten %v", read, written)
	}
	read["org_id"], read["name"] = "org_other", "Mine"
	refused := o.call(http.MethodPut, path, read)
	o.mustRefuse(http.StatusBadRequest, "invalid_request", refused)
	if text(refused.body, "details", 0, "path") != "org_id" || !strings.Contains(text(refused.body, "details", 0, "message"), o.name) {
		t.Errorf("details = %v", at(refused.body, "details"))
	}
}

func TestARequestWithAnIdempotencyKeyCreatesOneAgent(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	send := func(o *org, d doc) full {
		token := o.session(nil)
		return o.callWith(http.MethodPost, "/api/agents", d, http.Header{"Authorization": {"Bearer " + token}, "Idempotency-Key": {"story / 1 #"}})
	}
	const times = 8
	ids := make([]string, times)
	var group sync.WaitGroup
	for i := range times {
		group.Go(func() {
			if r := send(o, notifies("desk@msp.com", "x")); r.status == http.StatusCreated {
				ids[i] = text(r.body, "id")
			} else {
				t.Errorf("%d %v", r.status, r.body)
			}
		})
	}
	group.Wait()
	if len(slices.Compact(ids)) != 1 {
		t.Errorf("agents %v, want one", ids)
	}
	custom := list(o.must(http.StatusOK, o.get("/api/agents?type=custom")), "agents")
	if len(custom) != 1 {
		t.Errorf("%d agents, want 1", len(custom))
	}
	if r := send(o, notifies("desk@msp.com", "y")); r.status != http.StatusConflict || text(r.body, "error") != "conflict" {
		t.Errorf("another body: %d %v", r.status, r.body)
	}
	other := open(t).tenant(t)
	if r := send(other, notifies("desk@msp.com", "y")); r.status != http.StatusCreated {
		t.Errorf("another organization: %d %v", r.status, r.body)
	}
}

func TestDatesAndNullsAreAccepted(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.must(http.StatusOK, o.get("/api/executions?from=2026-03-01&to=2100-01-01"))
	o.mustRefuse(http.StatusBadRequest, "invalid_request", o.get("/api/executions?from=2026-02-30"))
	d := notifies("desk@msp.com", "x")
	for _, field := range []string{"description", "conditions", "conflict_behavior", "client_scope", "execution_limit"} {
		d[field] = nil
	}
	a := o.must(http.StatusCreated, o.post("/api/agents", d))
	copied := o.must(http.StatusCreated, o.post("/api/agents/"+text(a, "id")+"/clone", doc{"name": nil}))
	if text(copied, "name") != "Tell the desk" {
		t.Errorf("the copy is called %q", text(copied, "name"))
	}
}
