package approval_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

var asked = time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC)

// pending returns an approval that stays open for two hours.
func pending() approval.Approval {
	return approval.Approval{
		ID: "appr_1", Org: "org_a", Execution: "exec_1", Status: approval.Pending, Min: 1, Token: "token",
		Created: asked, Expires: asked.Add(2 * time.Hour), Revision: 1,
	}
}

func person(user id.User, roles ...caller.Role) caller.Caller {
	return caller.Caller{Org: "org_a", User: user, Roles: roles}
}

func at(minute int) time.Time { return asked.Add(time.Duration(minute) * time.Minute) }

func TestWhoMayDecide(t *testing.T) {
	t.Parallel()

	members := approval.Approvers{Roles: []caller.Role{caller.Member}}
	anna := approval.Approvers{Users: []id.User{"anna"}}
	everyone := approval.Approvers{Roles: []caller.Role{caller.Owner, caller.Admin, caller.Member, caller.Viewer}, Users: []id.User{"anna", ""}}
	key := caller.Caller{Org: "org_a", Key: "key_1", Access: caller.ReadWrite}
	owning := key
	owning.User, owning.Roles = "anna", []caller.Role{caller.Owner}

	for name, tc := range map[string]struct {
		who  caller.Caller
		gate approval.Approvers
		may  bool
	}{
		"an owner always":                           {person("olga", caller.Owner), approval.Approvers{}, true},
		"an admin always":                           {person("ada", caller.Admin), approval.Approvers{}, true},
		"an owner when the gate names others":       {person("olga", caller.Owner), anna, true},
		"a member who is not named":                 {person("max", caller.Member), approval.Approvers{}, false},
		"a member when members are named":           {person("max", caller.Member), members, true},
		"a member who is named":                     {person("anna", caller.Member), anna, true},
		"a member when another is named":            {person("max", caller.Member), anna, false},
		"a member when only owners are named":       {person("max", caller.Member), approval.Approvers{Roles: []caller.Role{caller.Owner}}, false},
		"a viewer who is not named":                 {person("vera", caller.Viewer), approval.Approvers{}, false},
		"a viewer when viewers are named":           {person("vera", caller.Viewer), everyone, false},
		"a viewer who is named":                     {person("anna", caller.Viewer), everyone, false},
		"a viewer who is a member too":              {person("max", caller.Viewer, caller.Member), members, true},
		"a person without a role who is named":      {person("anna"), everyone, false},
		"a key that may write":                      {key, everyone, false},
		"a key in the name of an owner":             {owning, everyone, false},
		"no user, although an empty user is named":  {caller.Caller{}, everyone, false},
		"a name in another case is another person":  {person("Anna", caller.Member), anna, false},
		"a member of a role that is no role at all": {person("max", "members"), everyone, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a := pending()
			a.Approvers = tc.gate
			err := a.May(tc.who, approval.Rules{})
			got, decideErr := a.Decide(tc.who, approval.Verdict{Approve: true}, approval.Rules{}, at(1))
			if tc.may {
				if err != nil || decideErr != nil || got.Status != approval.Approved {
					t.Errorf("May = %v; Decide = %s, %v", err, got.Status, decideErr)
				}
				return
			}
			if !errors.Is(err, approval.ErrNotYours) || !errors.Is(decideErr, approval.ErrNotYours) {
				t.Errorf("May = %v, Decide = %v; want ErrNotYours", err, decideErr)
			}
			if diff := cmp.Diff(a, got); diff != "" {
				t.Errorf("it has changed:\n%s", diff)
			}
		})
	}
}

// A said is one verdict.
type said struct {
	who     id.User
	approve bool
	minute  int
}

func (s said) to(a approval.Approval) (approval.Approval, error) {
	note := fmt.Sprintf("%s at %d", s.who, s.minute)
	return a.Decide(person(s.who, caller.Admin), approval.Verdict{Approve: s.approve, Note: note}, approval.Rules{}, at(s.minute))
}

func yes(who id.User, minute int) said { return said{who, true, minute} }
func no(who id.User, minute int) said  { return said{who, false, minute} }

