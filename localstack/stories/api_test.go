package stories_test

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A full is an answer with its headers.
type full struct {
	reply

	header http.Header
}

// callWith calls the API with exactly these headers.
func (o *org) callWith(method, path string, body any, header http.Header) full {
	o.t.Helper()
	b := bad{method: method, path: path, header: header.Clone()}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			o.t.Fatal(err)
		}
		b.body = text
		b.header.Set("Content-Type", "application/json")
	}
	resp, data, err := o.once(b) //nolint:bodyclose // once has closed it.
	if err != nil {
		o.t.Fatal(err)
	}
	f := full{reply: reply{status: resp.StatusCode}, header: resp.Header}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &f.body); err != nil {
			o.t.Fatalf("%s %s: %d %q is no JSON object", method, path, resp.StatusCode, data)
		}
	}
	return f
}

// bearer returns the headers of a session, with more headers added.
func (o *org) bearer(more ...string) http.Header {
	h := http.Header{"Authorization": {"Bearer " + o.session(nil)}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// plan sets the organization's plan and waits until it is in effect.
func (o *org) plan(name string, credits float64) {
	o.t.Helper()
	o.publish("hub", "subscription.changed", doc{"plan": name})
	o.eventually("the plan is "+name, func() bool { return number(o.get("/api/credits").body, "allocation") == credits })
}

func (o *org) change(agent string, body doc) reply {
	o.t.Helper()
	return o.call(http.MethodPut, "/api/agents/"+agent, body)
}

// draft creates an agent on the event that escalate publishes.
func (o *org) draft(steps ...any) string {
	o.t.Helper()
	return text(o.must(http.StatusCreated, o.post("/api/agents", doc{
		"name": "Draft", "category": "service_desk",
		"trigger": doc{"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated"},
		"steps":   steps,
	})), "id")
}

// mustRefuse fails the story unless the API refused with this error.
func (o *org) mustRefuse(status int, code string, r reply) {
	o.t.Helper()
	if r.status != status || text(r.body, "error") != code {
		o.t.Errorf("%d %v, want %d %s", r.status, r.body, status, code)
	}
}

func ended(x any) bool {
	return slices.Contains([]string{"completed", "failed", "cancelled"}, text(x, "status"))
}

// walk reads the whole list of executions in pages of 50 and returns it with
// the last page's total. It checks that no execution is repeated or out of
// order.
func (o *org) walk() (all []any, total float64) {
	o.t.Helper()
	seen := map[string]bool{}
	for path, last := "/api/executions?limit=50", "9"; ; {
		page := o.must(http.StatusOK, o.get(path))
		for _, x := range list(page, "executions") {
			if seen[text(x, "id")] {
				o.t.Errorf("%s is listed twice", text(x, "id"))
			}
			if text(x, "created_at") > last {
				o.t.Errorf("%s of %s comes after %s", text(x, "id"), text(x, "created_at"), last)
			}
			seen[text(x, "id")], last = true, text(x, "created_at")
			all = append(all, x)
		}
		total = number(page, "total")
		if text(page, "next_cursor") == "" {
			return all, total
		}
		path = "/api/executions?limit=50&cursor=" + text(page, "next_cursor")
	}
}

// A load is the number of runs of an agent in the story of many runs, and their
// end.
type load struct {
	event string
	runs  int
	end   string // the status in which each run ends
	steps []any
}

func loads() []load {
	think := func(model string) doc {
		return doc{"id": "think_" + model, "type": "ai_reason", "model": model, "prompt": "Think."}
	}
	return []load{
		{"ticket.escalated", 30, "completed", []any{think("quick"), think("standard"), think("premium"), think("expert")}},
		{"ticket.sla_warning", 60, "completed", []any{note("tell", "hello")}},
		{"ticket.sla_breached", 40, "failed", []any{think("quick"), doc{
			"id": "fix", "type": "product_action", "product": "psa", "action": "update_ticket",
			"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "priority": "p1"},
		}}},
		{"ticket.reopened", 35, "cancelled", []any{gate(600), note("tell", "hello")}},
		{"ticket.assigned", 35, "cancelled", []any{think("standard"), doc{"id": "pause", "type": "wait", "duration_seconds": 600}}},
	}
}

// start publishes the events of all loads in a mixed order, and returns their
// number.
func (o *org) start(all []load) (n int) {
	o.t.Helper()
	var wg sync.WaitGroup
	lanes := make(chan struct{}, 4)
	for i := range 60 {
		for _, l := range all {
			if i >= l.runs {
				continue
			}
			n++
			wg.Go(func() {
				lanes <- struct{}{}
				defer func() { <-lanes }()
				o.publish("psa", l.event, doc{"ticket_id": fmt.Sprintf("tkt_%d", i), "escalated_to": "p1"})
			})
		}
	}
	wg.Wait()
	return n
}

// endWaiting ends the waiting runs: it denies the gates and cancels the waits
// of the agent lazy.
func (o *org) endWaiting(lazy string) {
	o.t.Helper()
	for _, a := range list(o.get("/api/approvals?status=pending&limit=200").body, "approvals") {
		o.must(http.StatusOK, o.decide(text(a, "id"), "denied"))
	}
	for _, x := range list(o.get("/api/executions?status=running&limit=200&agent_id="+lazy).body, "executions") {
		d := o.get("/api/executions/" + text(x, "id")).body
		if text(d, "steps", 1, "status") == "waiting" {
			o.must(http.StatusOK, o.post("/api/executions/"+text(x, "id")+"/cancel", nil))
		}
	}
}

// spent adds up the credits of each model in the traces of executions.
func (o *org) spent(all []any) doc {
	o.t.Helper()
	models := map[float64]string{5: "quick", 20: "standard", 100: "premium", 200: "expert"}
	sum := doc{"quick": 0., "standard": 0., "premium": 0., "expert": 0.}
	for _, x := range all {
		for _, s := range list(o.must(http.StatusOK, o.get("/api/executions/"+text(x, "id"))), "steps") {
			if c := number(s, "credits_used"); c != 0 {
				sum[models[c]] = number(sum, models[c]) + c
			}
		}
	}
	return sum
}

// counted computes the stats of an agent from a list of executions.
func counted(all []any, agent string) doc {
	var runs, completed, failed, credits float64
	var last string
	for _, x := range all {
		if text(x, "agent_id") != agent {
			continue
		}
		runs++
		credits += number(x, "credits_used")
		last = max(last, text(x, "completed_at"))
		switch text(x, "status") {
		case "completed":
			completed++
		case "failed":
			failed++
		}
	}
	s := doc{"total_runs": runs, "credits_used_this_month": credits, "last_run_at": last, "success_rate": nil}
	if completed+failed > 0 {
		s["success_rate"] = completed / (completed + failed)
	}
	return s
}

func TestTwoHundredRunsAddUp(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_products", doc{"product": "psa", "action": "update_ticket", "status": 400})
	var agents []string
	for _, l := range loads() {
		agents = append(agents, o.agentOn("psa", l.event, l.steps...))
	}
	n := o.start(loads())
	before := map[string]bool{}
	var all []any
	o.eventually("all runs ended", func() bool {
		o.endWaiting(agents[4])
		found, total := o.walk()
		there := map[string]bool{}
		for _, x := range found {
			there[text(x, "id")] = true
		}
		for id := range before {
			if !there[id] {
				t.Errorf("%s is missing", id)
			}
		}
		if total < float64(len(found)) {
			t.Errorf("total %v of %d", total, len(found))
		}
		before, all = there, found
		return len(found) >= n && !slices.ContainsFunc(found, func(x any) bool { return !ended(x) })
	})
	if found, total := o.walk(); len(found) != n || total != float64(n) {
		t.Fatalf("%d executions and total %v, want %d", len(found), total, n)
	}
	o.checkSums(agents, all)
}

// checkSums compares the stats of the agents and the credits with the list.
func (o *org) checkSums(agents []string, all []any) {
	o.t.Helper()
	o.summed(agents...)
	total, byAgent := 0., doc{}
	for i, name := range agents {
		want := counted(all, name)
		if number(want, "total_runs") != float64(loads()[i].runs) {
			o.t.Errorf("%v runs of %s, want %d", want["total_runs"], loads()[i].event, loads()[i].runs)
		}
		if slices.ContainsFunc(all, func(x any) bool { return text(x, "agent_id") == name && text(x, "status") != loads()[i].end }) {
			o.t.Errorf("not every run of %s is %s", loads()[i].event, loads()[i].end)
		}
		got, _ := at(o.must(http.StatusOK, o.get("/api/agents/"+name)), "stats").(doc)
		for field, w := range want {
			if got[field] != w {
				o.t.Errorf("%s: %s %v, want %v", loads()[i].event, field, got[field], w)
			}
		}
		if c := number(want, "credits_used_this_month"); c > 0 {
			byAgent[name] = c
			total += c
		}
	}
	credits := o.must(http.StatusOK, o.get("/api/credits"))
	if number(credits, "total_used") != total || number(credits, "remaining") != number(credits, "allocation")-total {
		o.t.Errorf("credits %v, want total_used %v", credits, total)
	}
	got, _ := at(credits, "by_agent").(doc)
	maps.DeleteFunc(got, func(_ string, n any) bool { return n == 0. })
	if !reflect.DeepEqual(got, byAgent) {
		o.t.Errorf("by_agent %v, want %v", got, byAgent)
	}
	if want := o.spent(all); !reflect.DeepEqual(at(credits, "by_model"), any(want)) {
		o.t.Errorf("by_model %v, want %v", at(credits, "by_model"), want)
	}
}

// summed waits until the statistics have every ended run of some agents. The stream of
// the table brings them about a second after the end.
func (o *org) summed(agents ...string) {
	o.t.Helper()
	for _, name := range agents {
		o.eventually("the statistics have all runs of "+name, func() bool {
			all := list(o.must(http.StatusOK, o.get("/api/executions?limit=100&agent_id="+name)), "executions")
			ended := slices.DeleteFunc(all, func(x any) bool {
				return !slices.Contains([]string{"completed", "failed", "cancelled"}, text(x, "status"))
			})
			return number(o.must(http.StatusOK, o.get("/api/agents/"+name)), "stats", "total_runs") >= float64(len(ended))
		})
	}
}

// credits waits until the statistics have this sum of used credits, and returns the
// credits. At every instant, used, reserved and remaining credits are the allocation.
func (o *org) credits(used float64) doc {
	o.t.Helper()
	var c doc
	o.eventually(fmt.Sprintf("%v credits are used", used), func() bool {
		c = o.must(http.StatusOK, o.get("/api/credits"))
		if sum := number(c, "total_used") + number(c, "reserved") + number(c, "remaining"); sum != number(c, "allocation") {
			o.t.Errorf("the credits add up to %v: %v", sum, c)
		}
		return number(c, "total_used") == used
	})
	return c
}

func TestATemplateIsClonedFilledInAndRuns(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	all := list(o.must(http.StatusOK, o.get("/api/templates")), "templates")
	groups := slices.Compact(texts(all, "category"))
	if got, want := strings.Join(groups, " "), "operations security billing hr custom"; got != want {
		t.Errorf("categories %q, want %q, each once", got, want)
	}
	for _, c := range groups {
		some := list(o.must(http.StatusOK, o.get("/api/templates?category="+c)), "templates")
		want := slices.DeleteFunc(slices.Clone(all), func(x any) bool { return text(x, "category") != c })
		if !reflect.DeepEqual(some, want) {
			t.Errorf("the templates of %s differ from those of the list", c)
		}
	}
	o.mustRefuse(http.StatusBadRequest, "invalid_request", o.get("/api/templates?category=nonsense"))
	o.mustRefuse(http.StatusNotFound, "template_not_found", o.post("/api/templates/tmpl_nonsense/clone", nil))

	a := o.must(http.StatusCreated, o.post("/api/templates/tmpl_admin_rights_watch/clone", doc{"name": "Ours"}))
	if text(a, "type") != "cloned" || text(a, "status") != "draft" || text(a, "name") != "Ours" || text(a, "org_id") != o.name {
		t.Errorf("clone = %v", a)
	}
	step, _ := at(a, "steps", 0).(doc)
	step["recipients"] = []any{"team@story.example"}
	o.must(http.StatusOK, o.change(text(a, "id"), doc{"steps": []any{step}, "status": "active"}))
	o.publish("hub", "user.role_changed", doc{"user_id": "user_ann", "role": "admin", "previous_role": "member"})
	if x := o.ends(o.run()); text(x, "status") != "completed" || text(x, "agent_id") != text(a, "id") {
		t.Fatalf("%v: %v", at(x, "status"), at(x, "error"))
	}
	mails := slices.DeleteFunc(o.calls(""), func(c any) bool { return text(c, "kind") != "email" })
	if len(mails) != 1 || text(mails[0], "body", "to", 0) != "team@story.example" || text(mails[0], "body", "subject") != "New admin: user_ann" {
		t.Errorf("mails = %v, want one to the team", mails)
	}
}

// texts returns a field of each document.
func texts(all []any, field string) (out []string) {
	for _, x := range all {
		out = append(out, text(x, field))
	}
	return out
}

func TestARunKeepsTheVersionItStartedWith(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agent(gate(600), note("tell", "old"))
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	for i, c := range []struct {
		change  doc
		version float64
	}{
		{doc{"name": "Renamed", "description": "Of another description."}, 1},
		{doc{"steps": []any{note("new_one", "new"), note("new_two", "new")}}, 2},
		{doc{"status": "paused"}, 2},
		{doc{"client_scope": doc{"include": []any{"client_1"}}}, 3},
		{doc{"name": "Renamed again"}, 3},
	} {
		if got := number(o.must(http.StatusOK, o.change(a, c.change)), "version"); got != c.version {
			t.Errorf("version %v after change %d, want %v", got, i, c.version)
		}
	}
	o.must(http.StatusOK, o.decide(approval, "approved"))
	x := o.ends(exec)
	if got, want := statuses(x), "gate:completed tell:completed"; got != want || text(x, "status") != "completed" {
		t.Errorf("%v with %q, want completed with %q", at(x, "status"), got, want)
	}
	if notes := o.done("add_note"); len(notes) != 1 || text(notes[0], "params", "body") != "old" {
		t.Errorf("notes = %v, want the old one alone", notes)
	}
	var versions []float64
	for _, v := range list(o.must(http.StatusOK, o.get("/api/agents/"+a+"/versions")), "versions") {
		versions = append(versions, number(v, "version"))
	}
	if !slices.Equal(versions, []float64{3, 2, 1}) {
		t.Errorf("versions %v, want 3, 2, 1", versions)
	}
	first := o.must(http.StatusOK, o.get("/api/agents/"+a+"/versions/1"))
	if text(first, "steps", 1, "params", "body") != "old" || len(list(first, "steps")) != 2 {
		t.Errorf("version 1 = %v", first)
	}
	o.mustRefuse(http.StatusNotFound, "not_found", o.get("/api/agents/"+a+"/versions/4"))
}

func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.draft(note("tell", "first"))
	path := "/api/agents/" + a
	tag := o.callWith(http.MethodGet, path, nil, o.bearer()).header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	// atOnce sends 20 different updates concurrently and returns the answers.
	atOnce := func(body string, header ...string) []full {
		answers := make([]full, 20)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				answers[i] = o.callWith(http.MethodPut, path, doc{"steps": []any{note("tell", body+strconv.Itoa(i))}}, o.bearer(header...))
			})
		}
		wg.Wait()
		return answers
	}
	won := 0
	for _, r := range atOnce("guarded ", "If-Match", tag) {
		if r.status == http.StatusOK {
			won++
			continue
		}
		o.mustRefuse(http.StatusPreconditionFailed, "precondition_failed", r.reply)
	}
	if won != 1 {
		t.Errorf("%d updates with one tag succeeded, want 1", won)
	}
	o.mustRefuse(http.StatusPreconditionFailed, "precondition_failed",
		o.callWith(http.MethodPut, path, doc{"name": "Stale"}, o.bearer("If-Match", tag)).reply)

	seen := map[float64]bool{}
	for i, r := range atOnce("free ") {
		if r.status != http.StatusOK || text(r.body, "steps", 0, "params", "body") != "free "+strconv.Itoa(i) {
			t.Errorf("update %d: %d %v", i, r.status, r.body)
		}
		seen[number(r.body, "version")] = true
	}
	for v := range 20 {
		if !seen[float64(v+3)] {
			t.Errorf("no update made version %d", v+3)
		}
	}
	now := o.callWith(http.MethodGet, path, nil, o.bearer())
	o.must(http.StatusOK, o.callWith(http.MethodPut, path, doc{"name": "Fresh"}, o.bearer("If-Match", now.header.Get("ETag"))).reply)
	if got := number(now.body, "version"); got != 22 {
		t.Errorf("version %v, want 22", got)
	}
}

