package dynamo

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/limit"
)

func TestAKeyPartWithASeparatorNeverReachesTheTable(t *testing.T) {
	t.Parallel()

	s := New(nil, "table") // any call would panic
	for _, bad := range []string{"", "a#b", "#", "a\n", "\x00", "a\x7f"} {
		_, agentErr := s.Agent(t.Context(), "org_1", id.Agent(bad))
		_, orgErr := s.Tenant(t.Context(), id.Org(bad))
		_, listErr := s.Agents(t.Context(), id.Org(bad))
		_, _, eventErr := s.Listeners(t.Context(), "org_1", bad)
		_, pageErr := s.Executions(t.Context(), id.Org(bad), execution.Query{Limit: 1})
		_, countErr := s.size(t.Context(), runsQuery(id.Org(bad), execution.Query{}), 1)
		_, statusErr := s.Executions(t.Context(), id.Org(bad), execution.Query{Limit: 1, Status: execution.Failed})
		_, bothErr := s.Executions(t.Context(), "org_1", execution.Query{Limit: 1, Status: execution.Failed, Agent: id.Agent(bad + "#")})
		createErr := s.Create(t.Context(), execution.Execution{ID: "exec_1", Org: "org_1", Agent: id.Agent(bad)})
		pauseErr := s.SavePause(t.Context(), "org_1", id.Agent(bad), "psa:ticket.created", agent.Pause{})
		stepErr := s.SaveStep(t.Context(), execution.Execution{Org: "org_1", ID: "exec_1"}, execution.StepRecord{ID: id.Step(bad)})
		for i, err := range []error{agentErr, orgErr, listErr, eventErr, pageErr, countErr, statusErr, bothErr, createErr, pauseErr, stepErr} {
			if !errors.Is(err, errKey) {
				t.Errorf("call %d with %q: err = %v, want errKey", i, bad, err)
			}
		}
	}
}

func TestAPartitionNamesItsRun(t *testing.T) {
	t.Parallel()

	pk, err := runPartition("org_1", "exec_1")
	if err != nil {
		t.Fatal(err)
	}
	if o, x, ok := runOf(pk); !ok || o != "org_1" || x != "exec_1" {
		t.Errorf("runOf(%q) = %q, %q, %t", pk, o, x, ok)
	}
	for _, pk := range []string{"", "ORG#org_1", "ORG#org_1#APPR#appr_1", "KEY#a#EXEC#b"} {
		if _, _, ok := runOf(pk); ok {
			t.Errorf("%q is accepted as the partition of a run", pk)
		}
	}
}

// The kinds of keys by the way in which an erasure finds them.
const (
	walked    = "in a partition of places"
	byRuns    = "by the list of runs"
	byGates   = "by the list of approvals"
	byParts   = "by the list of parts"
	byAgents  = "by an agent's head, statistics, runs or acts"
	byClients = "by the note of a client"
	byTypes   = "by the note of a type and a day"
	byKeys    = "with the integration key"
	itself    = "the erasure"
)

