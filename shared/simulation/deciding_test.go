package simulation_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// isolates is a destructive action.
func isolates(name string) string {
	return `{"id": "` + name + `", "type": "product_action", "product": "defend", "action": "isolate_device", "params": {
		"device_id": "{{ event_payload.ticket_id }}", "reason": "an alert"}}`
}

// ---- an approval that ages ----

func TestADestructiveActionIsAskedAboutAgainAfterADay(t *testing.T) {
	t.Parallel()

	const told = `"notify": [{"channel": "sms", "recipients": ["+15550000001"]}]`
	for name, tc := range map[string]struct {
		between string        // the step between gate and action
		late    time.Duration // how long the machines are gone after the verdict
		again   bool
		shows   []id.Step // of the last question
	}{
		"at once":                        {act("a"), 0, false, []id.Step{"a", "b"}},
		"after a wait of less":           {pause("a", 23*3600), 0, false, []id.Step{"a", "b"}},
		"after a wait of two days":       {pause("a", 48*3600), 0, true, []id.Step{"b"}},
		"after an outage":                {act("a"), 30 * time.Hour, true, []id.Step{"b"}},
		"an action that can be undone":   {pause("a", 48*3600) + "," + act("b"), 0, false, []id.Step{"a", "b"}},
		"after a wait within a branch":   {`{"id": "way", "type": "branch", "cases": [{"when": ` + urgent + `, "steps": [` + pause("a", 90_000) + `]}]}`, 0, true, []id.Step{"b"}},
		"after a wait of exactly a day":  {pause("a", 24*3600), 0, true, []id.Step{"b"}},
		"after an escalation and a wait": {pause("a", 90_000), 0, true, []id.Step{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				escalated := strings.Contains(name, "escalation")
				gate := []string{told, `"timeout_seconds": 172800`}
				if escalated {
					gate = append(gate, `"on_expiry": "escalate", "escalate_to": {"users": ["user_boss"], "notify": [{"channel": "sms", "recipients": ["+15550000002"]}]}`)
				}
				steps := []string{ask("g", gate...), tc.between, isolates("b")}
				if strings.Contains(tc.between, `"b"`) {
					steps = steps[:2]
				}
				x := w.wake(w.agent(list(steps...)))
				w.pass(time.Minute)
				if escalated {
					w.pass(48 * time.Hour)
				}
				if tc.late > 0 {
					w.faults.set(func(at site) fault {
						if strings.HasPrefix(at.port, "store.Execution") {
							return fault{before: errors.New("the table is down")}
						}
						return fault{}
					})
				}
				w.must(w.decide(w.person("user_ann", caller.Owner), x, true))
				first := w.questions()[0]
				if tc.late > 0 {
					w.pass(tc.late)
					w.faults.set(nil)
					w.pass(time.Hour)
				} else {
					w.pass(50 * time.Hour)
				}
				all := w.questions()
				if !tc.again {
					if len(all) != 1 || !strings.HasPrefix(w.story(x), "completed") {
						t.Errorf("%d questions; %s", len(all), w.story(x))
					}
					w.audit()
					return
				}
				if _, done := w.products.did(x, "b"); done || len(all) != 2 {
					t.Fatalf("the action was done: %t; %d questions; %s", done, len(all), w.story(x))
				}
				second := all[0]
				var shown []id.Step
				for _, f := range second.Then {
					shown = append(shown, f.Step)
				}
				if !slices.Equal(shown, tc.shows) || len(second.Votes) != 0 || second.Step != "g" || second.Escalated {
					t.Errorf("the second question shows %v with %d votes at %s", shown, len(second.Votes), second.Step)
				}
				if r := second.Renews; r == nil || r.Approval != first.ID || r.DecidedBy != "user_ann" || !r.DecidedAt.Equal(first.DecidedAt) {
					t.Errorf("it renews %+v, want %s", second.Renews, first.ID)
				}
				again := 0
				for _, m := range w.senders.messages() {
					if strings.HasPrefix(m.Body, "Asked again: the approval by user_ann at ") {
						again++
					}
				}
				if again != 1 && again != 2 { // with a reminder
					t.Errorf("%d messages say that it is asked again", again)
				}
				w.must(w.decide(w.person("user_bob", caller.Admin), x, true))
				w.pass(time.Hour)
				if got := w.story(x); !strings.HasPrefix(got, "completed") {
					t.Error(got)
				}
				e, done := w.products.did(x, "b")
				if third, _ := w.question(x); !done || third.ID != "" {
					t.Errorf("done %t at %v; another question: %s", done, e.at, third.ID)
				}
				outcomes := map[string]int{}
				for _, m := range w.outcomes() {
					who, _, _ := strings.Cut(m.Body, ".")
					outcomes[who]++
				}
				asked := 1
				if escalated {
					asked = 2
				}
				if outcomes["Approved by user_ann"] != asked || outcomes["Approved by user_bob"] != 1 {
					t.Errorf("the outcomes are %v", outcomes)
				}
				w.audit()
			})
		})
	}
}