func TestAnApprovalIsDecidedByItsRules(t *testing.T) {
	t.Parallel()

	type outcome struct {
		status approval.Status
		by     id.User
		note   string
		votes  int
	}
	open := func(votes int) outcome { return outcome{approval.Pending, "", "", votes} }
	for name, tc := range map[string]struct {
		minimum int
		before  func(approval.Approval) approval.Approval
		said    []said
		last    error // of the last verdict; the earlier ones are accepted
		want    outcome
	}{
		"one approval decides":                   {1, nil, []said{yes("a", 1)}, nil, outcome{approval.Approved, "a", "a at 1", 1}},
		"one denial decides":                     {1, nil, []said{no("a", 1)}, nil, outcome{approval.Denied, "a", "a at 1", 1}},
		"no minimum is a minimum of one":         {0, nil, []said{yes("a", 1)}, nil, outcome{approval.Approved, "a", "a at 1", 1}},
		"the first of two leaves it open":        {2, nil, []said{yes("a", 1)}, nil, open(1)},
		"the second of two decides":              {2, nil, []said{yes("a", 1), yes("b", 2)}, nil, outcome{approval.Approved, "b", "b at 2", 2}},
		"the same person twice is one":           {2, nil, []said{yes("a", 1), yes("a", 2)}, nil, open(1)},
		"the same person thrice is one":          {3, nil, []said{yes("a", 1), yes("b", 2), yes("a", 3)}, nil, open(2)},
		"a denial beats earlier approvals":       {3, nil, []said{yes("a", 1), yes("b", 2), no("c", 3)}, nil, outcome{approval.Denied, "c", "c at 3", 3}},
		"a person may change from yes to no":     {2, nil, []said{yes("a", 1), no("a", 2)}, nil, outcome{approval.Denied, "a", "a at 2", 1}},
		"the same verdict again changes nothing": {1, nil, []said{yes("a", 1), yes("a", 2)}, nil, outcome{approval.Approved, "a", "a at 1", 1}},
		"the same denial again changes nothing":  {1, nil, []said{no("a", 1), no("a", 2)}, nil, outcome{approval.Denied, "a", "a at 1", 1}},
		"the same verdict after the time is over changes nothing": {
			1, nil, []said{yes("a", 1), yes("a", 500)}, nil, outcome{approval.Approved, "a", "a at 1", 1},
		},
		"another verdict of the same person is too late": {
			1, nil, []said{yes("a", 1), no("a", 2)}, approval.ErrDecided, outcome{approval.Approved, "a", "a at 1", 1},
		},
		"the same verdict of another person is too late": {
			1, nil, []said{yes("a", 1), yes("b", 2)}, approval.ErrDecided, outcome{approval.Approved, "a", "a at 1", 1},
		},
		"a denial after an approval is too late": {
			1, nil, []said{yes("a", 1), no("b", 2)}, approval.ErrDecided, outcome{approval.Approved, "a", "a at 1", 1},
		},
		"an approval after a denial is too late": {
			2, nil, []said{no("a", 1), yes("b", 2)}, approval.ErrDecided, outcome{approval.Denied, "a", "a at 1", 1},
		},
		"the last moment counts":             {1, nil, []said{yes("a", 119)}, nil, outcome{approval.Approved, "a", "a at 119", 1}},
		"the moment of expiry does not":      {1, nil, []said{yes("a", 120)}, approval.ErrExpired, open(0)},
		"a denial after the time is refused": {1, nil, []said{no("a", 121)}, approval.ErrExpired, open(0)},
		"a second vote after the time is refused": {
			2, nil, []said{yes("a", 1), yes("b", 121)}, approval.ErrExpired, open(1),
		},
		"an expired question is not decided": {1, expired, []said{yes("a", 121)}, approval.ErrExpired, outcome{approval.Expired, "", "", 0}},
		"a clock that runs behind does not open an expired question": {
			1, expired, []said{yes("a", 5)}, approval.ErrExpired, outcome{approval.Expired, "", "", 0},
		},
		"a question of a cancelled run is decided": {
			1, closed, []said{yes("a", 6)}, approval.ErrDecided, outcome{approval.Denied, "", "The execution was cancelled.", 0},
		},
		"a denial does not get into a cancelled run": {
			1, closed, []said{no("a", 6)}, approval.ErrDecided, outcome{approval.Denied, "", "The execution was cancelled.", 0},
		},
		"after an escalation there is time again": {
			1, escalated, []said{yes("a", 130)}, nil, outcome{approval.Approved, "a", "a at 130", 1},
		},
		"an escalated question expires too": {1, escalated, []said{yes("a", 180)}, approval.ErrExpired, open(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a := pending()
			a.Min = tc.minimum
			if tc.before != nil {
				a = tc.before(a)
			}
			for i, s := range tc.said {
				got, err := s.to(a)
				if want := tc.last; i == len(tc.said)-1 && !errors.Is(err, want) || i < len(tc.said)-1 && err != nil {
					t.Errorf("verdict %d: err = %v, want %v", i+1, err, want)
				}
				a = got
			}
			got := outcome{a.Status, a.DecidedBy, a.Note, len(a.Votes)}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if decided := got.status == approval.Approved || got.status == approval.Denied; decided == a.DecidedAt.IsZero() {
				t.Errorf("%s, and decided at %v", a.Status, a.DecidedAt)
			}
		})
	}
}

