package approval_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/id"
)

// guarding returns an approval that members may decide, of an action with a risk.
func guarding(risk catalog.Risk) approval.Approval {
	a := pending()
	a.Approvers = approval.Approvers{Roles: []caller.Role{caller.Member}, Users: []id.User{"anna", "bert"}}
	a.Actions = []approval.Action{{Step: "act", Product: "p", Action: "a"}}
	a.Risk = risk
	a.Behind = approval.Behind{
		Wrote: []id.Actor{"user_writer", "key_1", "user_maker"}, Activated: []id.Actor{"user_activator"},
		Started: []id.Actor{"user_starter"}, Known: true,
	}
	return a
}

func TestAGuardedActionIsDecidedByOthersThanItsAuthors(t *testing.T) {
	t.Parallel()

	authors := map[id.User]string{
		"writer": "You wrote this version", "maker": "You wrote this version", "user_writer": "You wrote this version",
		"activator": "You activated this version", "starter": "You started this execution",
	}
	for _, risk := range append(catalog.Risks(), "") {
		guards := risk != catalog.Internal && risk != catalog.Outward
		for _, role := range []caller.Role{caller.Owner, caller.Admin, caller.Member} {
			for _, deny := range []bool{false, true} {
				rules := approval.Rules{NoSelfApproval: deny}
				a := guarding(risk)
				manages := role != caller.Member
				for user, why := range authors {
					err := a.May(person(user, role), rules)
					may := !guards || manages && !deny
					if may != (err == nil) || !may && !strings.Contains(err.Error(), why) {
						t.Errorf("%s %s with risk %q, deny %t: %v", role, user, risk, deny, err)
					}
					if a.CanDecide(person(user, role), rules, at(1)) != may {
						t.Errorf("can_decide of %s %s with risk %q, deny %t disagrees", role, user, risk, deny)
					}
					for _, yes := range []bool{true, false} {
						_, err := a.Decide(person(user, role), approval.Verdict{Approve: yes}, rules, at(1))
						if may != (err == nil) || !may && !errors.Is(err, approval.ErrNotYours) {
							t.Errorf("verdict %t of %s %s with risk %q, deny %t: %v", yes, role, user, risk, deny, err)
						}
					}
				}
				if err := a.May(person("other", role), rules); err != nil {
					t.Errorf("another %s with risk %q: %v", role, risk, err)
				}
				a.Behind = approval.Behind{}
				if err := a.May(person("other", role), rules); (err == nil) != (manages || !guards) {
					t.Errorf("%s, authors unknown, risk %q: %v", role, risk, err)
				}
			}
		}
	}
}

func TestARefusalSaysWhyAndWhoMayDecide(t *testing.T) {
	t.Parallel()

	named := guarding(catalog.Destructive)
	named.Approvers = approval.Approvers{Users: []id.User{"writer", "anna", "bert", "carl", "dora", "emil"}}
	unnamed := guarding(catalog.Access)
	unnamed.Approvers = approval.Approvers{}
	for name, tc := range map[string]struct {
		a    approval.Approval
		who  caller.Caller
		want string
	}{
		"a gate without approvers": {
			unnamed, person("max", caller.Member), "You may not decide this approval; an owner or an admin may.",
		},
		"a member who wrote it": {
			named, person("writer", caller.Member), "You wrote this version of the agent, which performs an action that is hard to undo; " +
				"an owner, an admin, anna, bert, carl or 2 other users may decide.",
		},
		"a member among members": {
			guarding(catalog.Money), person("starter", caller.Member), "You started this execution, which performs an action that costs money; " +
				"an owner, an admin, another member, anna or bert may decide.",
		},
		"an owner under the setting": {
			unnamed, person("activator", caller.Owner), "You activated this version of the agent, which performs an action that changes an access or a protection; " +
				"another owner or another admin may decide.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.a.May(tc.who, approval.Rules{NoSelfApproval: true})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestTheRulesAreReadOnlyWhereTheyDecide(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		a     approval.Approval
		who   caller.Caller
		reads int
	}{
		"an owner who wrote it":             {guarding(catalog.Money), person("writer", caller.Owner), 1},
		"another owner":                     {guarding(catalog.Money), person("olga", caller.Owner), 0},
		"a member who wrote it":             {guarding(catalog.Money), person("writer", caller.Member), 0},
		"an owner who wrote something mild": {guarding(catalog.Outward), person("writer", caller.Owner), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &fakeStore{kept: tc.a}
			if _, err := service(s, &fakeDoorbell{}, 1).RulesFor(t.Context(), tc.who, tc.a, tc.a); err != nil || s.settings != tc.reads {
				t.Errorf("%d reads, %v; want %d", s.settings, err, tc.reads)
			}
		})
	}
}

// signedIn returns a person whose session was issued at a minute.
func signedIn(user id.User, minute int) caller.Caller {
	who := person(user, caller.Admin)
	who.Issued = at(minute)
	return who
}

