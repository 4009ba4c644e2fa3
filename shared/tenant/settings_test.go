package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

var admin = caller.Caller{Org: "org_a", User: "user_admin", Roles: []caller.Role{caller.Admin}}

// announced returns a store with the organization, and the services of the
// organization's settings and of the Hub's events.
func announced(ctx context.Context, t interface{ Fatal(args ...any) }) (*memory.Store, *tenant.SettingsService, *tenant.Service) {
	store := memory.New()
	var minutes atomic.Int64
	now := func() time.Time { return at(int(minutes.Add(1))) }
	hub := &tenant.Service{Store: store, Now: now}
	if err := hub.Project(ctx, created(0, credit.Starter)); err != nil {
		t.Fatal(err)
	}
	return store, &tenant.SettingsService{Store: store, Now: now}, hub
}

func choosing(c tenant.Choice) tenant.SettingsPatch {
	return tenant.SettingsPatch{Policies: map[tenant.Policy]tenant.Choice{tenant.SelfApproval: c}}
}

func TestAPinLeavesOtherSettingsAndTheirEarlierStatesAlone(t *testing.T) {
	t.Parallel()

	before := tenant.Settings{
		Chosen: map[tenant.Policy]tenant.Choice{tenant.SelfApproval: tenant.Deny}, RetentionDays: 90,
		Pins: map[id.Agent]int{"agent_system_advisor": 1}, Revision: 7,
	}
	pinned := before.Pinning("agent_system_dispatch", 2)
	freed := pinned.Pinning("agent_system_advisor", 0)
	want := before
	want.Revision, want.Pins = 8, map[id.Agent]int{"agent_system_advisor": 1, "agent_system_dispatch": 2}
	if diff := cmp.Diff(want, pinned); diff != "" {
		t.Errorf("pinned (-want +got)\n%s", diff)
	}
	want.Revision, want.Pins = 9, map[id.Agent]int{"agent_system_dispatch": 2}
	if diff := cmp.Diff(want, freed); diff != "" {
		t.Errorf("freed (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[id.Agent]int{"agent_system_advisor": 1}, before.Pins); diff != "" {
		t.Errorf("the settings before the change (-want +got)\n%s", diff)
	}
	if got := (tenant.Settings{}).Pinning("agent_system_dispatch", 1).Pins["agent_system_dispatch"]; got != 1 {
		t.Errorf("the first pin is to version %d, want 1", got)
	}
}

func TestAChangeOfOtherSettingsKeepsThePins(t *testing.T) {
	t.Parallel()

	store, settings, _ := announced(t.Context(), t)
	x, err := store.Tenant(t.Context(), "org_a")
	if err != nil {
		t.Fatal(err)
	}
	x.Settings = x.Settings.Pinning("agent_system_dispatch", 1)
	if err := store.SaveSettings(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	days := 90
	for _, p := range []tenant.SettingsPatch{choosing(tenant.Deny), {RetentionDays: &days}} {
		if after, err := settings.Update(t.Context(), admin, p); err != nil || after.Pins["agent_system_dispatch"] != 1 {
			t.Errorf("after %+v the pins are %v, %v", p, after.Pins, err)
		}
	}
}

func TestEveryPolicyHasDefaultsAndChoices(t *testing.T) {
	t.Parallel()

	for _, p := range tenant.Policies() {
		choices := p.Choices()
		if len(choices) < 2 {
			t.Errorf("%s has the choices %v, want two or more", p, choices)
			continue
		}
		stored := func(c tenant.Choice) tenant.Settings {
			return tenant.Settings{Chosen: map[tenant.Policy]tenant.Choice{p: c}}
		}
		if got := (tenant.Settings{}).Policy(p); got != choices[0] {
			t.Errorf("%s is %q by default, want %q", p, got, choices[0])
		}
		if got := stored("a choice of the past").Policy(p); got != choices[0] {
			t.Errorf("%s is %q after a choice that no longer exists, want %q", p, got, choices[0])
		}
		for _, c := range choices {
			if got := stored(c).Policy(p); got != c {
				t.Errorf("%s is %q, want %q", p, got, c)
			}
		}
	}
	if c := tenant.Policy("unknown").Choices(); len(c) > 0 {
		t.Errorf("an unknown policy has the choices %v", c)
	}
}

func TestASettingKeepsItsValueUntilItIsChangedOrReset(t *testing.T) {
	t.Parallel()

	store, settings, _ := announced(t.Context(), t)
	for n, step := range []struct {
		patch tenant.SettingsPatch
		want  tenant.Choice
		acts  int
	}{
		{tenant.SettingsPatch{}, tenant.Allow, 0},
		{choosing(tenant.Allow), tenant.Allow, 0},
		{choosing(""), tenant.Allow, 0},
		{choosing(tenant.Deny), tenant.Deny, 1},
		{choosing(tenant.Deny), tenant.Deny, 1},
		{tenant.SettingsPatch{}, tenant.Deny, 1},
		{choosing(""), tenant.Allow, 2},
		{choosing(tenant.Deny), tenant.Deny, 3},
		{choosing(tenant.Allow), tenant.Allow, 4},
	} {
		before, err := settings.Get(t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		after, err := settings.Update(t.Context(), admin, step.patch)
		if err != nil {
			t.Fatal(err)
		}
		if got := after.Policy(tenant.SelfApproval); got != step.want {
			t.Errorf("step %d: %q, want %q", n, got, step.want)
		}
		stored, err := settings.Get(t.Context(), admin)
		if err != nil || stored.Tag() != after.Tag() || stored.Policy(tenant.SelfApproval) != step.want {
			t.Errorf("step %d: stored %+v, %v; answered %+v", n, stored, err, after)
		}
		page, err := store.Audit(t.Context(), "org_a", audit.Query{Limit: 10})
		if err != nil || len(page.Entries) != step.acts {
			t.Errorf("step %d: %d acts, %v, want %d", n, len(page.Entries), err, step.acts)
		}
		if changed := before.Policy(tenant.SelfApproval) != step.want; changed != (before.Tag() != after.Tag()) {
			t.Errorf("step %d: changed %t, tags %d and %d", n, changed, before.Tag(), after.Tag())
		}
	}
	page, _ := store.Audit(t.Context(), "org_a", audit.Query{Limit: 1})
	e := page.Entries[0]
	if e.Kind != audit.SettingsChanged || e.Object != "org_a" || e.From != "self_approval deny" || e.To != "self_approval allow" || e.Actor != "user_admin" {
		t.Errorf("the act is %+v", e)
	}
}

func TestAnOrganizationChoosesItsRetention(t *testing.T) {
	t.Parallel()

	store, settings, _ := announced(t.Context(), t)
	const day = 24 * time.Hour
	days := func(n int) *int { return &n }
	for n, step := range []struct {
		days *int
		want time.Duration
		acts int
	}{
		{nil, 400 * day, 0}, {days(0), 400 * day, 0}, {days(190), 190 * day, 1}, {nil, 190 * day, 1}, {days(190), 190 * day, 1}, {days(0), 400 * day, 2},
	} {
		if _, err := settings.Update(t.Context(), admin, tenant.SettingsPatch{RetentionDays: step.days}); err != nil {
			t.Fatal(err)
		}
		stored, err := settings.Get(t.Context(), admin)
		if got := stored.Retention(400 * day); err != nil || got != step.want {
			t.Errorf("step %d: %v, %v, want %v", n, got, err, step.want)
		}
		page, err := store.Audit(t.Context(), "org_a", audit.Query{Limit: 10})
		if err != nil || len(page.Entries) != step.acts {
			t.Errorf("step %d: %d acts, %v, want %d", n, len(page.Entries), err, step.acts)
		}
	}
	page, _ := store.Audit(t.Context(), "org_a", audit.Query{Limit: 1})
	if e := page.Entries[0]; e.From != "retention_days 190" || e.To != "retention_days default" {
		t.Errorf("the act is %+v", e)
	}
}

func TestAChangeOfSettingsThatWereNotReadIsRefused(t *testing.T) {
	t.Parallel()

	_, settings, hub := announced(t.Context(), t)
	read, err := settings.Get(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Project(t.Context(), changed(1, credit.Scale)); err != nil {
		t.Fatal(err)
	}
	patch := choosing(tenant.Deny)
	patch.Match = read.Tag() // an event of the Hub does not change the settings
	if _, err := settings.Update(t.Context(), admin, patch); err != nil {
		t.Errorf("err = %v", err)
	}
	if _, err := settings.Update(t.Context(), admin, patch); !errors.Is(err, tenant.ErrChanged) {
		t.Errorf("err = %v, want ErrChanged", err)
	}
}

// Events of the Hub and changes of settings in any order keep each other's data.
func TestTheHubAndPeopleDoNotUndoEachOther(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		store, settings, hub := announced(ctx, t)
		plan, suspension, choice := credit.Starter, false, tenant.Allow
		for minute := range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "who") {
			case 0:
				plan = rapid.SampledFrom([]credit.Plan{credit.Starter, credit.Growth, credit.Scale}).Draw(t, "plan")
				if err := hub.Project(ctx, changed(minute+1, plan)); err != nil {
					t.Fatal(err)
				}
			case 1:
				suspension = true
				if err := hub.Project(ctx, suspended(minute+1)); err != nil {
					t.Fatal(err)
				}
			case 2:
				choice = rapid.SampledFrom(tenant.SelfApproval.Choices()).Draw(t, "choice")
				if _, err := settings.Update(ctx, admin, choosing(choice)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := store.Tenant(ctx, "org_a")
			if err != nil || got.Plan != plan || got.Suspended != suspension || got.Settings.Policy(tenant.SelfApproval) != choice {
				t.Fatalf("%+v, %v; want %s, suspended %t, %s", got, err, plan, suspension, choice)
			}
		}
	})
}

// Of people who change the settings that all have read, one wins; without a match
// every change is applied.
func TestRacingChangesOfSettings(t *testing.T) {
	t.Parallel()

	for _, guarded := range []bool{true, false} {
		t.Run(fmt.Sprintf("guarded %t", guarded), func(t *testing.T) {
			t.Parallel()

			store, settings, hub := announced(t.Context(), t)
			read, err := settings.Get(t.Context(), admin)
			if err != nil {
				t.Fatal(err)
			}
			const racers = 16
			errs := make([]error, racers)
			var wg sync.WaitGroup
			for i := range racers {
				wg.Go(func() {
					patch := choosing(tenant.Deny)
					if guarded {
						patch.Match = read.Tag()
					}
					_, errs[i] = settings.Update(t.Context(), admin, patch)
				})
				wg.Go(func() {
					if err := hub.Project(t.Context(), changed(i+1, credit.Scale)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				switch {
				case err == nil:
					won++
				case !guarded || !errors.Is(err, tenant.ErrChanged):
					t.Errorf("err = %v", err)
				}
			}
			if want := map[bool]int{true: 1, false: racers}[guarded]; won != want {
				t.Errorf("%d won, want %d", won, want)
			}
			page, err := store.Audit(t.Context(), "org_a", audit.Query{Limit: 100})
			if err != nil || len(page.Entries) != 1 { // the others changed nothing
				t.Errorf("%d acts, %v, want 1", len(page.Entries), err)
			}
			got, err := store.Tenant(t.Context(), "org_a")
			if err != nil || got.Plan != credit.Scale || !cmp.Equal(got.Settings.Chosen, choosing(tenant.Deny).Policies) {
				t.Errorf("the tenant is %+v, %v", got, err)
			}
		})
	}
}

func TestAnOrganizationChoosesItsJournal(t *testing.T) {
	t.Parallel()

	began := time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	now := began
	store, settings, _ := announced(t.Context(), t)
	settings.Now = func() time.Time { return now }
	const day = 24 * time.Hour
	for n, step := range []struct {
		days  int
		after time.Duration // since the beginning
		since time.Duration // since the beginning; -1 for no journal
	}{
		{0, 0, -1},
		{7, day, day},
		{7, 3 * day, day},
		{7, 20 * day, 13 * day},
		{2, 20 * day, 18 * day},
		{30, 21 * day, 21 * day}, // what was kept for two days disappears all the same
		{30, 60 * day, 30 * day},
		{0, 61 * day, -1},
		{5, 62 * day, 62 * day},
	} {
		now = began.Add(step.after)
		if _, err := settings.Update(t.Context(), admin, tenant.SettingsPatch{JournalDays: &step.days}); err != nil {
			t.Fatal(err)
		}
		stored, err := settings.Get(t.Context(), admin)
		if err != nil || stored.JournalDays != step.days {
			t.Errorf("step %d: %d days, %v", n, stored.JournalDays, err)
		}
		since, ok := stored.KeptSince(now)
		if want := began.Add(step.since); ok != (step.since >= 0) || ok && !since.Equal(want) {
			t.Errorf("step %d: kept since %v, %t; want %v", n, since, ok, want)
		}
	}
	page, err := store.Audit(t.Context(), "org_a", audit.Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if e := page.Entries[0]; e.From != "journal_days 0" || e.To != "journal_days 5" || e.Actor != "user_admin" {
		t.Errorf("the act is %+v", e)
	}
}