// active returns the organization's own active agents.
func (o *org) active() []string {
	o.t.Helper()
	own := slices.DeleteFunc(list(o.must(http.StatusOK, o.get("/api/agents?status=active")), "agents"), func(a any) bool {
		return text(a, "type") == "system"
	})
	return texts(own, "id")
}

func TestThePlanCapHoldsUnderParallelActivations(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.plan("starter", 20_000)
	var drafts []string
	for range 10 {
		drafts = append(drafts, o.draft(note("tell", "hello")))
	}
	replies := make([]reply, 50)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() { replies[i] = o.change(drafts[i%10], doc{"status": "active"}) })
	}
	wg.Wait()
	active := o.active()
	if len(active) != 5 {
		t.Fatalf("%d agents are active, want 5", len(active))
	}
	for i, r := range replies {
		if slices.Contains(active, drafts[i%10]) {
			o.must(http.StatusOK, r)
			continue
		}
		o.mustRefuse(http.StatusTooManyRequests, "agent_limit_reached", r)
	}
	rest := slices.DeleteFunc(drafts, func(a string) bool { return slices.Contains(active, a) })
	clone := text(o.must(http.StatusCreated, o.post("/api/agents/"+active[0]+"/clone", nil)), "id")
	o.mustRefuse(http.StatusTooManyRequests, "agent_limit_reached", o.change(clone, doc{"status": "active"}))

	o.must(http.StatusOK, o.change(active[0], doc{"status": "paused"}))
	o.must(http.StatusOK, o.change(clone, doc{"status": "active"}))
	o.mustRefuse(http.StatusTooManyRequests, "agent_limit_reached", o.change(rest[0], doc{"status": "active"}))
	o.mustRefuse(http.StatusTooManyRequests, "agent_limit_reached", o.change(active[0], doc{"status": "active"}))

	o.plan("growth", 100_000)
	for _, a := range append(rest, active[0]) {
		o.must(http.StatusOK, o.change(a, doc{"status": "active"}))
	}
	if n := len(o.active()); n != 11 {
		t.Errorf("%d agents are active, want 11", n)
	}
}