func expired(a approval.Approval) approval.Approval {
	a, _ = a.Expire(at(120))
	return a
}

func closed(a approval.Approval) approval.Approval { return a.Close(at(5)) }

func escalated(a approval.Approval) approval.Approval {
	return a.Escalate(approval.Approvers{Roles: []caller.Role{caller.Member}}, at(180))
}

func TestAVerdictDoesNotChangeWhatWasRead(t *testing.T) {
	t.Parallel()

	a := pending()
	a.Min = 2
	a, err := yes("a", 1).to(a)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(a.Votes)
	for _, s := range []said{no("a", 2), yes("b", 3), no("c", 4)} {
		if _, err := s.to(a); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, a.Votes); diff != "" {
		t.Errorf("the votes that were read have changed:\n%s", diff)
	}
}

func TestAQuestionExpiresOnce(t *testing.T) {
	t.Parallel()

	approved, err := yes("a", 1).to(pending())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		a      approval.Approval
		minute int
		want   bool
		status approval.Status
	}{
		"before its time":        {pending(), 119, false, approval.Pending},
		"at its time":            {pending(), 120, true, approval.Expired},
		"long after its time":    {pending(), 9999, true, approval.Expired},
		"when it was approved":   {approved, 121, false, approval.Approved},
		"when it was cancelled":  {closed(pending()), 121, false, approval.Denied},
		"when it has expired":    {expired(pending()), 121, false, approval.Expired},
		"when it was escalated":  {escalated(pending()), 121, false, approval.Pending},
		"after it was escalated": {escalated(pending()), 180, true, approval.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, ok := tc.a.Expire(at(tc.minute))
			if ok != tc.want || got.Status != tc.status {
				t.Errorf("Expire = %s, %t; want %s, %t", got.Status, ok, tc.status, tc.want)
			}
			got.Status = tc.a.Status
			if diff := cmp.Diff(tc.a, got); diff != "" {
				t.Errorf("something else has changed:\n%s", diff)
			}
		})
	}
}

func TestAnEscalatedApprovalHasOtherApprovers(t *testing.T) {
	t.Parallel()

	a := pending()
	a.Approvers = approval.Approvers{Users: []id.User{"anna"}}
	a = a.Escalate(approval.Approvers{Users: []id.User{"bert"}}, at(180))
	if a.Status != approval.Pending || !a.Expires.Equal(at(180)) {
		t.Errorf("%s until %v", a.Status, a.Expires)
	}
	if err := a.May(person("anna", caller.Member), approval.Rules{}); !errors.Is(err, approval.ErrNotYours) {
		t.Errorf("the old approver: %v", err)
	}
	if err := a.May(person("bert", caller.Member), approval.Rules{}); err != nil {
		t.Errorf("the new approver: %v", err)
	}
}