func TestAVoteOfAPersonWhoseAccessWasRevokedDoesNotCount(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		revoked int // the minute before which the sessions of ada are revoked; -1: not at all
		status  approval.Status
		votes   int
	}{
		"no revocation":                         {-1, approval.Approved, 2},
		"a revocation of later sessions too":    {10, approval.Pending, 1},
		"a revocation just after the session":   {4, approval.Pending, 1},
		"a revocation up to the session itself": {3, approval.Approved, 2},
		"a revocation of earlier sessions":      {1, approval.Approved, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s, b := &fakeStore{kept: pending()}, &fakeDoorbell{}
			s.kept.Min = 2
			if _, err := service(s, b, 5).Decide(t.Context(), signedIn("ada", 3), "appr_1", approve); err != nil {
				t.Fatal(err)
			}
			if tc.revoked >= 0 {
				s.revoked = map[id.User]time.Time{"ada": at(tc.revoked)}
			}
			got, err := service(s, b, 20).Decide(t.Context(), signedIn("bob", 1), "appr_1", approve)
			if err != nil || got.Status != tc.status || len(got.Votes) != tc.votes || s.kept.Status != tc.status {
				t.Errorf("%s with %d votes, %v; want %s with %d", got.Status, len(got.Votes), err, tc.status, tc.votes)
			}
			if len(s.acts) != 2 {
				t.Errorf("%d acts are in the audit log, want both votes", len(s.acts))
			}
		})
	}
}

func TestAPersonWithAccessAgainVotesAgain(t *testing.T) {
	t.Parallel()

	s, b := &fakeStore{kept: pending(), revoked: map[id.User]time.Time{}}, &fakeDoorbell{}
	s.kept.Min = 2
	vote := func(who caller.Caller, minute, saves int, want approval.Status) {
		t.Helper()
		got, err := service(s, b, minute).Decide(t.Context(), who, "appr_1", approve)
		if err != nil || got.Status != want || s.saves != saves {
			t.Errorf("%s after %d writes, %v; want %s after %d", got.Status, s.saves, err, want, saves)
		}
	}
	vote(signedIn("ada", 1), 2, 1, approval.Pending)
	vote(signedIn("ada", 1), 3, 1, approval.Pending)
	s.revoked["ada"] = at(5)
	vote(signedIn("ada", 6), 7, 2, approval.Pending)
	if len(s.kept.Votes) != 1 || !s.kept.Votes[0].At.Equal(at(7)) {
		t.Errorf("the votes are %+v", s.kept.Votes)
	}
	vote(signedIn("bob", 1), 8, 3, approval.Approved)
}

func TestAVoteWithoutTheTimeOfItsSessionCountsFromWhenItWasCast(t *testing.T) {
	t.Parallel()

	for minute, want := range map[int]approval.Status{1: approval.Approved, 3: approval.Pending} {
		s, b := &fakeStore{kept: pending(), revoked: map[id.User]time.Time{"ada": at(minute)}}, &fakeDoorbell{}
		s.kept.Min, s.kept.Votes = 2, []approval.Vote{{User: "ada", Approve: true, At: at(2)}}
		got, err := service(s, b, 4).Decide(t.Context(), signedIn("bob", 1), "appr_1", approve)
		if err != nil || got.Status != want {
			t.Errorf("revoked before minute %d: %s, %v; want %s", minute, got.Status, err, want)
		}
	}
}

func TestAnEscalationClearsTheVotes(t *testing.T) {
	t.Parallel()

	a := pending()
	a.Min = 2
	for _, v := range []said{yes("anna", 1)} {
		var err error
		if a, err = v.to(a); err != nil {
			t.Fatal(err)
		}
	}
	before := a
	a = a.Escalate(approval.Approvers{Users: []id.User{"bert"}}, at(180))
	if a.Given() != 0 || len(a.Votes) != 0 || before.Given() != 1 {
		t.Errorf("%d votes count after the escalation, %d did before", a.Given(), before.Given())
	}
	for i, v := range []said{yes("bert", 121), yes("anna", 122)} {
		got, err := v.to(a)
		if err != nil || got.Given() != i+1 || (got.Status == approval.Approved) != (i == 1) {
			t.Errorf("vote %d: %s with %d votes, %v", i+1, got.Status, got.Given(), err)
		}
		a = got
	}
}

func TestTheOrganizationDecidesAboutSelfApproval(t *testing.T) {
	t.Parallel()

	for _, denies := range []bool{false, true} {
		for _, who := range []caller.Caller{person("writer", caller.Owner), person("starter", caller.Admin), person("other", caller.Owner)} {
			s := &fakeStore{kept: guarding(catalog.Destructive), denies: denies}
			svc := service(s, &fakeDoorbell{}, 1)
			rules, err := svc.RulesFor(t.Context(), who, s.kept)
			if err != nil {
				t.Fatal(err)
			}
			may := !denies || who.User == "other"
			if got := s.kept.CanDecide(who, rules, at(1)); got != may {
				t.Errorf("can_decide of %s with deny %t is %t", who.User, denies, got)
			}
			if _, err := svc.Decide(t.Context(), who, "appr_1", approve); (err == nil) != may || !may && !errors.Is(err, approval.ErrNotYours) {
				t.Errorf("%s with deny %t: %v", who.User, denies, err)
			}
		}
	}
}
