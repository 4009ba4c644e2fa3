package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/jsonvalue"
)

// marker is in every URL of hookedAgent.
const marker = "MARKER"

// hookedAgent returns a definition with a URL in every place that can have one.
func hookedAgent() string {
	n := 0
	urls := func() string {
		n++
		return fmt.Sprintf(`["https://hooks.slack.com/services/%s%d", "<https://Hooks.Example.net:8443/%s%d?x=%s>",
			"https://hooks.example.org/%s%d/{{ event_payload.ticket_id }}"]`, marker, n, marker, n, marker, marker, n)
	}
	notify := func(id string) string {
		return fmt.Sprintf(`{"id": %q, "type": "notification", "channel": "slack", "recipients": %s, "body": "See https://status.example.org/page"}`, id, urls())
	}
	when := `{"context": "event", "field": "priority", "operator": "eq", "value": "p1"}`
	branch := notify("deep")
	for depth := range 4 {
		branch = fmt.Sprintf(`{"id": "b%d", "type": "branch", "cases": [{"when": %s, "steps": [%s]}], "else": [%s]}`,
			depth, when, branch, notify(fmt.Sprint("else", depth)))
	}
	return fmt.Sprintf(`{"name": "Hooked", "category": "service_desk",
		"trigger": {"type": "bus_event", "event_type": "ticket.created", "source_product": "psa"},
		"steps": [%s, %s,
			{"id": "web", "type": "notification", "channel": "webhook", "recipients": %s, "body": "B"},
			{"id": "teams", "type": "notification", "channel": "teams", "recipients": %s, "body": "B"},
			{"id": "mail", "type": "notification", "channel": "email", "recipients": ["lead@msp.example", "{{ event_payload.mail }}"], "body": "B"},
			{"id": "gate", "type": "approval_gate", "message": "Really?", "on_expiry": "escalate",
				"notify": [{"channel": "slack", "recipients": %s}, {"channel": "email", "recipients": ["a@msp.example"]}, {"channel": "webhook", "recipients": %s}],
				"escalate_to": {"roles": ["admin"], "timeout_seconds": 60, "notify": [{"channel": "teams", "recipients": %s}]}}
		]}`, notify("first"), branch, urls(), urls(), urls(), urls(), urls())
}

// hooked stores a hooked agent, a run with its messages, and an approval that shows
// them. It returns the id of the agent.
func (w *fixture) hooked(t *testing.T) string {
	t.Helper()
	made := w.do(t, call{as: "owner@org_a", what: "POST /api/agents", body: hookedAgent()})
	if made.status != http.StatusCreated {
		t.Fatalf("%d %s", made.status, made.text)
	}
	const url = "https://hooks.slack.com/services/" + marker + "1"
	receipt := map[string]any{"recipient": url, "status": "failed", "reason": "It answered 404 (no " + url + ")."}
	sent := map[string]any{"channel": "slack", "recipients": []any{receipt}}
	w.run(t, "exec_01HOOKED", time.Minute, func(x execution.Execution) execution.Change {
		steps := execution.Steps{}
		for _, s := range []execution.StepRecord{
			{ID: "tell", Kind: definition.Notification, Input: map[string]any{"channel": "slack", "recipients": []any{url}}, Output: sent},
			{ID: "confirm", Kind: definition.Gate, Output: map[string]any{"decision": "approved", "notified": map[string]any{"asked": []any{sent}}}},
		} {
			s.Status, s.Started, s.Ended = execution.StepFailed, x.Started, x.Started
			s.Error = &execution.Failure{Code: "notification_failed", Message: "None of 3 could be reached. The first, " + url + ": it said no.", Step: s.ID}
			if err := w.store.SaveStep(t.Context(), x, s); err != nil {
				t.Fatal(err)
			}
			steps[s.ID] = s
		}
		return x.End(func(x execution.Execution) execution.Execution {
			return x.Fail(*steps["tell"].Error, x.Started.Add(time.Second))
		}, steps, false)
	})
	w.ask(t, approval.Approval{
		ID: "appr_01HOOKED", Status: approval.Pending, Created: now, Expires: now.Add(time.Hour),
		Then: []approval.Following{{Step: "tell", Kind: definition.Notification, Message: &approval.Message{Channel: definition.Slack, Recipients: []string{url}}}},
	})
	name, _ := made.field("id").(string)
	return name
}

