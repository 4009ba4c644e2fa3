package approval_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// A fakeStore holds one approval. Its first writes lose their race.
type fakeStore struct {
	mu    sync.Mutex
	kept  approval.Approval
	races int
	saves int
	due   time.Time
	acts  []audit.Entry

	settings int // reads of the organization
	denies   bool
	revoked  map[id.User]time.Time
}

func (s *fakeStore) Tenant(_ context.Context, org id.Org) (tenant.Tenant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings++
	t := tenant.Tenant{Org: org}
	if s.denies {
		t.Settings.Chosen = map[tenant.Policy]tenant.Choice{tenant.SelfApproval: tenant.Deny}
	}
	return t, nil
}

func (s *fakeStore) Revoked(_ context.Context, session tenant.Session) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return session.JTI == "" && session.Issued.Before(s.revoked[session.User]), nil
}

func (s *fakeStore) Approval(_ context.Context, org id.Org, appr id.Approval) (approval.Approval, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept.Org != org || s.kept.ID != appr {
		return approval.Approval{}, approval.ErrNotFound
	}
	return s.kept, nil
}

func (s *fakeStore) Approvals(context.Context, id.Org, approval.Query) (approval.Page, error) {
	return approval.Page{Approvals: []approval.Approval{s.kept}}, nil
}

func (s *fakeStore) SaveDecision(_ context.Context, a approval.Approval, due time.Time, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.saves <= s.races || a.Revision != s.kept.Revision {
		return approval.ErrStale
	}
	a.Revision++
	s.kept, s.due = a, due
	s.acts = append(s.acts, acts...)
	return nil
}

// A fakeDoorbell is a doorbell that counts its rings and can be broken.
type fakeDoorbell struct {
	mu     sync.Mutex
	rings  []string
	broken error
}

func (b *fakeDoorbell) Ring(_ context.Context, token string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rings = append(b.rings, token)
	return b.broken
}

func service(s *fakeStore, b *fakeDoorbell, minute int) *approval.Service {
	return &approval.Service{Store: s, Tenants: s, Revocations: s, Doorbell: b, Now: func() time.Time { return at(minute) }}
}

var (
	ada     = person("ada", caller.Admin)
	bob     = person("bob", caller.Admin)
	approve = approval.Verdict{Approve: true, Note: "ok"}
)

func TestAVerdictIsStoredAndTheRunWakes(t *testing.T) {
	t.Parallel()

	s, b := &fakeStore{kept: pending()}, &fakeDoorbell{}
	got, err := service(s, b, 1).Decide(t.Context(), ada, "appr_1", approve)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != approval.Approved || got.Revision != 2 || s.kept.Status != approval.Approved || !s.due.After(at(1)) {
		t.Errorf("got %+v, kept %+v, due %v", got, s.kept, s.due)
	}
	if len(b.rings) != 1 || b.rings[0] != "token" {
		t.Errorf("rings %v", b.rings)
	}
}

func TestAnEarlierVoteIsStoredWithoutWakingTheRun(t *testing.T) {
	t.Parallel()

	s, b := &fakeStore{kept: pending()}, &fakeDoorbell{}
	s.kept.Min = 2
	got, err := service(s, b, 1).Decide(t.Context(), ada, "appr_1", approve)
	if err != nil || got.Status != approval.Pending || len(s.kept.Votes) != 1 || len(b.rings) != 0 {
		t.Errorf("got %+v, %v; kept %+v; rings %v", got, err, s.kept, b.rings)
	}
	if !s.due.After(s.kept.Expires) {
		t.Errorf("somebody looks at %v, and people may decide until %v", s.due, s.kept.Expires)
	}
	got, err = service(s, b, 2).Decide(t.Context(), bob, "appr_1", approve)
	if err != nil || got.Status != approval.Approved || len(b.rings) != 1 {
		t.Errorf("got %+v, %v; rings %v", got, err, b.rings)
	}
}