func TestClosingADecidedQuestionChangesNothing(t *testing.T) {
	t.Parallel()

	a, err := yes("a", 1).to(pending())
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]approval.Approval{
		"approved": a, "expired": expired(pending()), "closed already": closed(pending()),
	} {
		if diff := cmp.Diff(before, before.Close(at(99))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestTheIDOfAnApprovalIsDeterministic(t *testing.T) {
	t.Parallel()

	first := approval.ID(asked, "exec_1", "confirm")
	if again := approval.ID(asked, "exec_1", "confirm"); again != first {
		t.Errorf("%s and %s", first, again)
	}
	if !id.Valid("appr_", string(first)) || len(first) != len("appr_")+26 {
		t.Errorf("%s is no identifier", first)
	}
	for _, other := range []id.Approval{
		approval.ID(asked, "exec_1", "confirm_2"), approval.ID(asked, "exec_2", "confirm"),
		approval.ID(asked.Add(time.Second), "exec_1", "confirm"), approval.ID(asked, "exec_1confirm", ""),
	} {
		if other == first {
			t.Errorf("another question is called %s too", other)
		}
	}
}

// A story is a sequence of actions on an approval.
func TestAnApprovalHasAtMostOneVerdict(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		a := pending()
		a.Min = rapid.IntRange(1, 4).Draw(t, "minimum")
		a.Approvers = approval.Approvers{Users: []id.User{"u1", "u2"}}
		said := map[id.User]bool{} // votes by the test's own count
		final := approval.Approval{}
		minute := 0
		for range rapid.IntRange(1, 25).Draw(t, "length") {
			minute += rapid.IntRange(0, 20).Draw(t, "minutes later")
			before := a
			switch rapid.SampledFrom([]string{"vote", "vote", "vote", "vote", "expire", "close", "escalate"}).Draw(t, "what") {
			case "vote":
				who := person(id.User(fmt.Sprintf("u%d", rapid.IntRange(1, 6).Draw(t, "who"))),
					rapid.SampledFrom([]caller.Role{caller.Owner, caller.Admin, caller.Member, caller.Viewer}).Draw(t, "role"))
				v := approval.Verdict{Approve: rapid.Bool().Draw(t, "approve"), Note: rapid.StringN(0, 5, -1).Draw(t, "note")}
				got, err := a.Decide(who, v, approval.Rules{}, at(minute))
				if err != nil && !cmp.Equal(before, got) {
					t.Fatalf("refused (%v), and yet it became %+v", err, got)
				}
				if err == nil && who.Has(caller.Viewer) {
					t.Fatal("a viewer had a say")
				}
				if err == nil && len(got.Votes) != len(before.Votes) && !at(minute).Before(before.Expires) {
					t.Fatal("a vote counted after the time was over")
				}
				if err == nil && before.Status == approval.Pending && v.Approve {
					said[who.User] = true
				}
				a = got
			case "expire":
				a, _ = a.Expire(at(minute))
			case "close":
				a = a.Close(at(minute))
			case "escalate":
				if a.Status == approval.Pending {
					a = a.Escalate(a.Approvers, at(minute+60))
				}
			}
			if final.Status != "" && !cmp.Equal(final, a) {
				t.Fatalf("final was %+v, and it became %+v", final, a)
			}
			if a.Status != approval.Pending {
				final = a
			}
			voters := map[id.User]bool{}
			for _, v := range a.Votes {
				if voters[v.User] {
					t.Fatalf("%s has two votes in %+v", v.User, a.Votes)
				}
				voters[v.User] = true
			}
			if a.Status == approval.Approved && len(said) < a.Min {
				t.Fatalf("approved by %v; %d must", said, a.Min)
			}
			if a.Status == approval.Pending && len(a.Votes) >= a.Min {
				t.Fatalf("%d of %d have approved, and it is still open", len(a.Votes), a.Min)
			}
		}
	})
}