func TestASystemAgentIsPausedForOneOrganizationAlone(t *testing.T) {
	t.Parallel()

	s := open(t)
	o, other := s.tenant(t), s.tenant(t)
	const dispatch = "agent_system_dispatch"
	o.must(http.StatusOK, o.change(dispatch, doc{"status": "paused"}))
	witness := o.agentOn("psa", "ticket.created", note("tell", "hello"))
	for _, x := range []*org{o, other} {
		x.publish("psa", "ticket.created", doc{"ticket_id": "tkt_1", "priority": "p3", "subject": "Printer", "type": "incident"})
	}
	if x := other.ends(other.run()); text(x, "agent_id") != dispatch || text(x, "status") != "completed" {
		t.Errorf("the other organization: %v of %v", at(x, "status"), at(x, "agent_id"))
	}
	if x := o.ends(o.run()); text(x, "agent_id") != witness {
		t.Errorf("%s ran, want %s alone", text(x, "agent_id"), witness)
	}
	for x, want := range map[*org]string{o: "paused", other: "active"} {
		if got := text(x.must(http.StatusOK, x.get("/api/agents/"+dispatch)), "status"); got != want {
			t.Errorf("status %s, want %s", got, want)
		}
	}
	for _, body := range []doc{
		{"name": "Mine"}, {"status": "paused", "name": "Mine"}, {"status": "draft"}, {"steps": []any{note("tell", "hello")}}, {},
	} {
		o.mustRefuse(http.StatusForbidden, "forbidden", o.change(dispatch, body))
	}
	o.mustRefuse(http.StatusForbidden, "forbidden", o.call(http.MethodDelete, "/api/agents/"+dispatch, nil))
	o.must(http.StatusOK, o.change(dispatch, doc{"status": "active"}))
	o.publish("psa", "ticket.created", doc{"ticket_id": "tkt_2", "priority": "p3", "subject": "Printer", "type": "incident"})
	o.eventually("both agents ran", func() bool { return len(o.runs()) == 3 })
}