func TestAnApprovalThatIsAskedAgainMayBeDeniedOrExpire(t *testing.T) {
	t.Parallel()

	for _, denied := range []bool{true, false} {
		inWorld(t, func(w *world) {
			x := w.wake(w.agent(list(ask("g"), pause("a", 48*3600), isolates("b"))))
			w.pass(time.Minute)
			w.must(w.decide(w.owner(), x, true))
			w.pass(48*time.Hour + time.Minute)
			want := "cancelled (approval_expired): g completed, a completed, b skipped"
			if denied {
				w.must(w.decide(w.owner(), x, false))
				want = "cancelled (approval_denied): g completed, a completed, b skipped"
			}
			w.pass(3 * time.Hour)
			w.expect(x, want)
			w.audit()
		})
	}
}

// ---- who decides, under all moves ----

// A ledger keeps what people did about the approvals of a world, by own
// arithmetic.
type ledger struct {
	votes   map[id.Approval][]ballot
	revoked map[id.User][]time.Time
	starter map[id.Execution]id.User
}

// A ballot is a yes that the service took.
type ballot struct {
	who    id.User
	role   caller.Role
	at     time.Time
	denied bool // whether the organization refused self-approval
}

const firstTime = 2 * time.Hour // until the escalation

// forbids returns why the rules forbid the verdict on a at which an action began.
func (l ledger) forbids(a approval.Approval, began time.Time, authors ...id.User) string {
	if age := began.Sub(a.DecidedAt); age >= 24*time.Hour+time.Minute {
		return fmt.Sprintf("the verdict is %v old", age)
	}
	counted := map[id.User]bool{}
	for _, b := range l.votes[a.ID] {
		author := slices.Contains(append(authors, l.starter[a.Execution]), b.who)
		switch {
		case author && (b.role == caller.Member || b.denied):
			return fmt.Sprintf("%s, a %s, decides own work", b.who, b.role)
		case b.role == caller.Viewer:
			return fmt.Sprintf("%s is a viewer", b.who)
		case !a.DecidedAt.Before(a.Created.Add(firstTime)) && b.at.Before(a.Created.Add(firstTime)):
			continue // cleared by the escalation
		case slices.ContainsFunc(l.revoked[b.who], func(t time.Time) bool { return t.After(b.at) && !t.After(a.DecidedAt) }):
			continue
		}
		counted[b.who] = true
	}
	if len(counted) < 2 {
		return fmt.Sprintf("%d votes count", len(counted))
	}
	return ""
}