func TestAVerdictStandsWhenRingingFailsAndRepeatingItRingsAgain(t *testing.T) {
	t.Parallel()

	s, b := &fakeStore{kept: pending()}, &fakeDoorbell{broken: errors.New("no answer")}
	if _, err := service(s, b, 1).Decide(t.Context(), ada, "appr_1", approve); !errors.Is(err, b.broken) {
		t.Errorf("err = %v", err)
	}
	if s.kept.Status != approval.Approved {
		t.Errorf("kept %+v", s.kept)
	}
	b.broken = nil
	got, err := service(s, b, 2).Decide(t.Context(), ada, "appr_1", approve)
	if err != nil || got.Status != approval.Approved || s.saves != 1 || len(b.rings) != 2 {
		t.Errorf("got %+v, %v after %d writes and %d rings", got, err, s.saves, len(b.rings))
	}
}

func TestALostRaceIsReadAgain(t *testing.T) {
	t.Parallel()

	s, b := &fakeStore{kept: pending(), races: 7}, &fakeDoorbell{}
	if _, err := service(s, b, 1).Decide(t.Context(), ada, "appr_1", approve); err != nil || s.saves != 8 {
		t.Errorf("%v after %d writes", err, s.saves)
	}
	s = &fakeStore{kept: pending(), races: 1000}
	_, err := service(s, b, 1).Decide(t.Context(), ada, "appr_1", approve)
	if !errors.Is(err, approval.ErrStale) || s.saves > 100 {
		t.Errorf("%v after %d writes; want a conflict, soon", err, s.saves)
	}
}

func TestOfManyConcurrentVerdictsOneWins(t *testing.T) {
	t.Parallel()

	s, b := &fakeStore{kept: pending()}, &fakeDoorbell{}
	svc := service(s, b, 1)
	const people = 20
	errs := make([]error, people)
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			who := person(id.User('a'+rune(i)), caller.Admin)
			_, errs[i] = svc.Decide(t.Context(), who, "appr_1", approval.Verdict{Approve: i%2 == 0})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, approval.ErrDecided):
			t.Error(err)
		}
	}
	if won != 1 || len(s.kept.Votes) != 1 || len(b.rings) != 1 {
		t.Errorf("%d won, %d votes, %d rings", won, len(s.kept.Votes), len(b.rings))
	}
}

func TestARefusedVerdictIsNotStored(t *testing.T) {
	t.Parallel()

	stranger := ada
	stranger.Org = "org_b"
	for name, tc := range map[string]struct {
		who    caller.Caller
		minute int
		want   error
	}{
		"a stranger":              {stranger, 1, approval.ErrNotFound},
		"a viewer":                {person("vera", caller.Viewer), 1, approval.ErrNotYours},
		"a program":               {caller.Caller{Org: "org_a", Key: "key_1", Access: caller.ReadWrite}, 1, approval.ErrNotYours},
		"a vote after the expiry": {ada, 120, approval.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s, b := &fakeStore{kept: pending()}, &fakeDoorbell{}
			_, err := service(s, b, tc.minute).Decide(t.Context(), tc.who, "appr_1", approve)
			if !errors.Is(err, tc.want) || s.saves != 0 || len(b.rings) != 0 {
				t.Errorf("%v after %d writes and %d rings; want %v", err, s.saves, len(b.rings), tc.want)
			}
		})
	}
}

func TestQuestionsAreReadInTheirOrganization(t *testing.T) {
	t.Parallel()

	s := &fakeStore{kept: pending()}
	svc := service(s, &fakeDoorbell{}, 1)
	if a, err := svc.Get(t.Context(), ada, "appr_1"); err != nil || a.ID != "appr_1" {
		t.Errorf("Get = %+v, %v", a, err)
	}
	if _, err := svc.Get(t.Context(), caller.Caller{Org: "org_b"}, "appr_1"); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("a stranger gets %v", err)
	}
	if p, err := svc.List(t.Context(), ada, approval.Query{}); err != nil || len(p.Approvals) != 1 {
		t.Errorf("List = %+v, %v", p, err)
	}
	if n := len(approval.Statuses()); n != 4 {
		t.Errorf("%d statuses", n)
	}
}