func TestASystemAgentStaysAtItsPinnedVersion(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	const dispatch = "agent_system_dispatch"
	version := func(want float64, pinned any) {
		t.Helper()
		a := o.must(http.StatusOK, o.get("/api/agents/"+dispatch))
		if a["version"] != want || a["pinned_version"] != pinned {
			t.Errorf("version %v, pinned to %v; want %v, %v", a["version"], a["pinned_version"], want, pinned)
		}
	}
	var known []string
	ran := func(want float64) {
		t.Helper()
		o.publish("psa", "ticket.created", doc{"ticket_id": "tkt_" + rand.Text()[:10], "priority": "p3", "subject": "Printer", "type": "incident"})
		run := o.runBeside(known...)
		if x := o.ends(run); x["agent_version"] != want {
			t.Errorf("the run has version %v, want %v", x["agent_version"], want)
		}
		known = append(known, run)
	}
	version(1, nil)
	o.must(http.StatusOK, o.call(http.MethodPatch, "/api/settings", doc{"policy": doc{"dispatch_notes": "internal"}}))
	version(2, nil)
	o.must(http.StatusOK, o.change(dispatch, doc{"pinned_version": 2}))
	version(2, 2.0)
	ran(2)
	o.mustRefuse(http.StatusBadRequest, "invalid_request", o.change(dispatch, doc{"pinned_version": 1})) // of the other choice
	o.must(http.StatusOK, o.call(http.MethodPatch, "/api/settings", doc{"policy": doc{"dispatch_notes": "public"}}))
	version(1, nil)
	ran(1)
	o.must(http.StatusOK, o.change(dispatch, doc{"pinned_version": nil}))
}