// The test searches every response of every route for the URLs.
func TestOnlyOwnersAndAdminsSeeTheURLsOfChatsAndWebhooks(t *testing.T) {
	t.Parallel()

	for _, as := range []string{"viewer@org_a", "member@org_a", "read", "read_write"} {
		t.Run(as, func(t *testing.T) {
			t.Parallel()

			w := newFixture(t)
			hooked := w.hooked(t)
			body := w.do(t, call{as: as, what: "GET /api/agents/" + hooked}).text
			if strings.Count(body, "…#") != strings.Count(hookedAgent(), "https://h")+strings.Count(hookedAgent(), "https://H") {
				t.Errorf("a URL is not hidden, or more is: %s", body)
			}
			if !strings.Contains(body, "https://status.example.org/page") || !strings.Contains(body, "lead@msp.example") || !strings.Contains(body, "{{ event_payload.mail }}") {
				t.Errorf("an address or a link that is no credential is hidden: %s", body)
			}
			bodies := map[string][]string{
				"PUT /api/agents/{id}": {body, `{"status": "active"}`, `{"name": "C"}`},
				"POST /api/agents":     {hookedAgent(), body},
			}
			for _, rt := range w.routes {
				for _, body := range append(bodies[rt.pattern], valid[rt.pattern]) {
					for _, agent := range []string{hooked, agentID} {
						ids := map[string]string{"agents": agent, "executions": "exec_01HOOKED", "approvals": "appr_01HOOKED", "keys": "key_NONE", "templates": "tmpl_c"}
						method, path, _ := strings.Cut(rt.pattern, " ")
						if method == http.MethodDelete {
							continue
						}
						group, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/"), "/")
						path = strings.NewReplacer("{id}", ids[group], "{version}", "1").Replace(path)
						got := w.do(t, call{as: as, what: method + " " + path, body: body})
						if got.status >= 500 || strings.Contains(got.text, marker) {
							t.Errorf("%s %s %.60s: %d %s", method, path, body, got.status, got.text)
						}
					}
				}
			}
			if strings.Contains(w.log.String(), marker) {
				t.Errorf("the log has a URL: %s", w.log)
			}
		})
	}
}

func TestOwnersAndAdminsSeeTheURLs(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	hooked := w.hooked(t)
	for _, as := range []string{"owner@org_a", "admin@org_a"} {
		for _, path := range []string{"/api/agents/" + hooked, "/api/agents/" + hooked + "/versions", "/api/agents/" + hooked + "/versions/1", "/api/executions/exec_01HOOKED", "/api/approvals/appr_01HOOKED"} {
			if got := w.do(t, call{as: as, what: "GET " + path}); !strings.Contains(got.text, marker) || strings.Contains(got.text, "…#") {
				t.Errorf("%s as %s: %s", path, as, got.text)
			}
		}
	}
}

// stepsOf returns the steps of an agent as its owner sees them.
func (w *fixture) stepsOf(t *testing.T, agent string) any {
	t.Helper()
	return w.do(t, call{as: "owner@org_a", what: "GET /api/agents/" + agent}).field("steps")
}

// Whatever a caller got from GET, PUT accepts, and the URLs stay.
func TestAnUpdateWithHiddenURLsKeepsTheStoredOnes(t *testing.T) {
	t.Parallel()

	for _, as := range []string{"member@org_a", "read_write", "owner@org_a"} {
		w := newFixture(t)
		hooked := w.hooked(t)
		before := w.stepsOf(t, hooked)
		got := w.do(t, call{as: as, what: "GET /api/agents/" + hooked})
		put := w.do(t, call{as: as, what: "PUT /api/agents/" + hooked, body: got.text, header: map[string]string{"If-Match": got.header.Get("ETag")}})
		if put.status != http.StatusOK || put.field("version") != 1.0 || put.header.Get("ETag") != got.header.Get("ETag") {
			t.Fatalf("as %s: %d %s", as, put.status, put.text)
		}
		doc := parsed(t, got.text)
		steps, _ := doc["steps"].([]any)
		first, _ := steps[0].(map[string]any)
		first["body"] = "Another text."
		put = w.do(t, call{as: as, what: "PUT /api/agents/" + hooked, body: jsonvalue.Canonical(map[string]any{"steps": steps})})
		if put.status != http.StatusOK || put.field("version") != 2.0 {
			t.Fatalf("as %s: %d %s", as, put.status, put.text)
		}
		after := w.stepsOf(t, hooked)
		list, _ := after.([]any)
		changed, _ := list[0].(map[string]any)
		changed["body"] = "See https://status.example.org/page"
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("as %s, the stored steps changed (-before +after):\n%s", as, diff)
		}
	}
}

