package stories_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// tells returns a step that sends a message to the organization's own webhook.
func (o *org) tells(channel string) doc {
	return doc{"id": "tell", "type": "notification", "channel": channel, "recipients": []any{o.hookOf(channel)}, "body": "Hello"}
}

// asText returns a value as JSON, to search it.
func asText(v any) string {
	b, _ := json.Marshal(v) //nolint:errchkjson // it was JSON before.
	return string(b)
}

func TestAWebhookVerifiesWithBothSecretsAfterARotation(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	before := text(o.must(http.StatusOK, o.get("/api/webhook-secret")), "secret")
	for _, role := range []string{"member", "viewer"} {
		o.mustRefuse(http.StatusForbidden, "forbidden", o.as("user_other", role).post("/api/webhook-secret/rotate", nil))
	}
	rotated := o.must(http.StatusOK, o.post("/api/webhook-secret/rotate", nil))
	after := text(rotated, "secret")
	until, err := time.Parse(time.RFC3339, text(rotated, "previous_valid_until"))
	if left := time.Until(until); err != nil || after == before || left < 23*time.Hour || left > 25*time.Hour {
		t.Fatalf("rotated to %v, %v", rotated, err)
	}
	if now := text(o.must(http.StatusOK, o.get("/api/webhook-secret")), "secret"); now != after {
		t.Errorf("the secret is %s, want %s", now, after)
	}
	o.agent(o.tells("webhook"))
	o.escalate()
	o.ends(o.run())
	body, header := o.webhook()
	for name, secret := range map[string]string{"the new secret": after, "the one before": before} {
		receiver, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := receiver.Verify(body, header); err != nil {
			t.Errorf("%s does not verify the message: %v %v", name, err, header)
		}
	}
	acts := list(o.must(http.StatusOK, o.get("/api/audit?kind=webhook_secret.rotated")), "entries")
	if len(acts) != 1 || text(acts[0], "to") != "generation 1" || text(acts[0], "actor") != o.user {
		t.Errorf("the audit log has %v", acts)
	}
}

func TestOnlyOwnersAndAdminsSeeTheURLOfAChat(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	hook := o.hookOf("slack")
	read := text(o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "r", "access": "read"})), "key")
	agent := o.agent(o.tells("slack"), doc{
		"id": "confirm", "type": "approval_gate", "message": "Really?", "notify": []any{doc{"channel": "slack", "recipients": []any{hook}}},
	}, doc{"id": "again", "type": "notification", "channel": "slack", "recipients": []any{hook}, "body": "{{ steps.tell.output.recipients }}"})
	o.escalate()
	run := o.run()
	approval := o.approvalOf(run)
	paths := []string{
		"/api/agents/" + agent, "/api/agents/" + agent + "/versions", "/api/executions/" + run, "/api/approvals/" + approval, "/api/approvals",
		"/api/agents/" + agent + "/activity", "/api/executions", "/api/agents",
	}
	secret := hook[strings.Index(hook, "/hooks/"):]
	seen := 0
	for _, path := range paths {
		for _, r := range []reply{o.as("user_m", "member").get(path), o.as("user_v", "viewer").get(path), o.with(read, http.MethodGet, path, nil)} {
			if shown := asText(o.must(http.StatusOK, r)); strings.Contains(shown, secret) {
				t.Errorf("%s shows the URL: %s", path, shown)
			}
		}
		if strings.Contains(asText(o.must(http.StatusOK, o.get(path))), secret) {
			seen++
		}
	}
	if seen < 4 {
		t.Errorf("the owner sees the URL on %d paths", seen)
	}

	// A member changes the agent with what GET returned, and the URL stays.
	member := o.as("user_m", "member")
	got := o.must(http.StatusOK, member.get("/api/agents/"+agent))
	got["description"] = "Changed by a member."
	o.must(http.StatusOK, member.call(http.MethodPut, "/api/agents/"+agent, got))
	kept := o.must(http.StatusOK, o.get("/api/agents/"+agent))
	if text(kept, "steps", 0, "recipients", 0) != hook || text(kept, "description") != "Changed by a member." {
		t.Errorf("the agent is %v", kept)
	}
	other := o.agent(note("x", "y"))
	o.mustRefuse(http.StatusBadRequest, "invalid_agent_config", member.call(http.MethodPut, "/api/agents/"+other, doc{"steps": got["steps"]}))

	// A later step cannot read the URL out of the message before it.
	o.must(http.StatusOK, o.decide(approval, "approved"))
	o.ends(run)
	if leaked := slices.ContainsFunc(o.calls("slack"), func(c any) bool { return strings.Contains(asText(at(c, "body")), secret) }); leaked {
		t.Errorf("a message has the URL: %v", o.calls("slack"))
	}
}