func TestADeletedAgentKeepsItsExecutions(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agent(gate(600), note("tell", "hello"))
	o.escalate()
	denied := o.run()
	o.must(http.StatusOK, o.decide(o.approvalOf(denied), "denied"))
	o.ends(denied)
	o.escalate()
	open := o.runBeside(denied)
	approval := o.approvalOf(open)

	o.must(http.StatusNoContent, o.call(http.MethodDelete, "/api/agents/"+a, nil))
	o.mustRefuse(http.StatusNotFound, "agent_not_found", o.get("/api/agents/"+a))
	x := o.ends(open)
	if text(x, "status") != "cancelled" || text(x, "status_reason") != "agent_deleted" || statuses(x) != "gate:skipped tell:skipped" {
		t.Errorf("%v, %v with %q", at(x, "status"), at(x, "status_reason"), statuses(x))
	}
	if s := text(o.must(http.StatusOK, o.get("/api/approvals/"+approval)), "status"); s != "denied" {
		t.Errorf("the approval is %s, want denied", s)
	}
	o.mustRefuse(http.StatusConflict, "approval_already_decided", o.decide(approval, "approved"))
	if n := len(list(o.must(http.StatusOK, o.get("/api/executions?agent_id="+a)), "executions")); n != 2 {
		t.Errorf("%d past executions, want 2", n)
	}
	for _, exec := range []string{denied, open} {
		o.must(http.StatusOK, o.get("/api/executions/"+exec))
		o.mustRefuse(http.StatusNotFound, "agent_not_found", o.post("/api/executions/"+exec+"/retry", nil))
	}
	if n := len(o.calls("add_note")); n != 0 {
		t.Errorf("%d notes, want none", n)
	}
}