func TestACloneKeepsTheURLsAndHasDigestsOfItsOwn(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	hooked := w.hooked(t)
	clone := w.do(t, call{as: "member@org_a", what: "POST /api/agents/" + hooked + "/clone"})
	name, _ := clone.field("id").(string)
	if diff := cmp.Diff(w.stepsOf(t, hooked), w.stepsOf(t, name)); clone.status != http.StatusCreated || diff != "" {
		t.Errorf("%d, the clone differs:\n%s", clone.status, diff)
	}
	original := w.do(t, call{as: "member@org_a", what: "GET /api/agents/" + hooked})
	digests := regexp.MustCompile(`#[0-9a-f]{16}`)
	of := map[string]bool{}
	for _, d := range digests.FindAllString(original.text, -1) {
		of[d] = true
	}
	for _, d := range digests.FindAllString(clone.text, -1) {
		if of[d] {
			t.Errorf("both agents have the digest %s", d)
		}
	}
	// A digest of another agent, of another organization's, or of nothing is refused
	// with the path of each, and reveals no URL.
	w.do(t, call{as: "owner@org_b", what: "POST /api/agents", body: hookedAgent()})
	for _, c := range []call{
		{as: "member@org_a", what: "PUT /api/agents/" + name},
		{as: "owner@org_a", what: "PUT /api/agents/" + name},
		{as: "owner@org_b", what: fmt.Sprintf("PUT /api/agents/agent_NEW%d", w.made)},
		{as: "member@org_a", what: "POST /api/agents"},
	} {
		fields := map[string]any{"steps": parsed(t, original.text)["steps"]}
		if strings.HasPrefix(c.what, "POST") {
			maps.Copy(fields, map[string]any{"name": "Stolen", "category": "service_desk", "trigger": parsed(t, original.text)["trigger"]})
		}
		c.body = jsonvalue.Canonical(fields)
		got := w.do(t, c)
		if got.status != http.StatusBadRequest || got.field("error") != "invalid_agent_config" || strings.Contains(got.text, marker) ||
			!strings.Contains(got.text, "stands for no URL of this agent") || got.field("details[0].path") != "steps[0].recipients[0]" {
			t.Errorf("%s as %s: %d %s", c.what, c.as, got.status, got.text)
		}
	}
}

// A digest stands for its URL only where a definition has recipients of chats and
// webhooks: anywhere else, its author could send the URL to himself.
func TestADigestElsewhereStaysADigest(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	hooked := w.hooked(t)
	digest, _ := w.do(t, call{as: "member@org_a", what: "GET /api/agents/" + hooked}).field("steps[0].recipients[0]").(string)
	if !definition.Hidden(digest) {
		t.Fatalf("the recipient is %q", digest)
	}
	text, err := json.Marshal(digest)
	if err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]string{
		"a body":      `{"id": "x", "type": "notification", "channel": "slack", "recipients": ["https://hooks.slack.com/services/mine"], "body": D}`,
		"a parameter": `{"id": "x", "type": "product_action", "product": "psa", "action": "add_note", "params": {"ticket_id": "t", "body": D}}`,
		"a nested parameter": `{"id": "x", "type": "product_action", "product": "psa", "action": "add_note",
			"params": {"ticket_id": "t", "body": "b", "more": {"channel": "slack", "recipients": [D]}}}`,
		"a prompt":  `{"id": "x", "type": "ai_reason", "model": "quick", "prompt": D}`,
		"a message": `{"id": "x", "type": "approval_gate", "message": D}`,
		"an e-mail": `{"id": "x", "type": "notification", "channel": "email", "recipients": [D], "body": "b"}`,
		"a condition": `{"id": "x", "type": "ai_reason", "model": "quick", "prompt": "p",
			"if": {"context": "event", "field": "x", "operator": "eq", "value": D}}`,
	} {
		body := `{"steps": [` + strings.ReplaceAll(step, "D", string(text)) + `]}`
		w.do(t, call{as: "member@org_a", what: "PUT /api/agents/" + hooked, body: body})
		got := w.do(t, call{as: "owner@org_a", what: "GET /api/agents/" + hooked})
		if strings.Contains(jsonvalue.Canonical(got.field("steps[0]")), marker+"1") && !strings.Contains(jsonvalue.Canonical(got.field("steps[0]")), `"first"`) {
			t.Errorf("%s: the digest became the URL: %s", name, got.text)
		}
	}
	for _, alike := range []string{strings.ToUpper(digest), digest + " ", " " + digest, digest[:len(digest)-1], digest + "0"} {
		d, err := json.Marshal(alike)
		if err != nil {
			t.Fatal(err)
		}
		body := `{"steps": [{"id": "x", "type": "notification", "channel": "slack", "recipients": [` + string(d) + `], "body": "b"}]}`
		if got := w.do(t, call{as: "member@org_a", what: "PUT /api/agents/" + hooked, body: body}); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", alike, got.status, got.text)
		}
	}
}

func TestADigestOfThePreviousGenerationIsAccepted(t *testing.T) {
	t.Parallel()

	old := hider{key: []byte(strings.Repeat("o", 32)), org: "org_a", agent: "agent_1"}
	current := old
	current.key, current.old = []byte(strings.Repeat("c", 32)), old.key
	const url = "https://hooks.slack.com/services/" + marker
	now := definition.Definition{Steps: []definition.Step{{ID: "x", NotificationStep: &definition.NotificationStep{Channel: definition.Slack, Recipients: []string{url}}}}}
	for _, sent := range []hider{old, current} {
		fields := parsed(t, `{"steps": [{"id": "x", "type": "notification", "channel": "slack", "recipients": ["`+sent.hidden(definition.Slack, url)+`"]}]}`)
		if got := jsonvalue.Canonical(current.restored(fields, now)); !strings.Contains(got, url) {
			t.Errorf("restored to %s", got)
		}
	}
}
