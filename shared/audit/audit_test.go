package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
)

func at(second int) time.Time { return time.Date(2026, time.March, 9, 14, 0, second, 0, time.UTC) }

func TestAnEntryNamesTheCallerTheCredentialAndTheAddress(t *testing.T) {
	t.Parallel()

	change := audit.Change{Kind: audit.AgentStatusChanged, Object: "agent_1", From: "version 1, draft", To: "version 1, active", Reason: "go"}
	person := caller.Caller{Org: "org_a", User: "user_1", Session: "ses_1", Address: "198.51.100.7"}
	got := audit.Of(person, change, at(1))
	want := audit.Entry{
		ID: got.ID, Org: "org_a", At: at(1), Actor: "user_1", Credential: audit.Credential{Kind: audit.Session, ID: "ses_1"},
		Address: "198.51.100.7", Kind: audit.AgentStatusChanged, Object: "agent_1",
		From: "version 1, draft", To: "version 1, active", Reason: "go",
	}
	if diff := cmp.Diff(want, got); diff != "" || !id.Valid("audit_", string(got.ID)) {
		t.Errorf("id %s\n%s", got.ID, diff)
	}
	program := audit.Of(caller.Caller{Org: "org_a", Key: "key_1"}, change, at(1))
	if program.Actor != "key_1" || program.Credential != (audit.Credential{Kind: audit.Key, ID: "key_1"}) {
		t.Errorf("entry of a key: %+v", program)
	}
}

func TestARepeatedActHasTheSameIDAndAnotherActHasAnother(t *testing.T) {
	t.Parallel()

	who := caller.Caller{Org: "org_a", User: "user_1"}
	base := audit.Change{Kind: audit.AgentUpdated, Object: "agent_1", From: "a", To: "b"}
	seen := []id.Audit{audit.Of(who, base, at(1)).ID}
	if audit.Of(who, base, at(1)).ID != seen[0] {
		t.Error("the same act has two ids")
	}
	other := who
	other.User = "user_2"
	for _, e := range []audit.Entry{
		audit.Of(who, base, at(2)), audit.Of(other, base, at(1)),
		audit.Of(who, audit.Change{Kind: audit.AgentDeleted, Object: "agent_1", From: "a", To: "b"}, at(1)),
		audit.Of(who, audit.Change{Kind: audit.AgentUpdated, Object: "agent_2", From: "a", To: "b"}, at(1)),
		audit.Of(who, audit.Change{Kind: audit.AgentUpdated, Object: "agent_1", From: "a", To: "c"}, at(1)),
	} {
		if slices.Contains(seen, e.ID) {
			t.Errorf("%+v has the id of another act", e)
		}
		seen = append(seen, e.ID)
	}
}

func TestAnEntryIsBounded(t *testing.T) {
	t.Parallel()

	who := caller.Caller{Org: "org_a", User: "user_1", Session: strings.Repeat("s#", 4000)}
	e := audit.Of(who, audit.Change{Kind: audit.ApprovalDenied, Object: "appr_1", Reason: strings.Repeat("ä", 2000)}, at(1))
	if n := len([]rune(e.Reason)); n != 200 || !strings.HasSuffix(e.Reason, "…") {
		t.Errorf("the reason has %d characters", n)
	}
	if !id.ValidExternal(e.Credential.ID) {
		t.Errorf("the credential is %q", e.Credential.ID)
	}
}

func TestOnlyTheListedKindsAreKnown(t *testing.T) {
	t.Parallel()

	for _, k := range audit.Kinds() {
		if !k.Known() {
			t.Errorf("%s is not known", k)
		}
	}
	if audit.Kind("").Known() || audit.Kind("agent.read").Known() {
		t.Error("an unknown kind is known")
	}
}