// explained publishes the event of escalate and returns the entry in the
// agent's activity.
func (o *org) explained(agent string) (entry any) {
	o.t.Helper()
	event := o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_" + rand.Text()[:10], "escalated_to": "p1"})
	o.eventually("the event is in the activity", func() bool {
		all := list(o.get("/api/agents/"+agent+"/activity").body, "activity")
		i := slices.IndexFunc(all, func(e any) bool { return text(e, "event_id") == event })
		entry = at(all, max(i, 0))
		return i >= 0
	})
	return entry
}

func TestASuspendedOrganizationStartsNothing(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agent(gate(600), note("tell", "hello"))
	o.escalate()
	denied := o.run()
	o.must(http.StatusOK, o.decide(o.approvalOf(denied), "denied"))
	o.ends(denied)
	o.escalate()
	o.eventually("the second run waits", func() bool {
		return len(list(o.get("/api/approvals?status=pending").body, "approvals")) == 1
	})
	waiting := at(o.get("/api/approvals?status=pending").body, "approvals", 0)

	o.publish("hub", "org.suspended", doc{"reason": "unpaid"})
	var entry any
	o.eventually("an event starts no execution", func() bool {
		entry = o.explained(a)
		return text(entry, "outcome") == "org_suspended"
	})
	if text(entry, "detail") == "" || text(entry, "execution_id") != "" {
		t.Errorf("activity = %v", entry)
	}
	o.mustRefuse(http.StatusForbidden, "forbidden", o.post("/api/executions/"+denied+"/retry", nil))
	before := len(o.runs())
	for _, path := range []string{"/api/agents", "/api/agents/" + a, "/api/executions/" + denied, "/api/credits", "/api/approvals", "/api/templates"} {
		o.must(http.StatusOK, o.get(path))
	}
	o.must(http.StatusOK, o.decide(text(waiting, "id"), "approved"))
	if x := o.ends(text(waiting, "execution_id")); text(x, "status") != "completed" {
		t.Errorf("the open run is %v, want completed", at(x, "status"))
	}
	if got := text(o.explained(a), "outcome"); got != "org_suspended" {
		t.Errorf("outcome %s, want org_suspended", got)
	}
	if n := len(o.runs()); n != before {
		t.Errorf("%d executions, want %d as before", n, before)
	}
}

func TestARevokedSessionIsRefused(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	token := func(session string) http.Header { return http.Header{"Authorization": {"Bearer " + session}} }
	revoked, other := token(o.revokedSession()), token(o.session(nil))
	for range 5 {
		o.mustRefuse(http.StatusUnauthorized, "unauthorized", o.callWith(http.MethodGet, "/api/credits", nil, revoked).reply)
		o.must(http.StatusOK, o.callWith(http.MethodGet, "/api/agents", nil, other).reply)
	}
}