// Every function of itemkeys.go that makes the key of an item is here. A new kind of
// items fails this test until an erasure finds it.
func TestAnErasureFindsEveryKindOfItems(t *testing.T) {
	t.Parallel()

	const o = id.Org("org_1")
	kinds := map[string]struct {
		key primary
		how string
	}{
		"tenantKey":      {tenantKey(o), itself},
		"headKey":        {headKey(o, "agent_1"), walked},
		"countKey":       {countKey(o), walked},
		"listenKey":      {listenKey(o, "psa:ticket.created", "agent_1"), walked},
		"requestKey":     {requestKey(o, "k"), walked},
		"pauseKey":       {pauseKey(o, "agent_1"), walked},
		"keyKey":         {keyKey(o, "key_1"), walked},
		"deliveryKey":    {deliveryKey(o, "msg_1"), walked},
		"hashKey":        {hashKey("0abc"), byKeys},
		"versionKey":     {versionKey(o, "agent_1", 1), byAgents},
		"limitKey":       {limitKey(o, "agent_1"), byAgents},
		"refusalKey":     {refusalKey(o, "agent_1", "act_1", time.Unix(0, 0)), byAgents},
		"notedClientKey": {notedClientKey(o, "client_1"), walked},
		"letterKey":      {letterKey(o, "evt_1"), walked},
		"typeKey":        {typeKey(o, "1970-01-01", "psa:ticket.created"), walked},
		"receivedKey":    {receivedKey(o, aReceived()), byTypes},
		"metaKey":        {metaKey(o, "exec_1"), byRuns},
		"stepKey":        {stepKey(o, "exec_1", "a"), byRuns},
		"payloadKey":     {payloadKey(o, execution.Execution{Agent: "agent_1"}.Digest()), byRuns},
		"treeKey":        {treeKey(o, "evt_1"), byParts},
		"makerKey":       {makerKey(o, catalog.ObjectID{Kind: "psa.ticket", ID: "1"}), byParts},
		"factKey":        {factKey(o, "client_1", client.Fact{Kind: client.Posture}), byClients},
		"approvalKey":    {approvalKey(o, "appr_1"), byGates},
		"monthKey":       {monthKey(o, "2026-03"), walked},
		"revokedKey":     {revokedKey(o, "ses_1"), walked},
		"revokedUserKey": {revokedUserKey(o, "user_1"), byParts},
		"tallyKey":       {tallyKey(o), walked},
		"messagesKey":    {messagesKey(o, "2026-03-09", "sms_per_day"), walked},
		"rateKey":        {rateKey(limit.Pot{Org: o, User: "user_1"}, time.Unix(0, 0)), walked},
		"alertsKey":      {alertsKey(o), walked},
		"rotationKey":    {rotationKey(o), walked},
		"outboxKey":      {outboxKey(o, "evt_1"), byParts},
		"statsKey":       {statsKey(o, "agent_1"), walked},
		"marksKey":       {marksKey(o, "agent_1", time.Unix(0, 0), 1), walked},
		"auditKey":       {auditKey(audit.Entry{Org: o, ID: "act_1"}), walked},
		"jobKey":         {jobKey(o, "job_1"), walked},
		"argsKey":        {argsKey(o, "job_1"), walked},
		"resultKey":      {resultKey(o, "job_1"), walked},
		"openJobKey":     {openJobKey(o, "backtest"), walked},
	}
	if made, known := keyFunctions(t), slices.Sorted(maps.Keys(kinds)); !slices.Equal(made, known) {
		t.Errorf("itemkeys.go makes the keys\n%q, and this test knows\n%q", made, known)
	}
	all, err := places(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(k primary) item { return k.item() }
	meta := at(metaKey(o, "exec_1"))
	meta["dg"], meta["ag"], meta["cl"] = text(execution.Execution{Agent: "agent_1"}.Digest()), text("agent_1"), text("client_1")
	key := at(keyKey(o, "key_1"))
	key["hash"] = text("0abc")
	act := at(auditKey(audit.Entry{Org: o, ID: "act_1"}))
	act["object"] = text("agent_1")
	sources := map[string][]item{
		byRuns: {meta}, byAgents: {meta, act, at(headKey(o, "agent_1")), at(statsKey(o, "agent_1"))},
		byClients: {meta, at(notedClientKey(o, "client_1"))}, byKeys: {key},
		byTypes: {at(typeKey(o, "1970-01-01", "psa:ticket.created"))},
	}
	for name, k := range kinds {
		if k.key.err != nil {
			t.Errorf("%s: %v", name, k.key.err)
		}
		if own := slices.Contains(all, place{pk: k.key.PK}); own != (k.how == walked || k.how == itself) {
			t.Errorf("%s: %s is walked through: %t, want %s", name, k.key.PK, own, k.how)
		}
		for _, from := range sources[k.how] {
			listed := k.how == byRuns && strings.HasPrefix(k.key.PK, "ORG#org_1#EXEC#")
			if !listed && !slices.Contains(beyond(o, from), k.key.PK) {
				t.Errorf("%s: %s does not lead to %s", name, textOf(from, "sk"), k.key.PK)
			}
		}
		if list := (part{List: "ORG#org_1#PARTS", At: k.key.PK}); k.how == byParts && partOf(o, k.key) != list {
			t.Errorf("%s: listed at %+v, want %+v", name, partOf(o, k.key), list)
		}
	}
	for _, list := range []string{"ORG#org_1#RUNS", "ORG#org_1#APPROVALS", "ORG#org_1#PARTS"} {
		if !slices.Contains(all, place{pk: list, list: true}) {
			t.Errorf("no walk follows the list %s", list)
		}
	}
}

func aReceived() journal.Entry {
	return journal.Entry{Event: event.Event{ID: "evt_1", Product: "psa", Type: "ticket.created", Published: time.Unix(0, 0)}}
}

// keyFunctions returns the names of the functions that make the keys of items, sorted.
func keyFunctions(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "itemkeys.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
			continue
		}
		result, ok := f.Type.Results.List[0].Type.(*ast.Ident)
		if ok && result.Name == "primary" && !strings.HasPrefix(f.Name.Name, "in") {
			names = append(names, f.Name.Name)
		}
	}
	slices.Sort(names)
	return names
}