func TestGuardedActionsAreDecidedByOthersWhateverHappens(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)

	began, forbidden := 0, 0
	for seed := range uint64(60) {
		inWorld(t, func(w *world) {
			r := rand.New(rand.NewPCG(seed, 7))
			l := ledger{map[id.Approval][]ballot{}, map[id.User][]time.Time{}, map[id.Execution]id.User{}}
			steps := []string{
				ask("g", `"min_approvals": 2, "approvers": {"roles": ["member"]}, "timeout_seconds": 7200, "on_expiry": "escalate",
					"escalate_to": {"roles": ["member"], "timeout_seconds": 14400}`),
				isolates("b"),
			}
			if seed%2 == 0 {
				steps = slices.Insert(steps, 1, pause("p", 100_000))
			}
			runs := []id.Execution{w.wake(w.agent(list(steps...)))}
			roles := map[id.User]caller.Role{
				"user_author": caller.Member, "user_max": caller.Member, "user_mia": caller.Member, "user_olga": caller.Owner, "user_vera": caller.Viewer,
			}
			if seed%3 == 0 {
				roles["user_author"] = caller.Admin
			}
			people := []id.User{"user_author", "user_max", "user_mia", "user_olga", "user_vera"}
			signedIn := map[id.User]time.Time{}
			denies := false
			session := func(user id.User) caller.Caller {
				who := w.person(string(user), roles[user])
				if signedIn[user].IsZero() {
					signedIn[user] = time.Now()
				}
				who.Issued = signedIn[user]
				return who
			}
			for range 60 {
				w.pass(time.Duration(1+r.IntN(40)) * time.Minute)
				x := runs[len(runs)-1]
				who := session(people[r.IntN(len(people))])
				switch n := r.IntN(20); {
				case n < 11:
					a, err := w.question(x)
					if err != nil {
						continue
					}
					yes := n > 0
					got, err := w.approvals.Decide(w.over, who, a.ID, approval.Verdict{Approve: yes})
					rules, rulesErr := w.approvals.RulesFor(w.over, who, a)
					w.must(rulesErr)
					if may := a.May(who, rules) == nil; may != (err == nil) && time.Now().Before(a.Expires) {
						t.Errorf("seed %d: %s may decide: %t; the service says %v", seed, who.User, may, err)
					}
					if err == nil && yes && slices.ContainsFunc(got.Votes, func(v approval.Vote) bool { return v.User == who.User && v.At.Equal(time.Now()) }) {
						l.votes[a.ID] = append(l.votes[a.ID], ballot{who.User, roles[who.User], time.Now(), denies})
					}
				case n < 14:
					w.pass(time.Second)
					now := time.Now()
					w.must(w.dispatcher.Dispatch(w.over, w.event("hub:session.revoked", map[string]any{
						"user_id": string(who.User), "before": now.UTC().Format(time.RFC3339Nano),
					})))
					l.revoked[who.User] = append(l.revoked[who.User], now)
					delete(signedIn, who.User)
					w.pass(time.Second)
				case n < 15:
					denies = !denies
					org, err := w.store.Store.Tenant(w.over, w.org)
					w.must(err)
					org.Settings = tenant.Settings{Revision: org.Settings.Revision + 1}
					if denies {
						org.Settings.Chosen = map[tenant.Policy]tenant.Choice{tenant.SelfApproval: tenant.Deny}
					}
					w.must(w.store.SaveSettings(w.over, org))
				case n < 17:
					if roles[who.User] == caller.Viewer {
						continue
					}
					before, _ := w.stored(x)
					again, _, err := w.executions.Retry(w.over, who, x)
					if err == nil && again.RetryOf == x {
						runs = append(runs, again.ID)
						l.starter[again.ID] = who.User
						member := roles[who.User] == caller.Member
						author := who.User == "user_author" || who.User == l.starter[x]
						if before.Reason == execution.ApprovalDenied && member && author {
							w.violated(othersDecide, "seed %d: %s retried %s, which was denied", seed, who.User, x)
						}
					}
				default:
					w.pass(time.Duration(r.IntN(30)) * time.Hour)
				}
			}
			for _, e := range w.products.effects {
				if e.command.Action != "isolate_device" {
					continue
				}
				began++
				why := "no verdict"
				for _, a := range w.questions() { // the newest first
					if a.Execution == e.command.Execution && a.Status == approval.Approved && !a.DecidedAt.After(e.at) {
						why = l.forbids(a, e.at, "user_author")
						break
					}
				}
				if why != "" {
					forbidden++
				}
				w.holds(othersDecide, why == "", "seed %d: %s: %s", seed, e.command.Key, why)
			}
			for _, x := range runs {
				if run, _ := w.stored(x); !run.Status.Ended() {
					w.must(w.cancel(x))
				}
			}
		})
	}
	if began < 20 {
		t.Errorf("only %d actions began", began)
	}
	t.Logf("%d guarded actions began, %d of them on a forbidden verdict", began, forbidden)
}