func TestTheEarlierSessionsOfARevokedUserAreRefused(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	token := func(user string, ago time.Duration) http.Header {
		at := time.Now().Add(-ago)
		return http.Header{"Authorization": {"Bearer " + o.session(doc{"user_id": user, "iat": at.Unix(), "nbf": at.Unix()})}}
	}
	early, late, other := token("user_ann", time.Minute), token("user_ann", 10*time.Second), token("user_bob", time.Minute)
	for _, h := range []http.Header{early, late, other} {
		o.must(http.StatusOK, o.callWith(http.MethodGet, "/api/agents", nil, h).reply)
	}
	before := time.Now().Add(-30 * time.Second)
	o.publish("hub", "session.revoked", doc{"user_id": "user_ann", "before": before.UTC().Format(time.RFC3339), "reason": "user_removed"})
	o.eventually("the earlier session is refused", func() bool {
		return o.callWith(http.MethodGet, "/api/agents", nil, early).status != http.StatusOK
	})
	o.mustRefuse(http.StatusUnauthorized, "unauthorized", o.callWith(http.MethodGet, "/api/credits", nil, early).reply)
	for _, h := range []http.Header{late, other} {
		o.must(http.StatusOK, o.callWith(http.MethodGet, "/api/agents", nil, h).reply)
	}
}

func TestASessionThatCannotBeRevokedIsRefused(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	now := time.Now()
	for name, claims := range map[string]doc{
		"no jti":               {"jti": nil},
		"no iat":               {"iat": nil},
		"a day and a minute":   {"exp": now.Add(24*time.Hour + time.Minute).Unix()},
		"exp in the year 9999": {"exp": 253402300799},
	} {
		h := http.Header{"Authorization": {"Bearer " + o.session(claims)}}
		if r := o.callWith(http.MethodGet, "/api/agents", nil, h); r.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want 401", name, r.status)
		}
	}
}

// revokedSession returns a session that was valid until the Hub revoked it.
func (o *org) revokedSession() string {
	o.t.Helper()
	jti := "jti_" + rand.Text()
	session := o.session(doc{"jti": jti})
	header := http.Header{"Authorization": {"Bearer " + session}}
	o.must(http.StatusOK, o.callWith(http.MethodGet, "/api/agents", nil, header).reply)
	o.publish("hub", "session.revoked", doc{
		"jti": jti, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "reason": "signed_out",
	})
	var r full
	o.eventually("the session is refused", func() bool {
		r = o.callWith(http.MethodGet, "/api/agents", nil, header)
		return r.status != http.StatusOK
	})
	o.mustRefuse(http.StatusUnauthorized, "unauthorized", r.reply)
	return session
}

func TestACookieWritesFromOurPagesOnly(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	preflight := func(origin string) http.Header {
		return o.callWith(http.MethodOptions, "/api/agents", nil, http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {http.MethodPost}, "Access-Control-Request-Headers": {"content-type"},
		}).header
	}
	h := preflight(o.outputs.Origin)
	if h.Get("Access-Control-Allow-Origin") != o.outputs.Origin || h.Get("Access-Control-Allow-Credentials") != "true" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), http.MethodPost) ||
		!strings.Contains(strings.ToLower(h.Get("Access-Control-Allow-Headers")), "content-type") {
		t.Errorf("preflight from our origin: %v", h)
	}
	if got := preflight("https://evil.example").Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("preflight from elsewhere allows %q", got)
	}

	for _, c := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"neither header", http.Header{}, http.StatusForbidden},
		{"another origin", http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
		{"another origin that claims to be ours", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"same-origin"}}, http.StatusForbidden},
		{"a null origin", http.Header{"Origin": {"null"}}, http.StatusForbidden},
		{"another site", http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		{"a site beside", http.Header{"Sec-Fetch-Site": {"same-site"}}, http.StatusForbidden},
		{"our origin", http.Header{"Origin": {o.outputs.Origin}}, http.StatusCreated},
		{"the same origin", http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusCreated},
	} {
		c.header.Set("Cookie", "hub_session="+o.session(nil))
		r := o.callWith(http.MethodPost, "/api/templates/tmpl_sla_escalation/clone", nil, c.header)
		if r.status != c.status {
			t.Errorf("%s: %d %v, want %d", c.name, r.status, r.body, c.status)
		}
		readable := ""
		if c.header.Get("Origin") == o.outputs.Origin {
			readable = o.outputs.Origin
		}
		if got := r.header.Get("Access-Control-Allow-Origin"); got != readable {
			t.Errorf("%s: %q may read the answer, want %q", c.name, got, readable)
		}
		if r.status == http.StatusForbidden {
			o.mustRefuse(http.StatusForbidden, "forbidden", r.reply)
		}
	}
	o.must(http.StatusOK, o.callWith(http.MethodGet, "/api/agents", nil, http.Header{"Cookie": {"hub_session=" + o.session(nil)}}).reply)
}