func TestAnApprovalRemindsOnceAtHalfOfItsTime(t *testing.T) {
	t.Parallel()

	begin := time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }
	a := approval.Approval{Status: approval.Pending, Expires: at(60)}
	if !a.Next().Equal(at(60)) {
		t.Errorf("without a reminder the next thing is at %v", a.Next())
	}
	a = a.Halfway(begin)
	if !a.Next().Equal(at(30)) {
		t.Errorf("the next thing is at %v, want half past two", a.Next())
	}
	if _, due := a.Reminded(at(30).Add(-1)); due {
		t.Error("it reminds too early")
	}
	reminded, due := a.Reminded(at(30))
	if !due || !reminded.Next().Equal(at(60)) {
		t.Errorf("reminded: %t, then %v", due, reminded.Next())
	}
	if _, again := reminded.Reminded(at(59)); again {
		t.Error("it reminds twice")
	}
	a.Status = approval.Approved
	if _, due := a.Reminded(at(30)); due {
		t.Error("it reminds of what is decided")
	}
}

func TestWhoCanDecideAtThisMoment(t *testing.T) {
	t.Parallel()
	voted := pending()
	voted.Min = 2
	voted, _ = voted.Decide(person("ada", caller.Admin), approval.Verdict{Approve: true}, approval.Rules{}, at(1))
	over := pending()
	over.Status = approval.Approved
	closed := pending().Close(at(1))
	named := pending()
	named.Approvers = approval.Approvers{Users: []id.User{"max"}}
	for name, tc := range map[string]struct {
		a      approval.Approval
		who    caller.Caller
		minute int
		why    string // empty: the person may
	}{
		"an owner":                         {pending(), person("olga", caller.Owner), 1, ""},
		"an admin":                         {pending(), person("ada", caller.Admin), 1, ""},
		"a member who is not named":        {pending(), person("max", caller.Member), 1, "You may not decide this approval; an owner or an admin may."},
		"a member who is named":            {named, person("max", caller.Member), 1, ""},
		"a viewer":                         {named, person("max", caller.Viewer), 1, "You may not decide this approval; an owner or an admin may."},
		"a key":                            {pending(), caller.Caller{Org: "org_a", Key: "key_1", Access: caller.ReadWrite}, 1, "Only a person may decide; an integration key may not."},
		"a person who has voted":           {voted, person("ada", caller.Admin), 2, "You have approved already; 1 of 2 people have."},
		"another person":                   {voted, person("olga", caller.Owner), 2, ""},
		"when it is decided":               {over, person("olga", caller.Owner), 1, "The approval was already approved."},
		"when its run was cancelled":       {closed, person("olga", caller.Owner), 2, "The approval was already denied."},
		"when its time is over":            {pending(), person("olga", caller.Owner), 120, "The time to decide is over."},
		"a moment before its time is over": {pending(), person("olga", caller.Owner), 119, ""},
		"before its expiry was recorded":   {expired(pending()), person("olga", caller.Owner), 121, "The time to decide is over."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			why := ""
			if err := tc.a.Refusal(tc.who, approval.Rules{}, at(tc.minute)); err != nil {
				why = fault.From(err).Message
			}
			if can := tc.a.CanDecide(tc.who, approval.Rules{}, at(tc.minute)); why != tc.why || can != (why == "") {
				t.Errorf("it says %t, %q; want %q", can, why, tc.why)
			}
			if tc.why == "" {
				if _, err := tc.a.Decide(tc.who, approval.Verdict{Approve: true}, approval.Rules{}, at(tc.minute)); err != nil {
					t.Errorf("and the verdict is refused: %v", err)
				}
			}
		})
	}
}

func TestTheRolesThatMayDecideAlwaysNameOwnersAndAdmins(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ gate, want []caller.Role }{
		{nil, []caller.Role{caller.Owner, caller.Admin}},
		{[]caller.Role{caller.Member, caller.Owner}, []caller.Role{caller.Owner, caller.Admin, caller.Member}},
		{[]caller.Role{caller.Admin}, []caller.Role{caller.Owner, caller.Admin}},
	} {
		a := pending()
		a.Approvers.Roles = tc.gate
		if diff := cmp.Diff(tc.want, a.Deciders()); diff != "" {
			t.Errorf("%v (-want +got)\n%s", tc.gate, diff)
		}
	}
}
