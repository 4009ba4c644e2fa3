package httpapi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

func TestPagesHaveNoGapAndNoDuplicateWhileRunsArrive(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for n := range 20 {
		w.pending(t, id.Execution(fmt.Sprintf("exec_OLD%02d", n)), time.Duration(10+n/3)*time.Minute)
	}
	const all = 23
	seen := map[string]int{}
	var last any
	what := "GET /api/executions?agent_id=" + agentID + "&limit=3"
	for page := 0; ; page++ {
		next := what
		if last != nil {
			next += "&cursor=" + fmt.Sprint(last)
		}
		got := w.do(t, call{as: "viewer@org_a", what: next})
		for n := range 3 {
			if name, ok := got.field(fmt.Sprintf("executions.%d.id", n)).(string); ok {
				seen[name]++
			}
		}
		if total := got.field("total"); total != float64(all) {
			t.Errorf("page %d: total is %v, want %d as on the first", page, total, all)
		}
		w.pending(t, id.Execution(fmt.Sprintf("exec_NEWER%02d", page)), 0)
		if last = got.field("next_cursor"); last == nil {
			break
		}
	}
	if len(seen) != all {
		t.Errorf("%d runs were seen, want %d", len(seen), all)
	}
	for x, n := range seen {
		if n != 1 {
			t.Errorf("%s was seen %d times", x, n)
		}
	}
}

func (w *fixture) pending(t *testing.T, name id.Execution, ago time.Duration) {
	t.Helper()
	x := execution.New(execution.Execution{ID: name, Org: "org_a", Agent: agentID, Version: 1}, now.Add(-ago))
	if err := w.store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
}

func TestACursorIsValidOnlyForItsListAndFilters(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	cursor, ok := w.do(t, call{as: "viewer@org_a", what: "GET /api/executions?limit=1"}).field("next_cursor").(string)
	if !ok {
		t.Fatal("the first page has no cursor")
	}
	flipped := []byte(cursor)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]call{
		"another organization": {as: "viewer@org_b", what: "GET /api/executions?cursor=" + cursor},
		"another list":         {as: "viewer@org_a", what: "GET /api/approvals?cursor=" + cursor},
		"an agent's activity":  {as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/activity?cursor=" + cursor},
		"a search":             {as: "viewer@org_a", what: "GET /api/executions?client_id=cli_acme&cursor=" + cursor},
		"another filter":       {as: "viewer@org_a", what: "GET /api/executions?status=failed&cursor=" + cursor},
		"a changed cursor":     {as: "viewer@org_a", what: "GET /api/executions?cursor=" + url.QueryEscape(string(flipped))},
		"a longer cursor":      {as: "viewer@org_a", what: "GET /api/executions?cursor=" + cursor + "AA"},
		"no cursor":            {as: "viewer@org_a", what: "GET /api/executions?cursor=exec_01HABC"},
		"half a cursor":        {as: "viewer@org_a", what: "GET /api/executions?cursor=" + cursor[:40]},
	} {
		if got := w.do(t, c); got.status != http.StatusBadRequest || got.field("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	for _, limit := range []string{"1", "200"} { // the page size is not a filter
		if got := w.do(t, call{as: "owner@org_a", what: "GET /api/executions?limit=" + limit + "&cursor=" + cursor}); got.status != http.StatusOK {
			t.Errorf("limit %s: %d %s", limit, got.status, got.text)
		}
	}
}

func TestACursorOfThePreviousGenerationIsAcceptedAndNoneIsMade(t *testing.T) {
	t.Parallel()

	list := id.Hash("executions", "org_a")
	key := func(text string) []byte { return []byte(strings.Repeat(text, 32)) }
	old, current := walk{signer{current: key("o")}, list}, walk{signer{key("c"), key("o")}, list}
	at := position{After: "2026-03-09T14:23:01Z#exec_1", Total: 842}
	if got, err := current.from(old.to(at)); err != nil || got != at {
		t.Errorf("the old cursor is %+v, %v", got, err)
	}
	if got, err := current.from(current.to(at)); err != nil || got != at {
		t.Errorf("the new cursor is %+v, %v", got, err)
	}
	if _, err := old.from(current.to(at)); err == nil {
		t.Error("the previous generation signs")
	}
	for name, w := range map[string]walk{
		"the generation before":    {signer{key("n"), key("c")}, list},
		"a rotation that is over":  {signer{current: key("c")}, list},
		"an empty previous secret": {signer{key("c"), []byte{}}, list},
	} {
		if _, err := w.from(old.to(at)); err == nil {
			t.Errorf("%s accepts the cursor", name)
		}
	}
}

func FuzzCursor(f *testing.F) {
	w := walk{key: signer{current: []byte(strings.Repeat("k", 32))}, list: id.Hash("executions", "org_a")}
	good := *w.to(position{After: "2026-03-09T14:23:01Z#exec_1", Total: 842})
	f.Add(good)
	f.Add("")
	f.Add("exec_01HABC")
	f.Add(good[:len(good)-1])
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 40)))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := w.from(&text)
		if err == nil && (text != good || p.Total != 842) {
			t.Errorf("%q is accepted as a cursor although it was not signed: %v", text, p)
		}
	})
}