func TestEveryAnswerHasTheRateLimit(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	last := 0
	for i, path := range []string{"/api/agents", "/api/executions", "/api/agents/agent_nonsense", "/api/executions?limit=0", "/api/credits"} {
		r := o.callWith(http.MethodGet, path, nil, o.bearer())
		limit, err1 := strconv.Atoi(r.header.Get("X-RateLimit-Limit"))
		left, err2 := strconv.Atoi(r.header.Get("X-RateLimit-Remaining"))
		reset, err3 := strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
		if err := cmp.Or(err1, err2, err3); err != nil {
			t.Errorf("%s: %d %v: %v", path, r.status, r.header, err)
			continue
		}
		wait := time.Until(time.Unix(reset, 0))
		if limit < 1 || left < 0 || left >= limit || wait < -2*time.Second || wait > 61*time.Second {
			t.Errorf("%s: limit %d, remaining %d, reset in %v", path, limit, left, wait)
		}
		if i > 0 && limit != last {
			t.Errorf("%s: limit %d, before %d", path, limit, last)
		}
		last = limit
	}
}

func TestGuardianOpensATicketForTroubleAndNotForNoise(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	judge := func(noise bool, summary string) doc {
		return doc{"noise": noise, "summary": summary, "priority": "p2", "next_steps": "Look at it."}
	}
	o.addRules("_model",
		doc{"contains": "Drive D: is full", "respond": judge(false, "The file server has no space left")},
		doc{"contains": "A short spike", "respond": judge(true, "Nothing to do")},
	)
	want := map[string]string{
		"Drive D: is full.": "assess_alert:completed open_ticket:completed",
		"A short spike.":    "assess_alert:completed open_ticket:skipped",
	}
	for message := range want {
		o.publish("rmm", "alert.triggered", doc{
			"alert_id": "alr_" + rand.Text()[:6], "severity": "high", "metric": "disk_used_percent", "message": message,
			"value": 97.2, "threshold": 90, "device_id": "dev_1", "client_id": "client_1",
		})
	}
	o.eventually("both alerts are handled", func() bool { return len(o.runs()) == 2 })
	for _, r := range o.runs() {
		x := o.ends(text(r, "id"))
		message := text(x, "trigger_event", "payload", "message")
		if text(x, "agent_id") != "agent_system_guardian" || text(x, "status") != "completed" || statuses(x) != want[message] {
			t.Errorf("%s: %v is %v with %q, want %q", message, at(x, "agent_id"), at(x, "status"), statuses(x), want[message])
		}
	}
	tickets := o.done("create_ticket")
	if len(tickets) != 1 {
		t.Fatalf("%d tickets, want 1", len(tickets))
	}
	p, _ := at(tickets[0], "params").(doc)
	if text(p, "subject") != "The file server has no space left" || text(p, "priority") != "p2" || text(p, "client_id") != "client_1" ||
		!strings.Contains(text(p, "description"), "Drive D: is full.") || !strings.Contains(text(p, "description"), "Look at it.") {
		t.Errorf("ticket = %v", p)
	}
}

func TestAdvisorWritesItsNote(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_model", doc{"contains": "Acme Corp", "respond": doc{"note": "Acme is well. Ask about the new office."}})
	o.publish("hub", "client.review_due", doc{"client_id": "client_1", "client_name": "Acme Corp", "review_type": "quarterly"})
	x := o.ends(o.run())
	if text(x, "agent_id") != "agent_system_advisor" || text(x, "status") != "completed" || number(x, "credits_used") != 5 {
		t.Errorf("%v is %v for %v credits: %v", at(x, "agent_id"), at(x, "status"), at(x, "credits_used"), at(x, "error"))
	}
	notes := o.done("add_client_note")
	if len(notes) != 1 || text(notes[0], "params", "body") != "Acme is well. Ask about the new office." ||
		text(notes[0], "params", "client_id") != "client_1" {
		t.Errorf("notes = %v", notes)
	}
}
