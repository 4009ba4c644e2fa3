package tenant_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/tenant"
)

var start = time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)

// said returns an event of the Hub, published this many minutes after the
// start.
func said(name string, minute int, plan credit.Plan) event.Event {
	e := event.Event{
		ID: "evt_1", Product: "hub", Type: name, Org: "org_a", Payload: map[string]any{},
		Published: at(minute),
	}
	if plan != "" {
		e.Payload["plan"] = string(plan)
	}
	return e
}

func created(minute int, plan credit.Plan) event.Event { return said("org.created", minute, plan) }
func changed(minute int, plan credit.Plan) event.Event {
	return said("subscription.changed", minute, plan)
}
func suspended(minute int) event.Event { return said("org.suspended", minute, "") }

// apply applies events in this order. An event of an unknown organization is
// applied again later, as the queue redelivers it.
func apply(events ...event.Event) (tenant.Tenant, error) {
	var t tenant.Tenant
	for rounds := 0; len(events) > 0 && rounds <= len(events); rounds++ {
		var again []event.Event
		for _, e := range events {
			after, err := t.Apply(e)
			switch {
			case errors.Is(err, tenant.ErrUnknown):
				again = append(again, e)
				continue
			case err != nil:
				return t, err
			}
			after.Revision = t.Revision + 1
			t = after
		}
		if len(again) == len(events) {
			return t, tenant.ErrUnknown
		}
		events = again
	}
	return t, nil
}

// naming returns the event with a list of owners.
func naming(e event.Event, owners any) event.Event {
	e.Payload["owners"] = owners
	return e
}

func TestTheHubNamesTheOwnersThatReceiveAlerts(t *testing.T) {
	t.Parallel()

	one := func(user, email string) any { return map[string]any{"user_id": user, "email": email} }
	list := func(owners ...any) []any { return owners }
	ann, bob := tenant.Owner{User: "user_ann", Email: "ann@acme.example"}, tenant.Owner{User: "user_bob", Email: "bob@acme.example"}
	anns, bobs := list(one("user_ann", "ann@acme.example")), list(one("user_bob", "bob@acme.example"))
	crowd := make([]any, 12)
	for n := range crowd {
		crowd[n] = one("user_x", strings.Repeat("x", n+1)+"@acme.example")
	}
	for name, tc := range map[string]struct {
		events []event.Event
		want   []tenant.Owner
		count  int
	}{
		"none":                           {events: []event.Event{created(0, "growth")}},
		"a creation names one":           {events: []event.Event{naming(created(0, "growth"), anns)}, want: []tenant.Owner{ann}},
		"a change names another":         {events: []event.Event{naming(created(0, "growth"), anns), naming(changed(1, "growth"), bobs)}, want: []tenant.Owner{bob}},
		"a change that names none":       {events: []event.Event{naming(created(0, "growth"), anns), changed(1, "scale")}, want: []tenant.Owner{ann}},
		"a change to an empty list":      {events: []event.Event{naming(created(0, "growth"), anns), naming(changed(1, "growth"), list())}},
		"an older change comes late":     {events: []event.Event{naming(created(0, "growth"), anns), naming(changed(2, "growth"), bobs), naming(changed(1, "growth"), anns)}, want: []tenant.Owner{bob}},
		"the creation comes late":        {events: []event.Event{naming(changed(1, "growth"), bobs), naming(created(0, "growth"), anns)}, want: []tenant.Owner{bob}},
		"the same twice":                 {events: []event.Event{naming(created(0, "growth"), list(one("user_ann", "ann@acme.example"), one("user_b", "ann@acme.example")))}, want: []tenant.Owner{ann}},
		"no list":                        {events: []event.Event{naming(created(0, "growth"), "ann@acme.example")}},
		"null":                           {events: []event.Event{naming(created(0, "growth"), nil)}},
		"entries that are no owners":     {events: []event.Event{naming(created(0, "growth"), list("x", nil, one("user_ann", "ann@acme.example"), one("user_b", "no address"), one("user_b", "a b@c.example"), one("user_b", "x@y.example\r\nBcc: z@y.example"), one("a#b", "q@y.example"), map[string]any{"email": int64(1)}))}, want: []tenant.Owner{ann}},
		"an owner without a user id":     {events: []event.Event{naming(created(0, "growth"), list(map[string]any{"email": "bob@acme.example"}))}, want: []tenant.Owner{{Email: "bob@acme.example"}}},
		"an address with a display name": {events: []event.Event{naming(created(0, "growth"), list(one("user_b", "Bob <bob@acme.example>")))}},
		"more than are stored":           {events: []event.Event{naming(created(0, "growth"), crowd)}, count: 10},
		"two events of the same moment":  {events: []event.Event{naming(changed(0, "growth"), bobs), naming(created(0, "growth"), anns)}, want: []tenant.Owner{bob}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := apply(tc.events...)
			if err != nil {
				t.Fatal(err)
			}
			if tc.count > 0 {
				if len(got.Owners) != tc.count {
					t.Errorf("%d owners, want %d", len(got.Owners), tc.count)
				}
				return
			}
			if len(got.Owners)+len(tc.want) > 0 && !cmp.Equal(tc.want, got.Owners) {
				t.Errorf("(-want +got)\n%s", cmp.Diff(tc.want, got.Owners))
			}
		})
	}
}

func TestTheHubNamesTheOrganization(t *testing.T) {
	t.Parallel()

	called := func(e event.Event, name any) event.Event {
		e.Payload["name"] = name
		return e
	}
	for name, tc := range map[string]struct {
		events []event.Event
		want   string
	}{
		"none":                           {[]event.Event{created(0, "growth")}, ""},
		"a creation":                     {[]event.Event{called(created(0, "growth"), "Acme IT")}, "Acme IT"},
		"a change renames":               {[]event.Event{called(created(0, "growth"), "Acme IT"), called(changed(1, "growth"), "Acme")}, "Acme"},
		"a change without a name":        {[]event.Event{called(created(0, "growth"), "Acme IT"), changed(1, "scale")}, "Acme IT"},
		"a creation after such a change": {[]event.Event{changed(1, "scale"), called(created(0, "growth"), "Acme IT")}, "Acme IT"},
		"an older change comes late":     {[]event.Event{called(changed(2, "growth"), "Acme"), called(changed(1, "growth"), "Old")}, "Acme"},
		"no text":                        {[]event.Event{called(created(0, "growth"), int64(7))}, ""},
		"blank":                          {[]event.Event{called(created(0, "growth"), " \u200b\n")}, ""},
		"on several lines and invisible": {[]event.Event{called(created(0, "growth"), " Acme\u202e\r\n IT\x00 ")}, "Acme IT"},
		"long":                           {[]event.Event{called(created(0, "growth"), strings.Repeat("ü", tenant.MaxName+1))}, strings.Repeat("ü", tenant.MaxName) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := apply(tc.events...)
			if err != nil || got.Name != tc.want {
				t.Errorf("name = %q, %v; want %q", got.Name, err, tc.want)
			}
		})
	}
}

func TestTheHubSetsPlanAndSuspension(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		events    []event.Event
		plan      credit.Plan
		suspended bool
	}{
		"a creation announces an organization":           {[]event.Event{created(0, "growth")}, "growth", false},
		"a change announces an organization too":         {[]event.Event{changed(0, "scale")}, "scale", false},
		"a change changes the plan":                      {[]event.Event{created(0, "growth"), changed(1, "starter")}, "starter", false},
		"a suspension suspends the organization":         {[]event.Event{created(0, "growth"), suspended(1)}, "growth", true},
		"a change does not lift a suspension":            {[]event.Event{created(0, "growth"), suspended(1), changed(2, "scale")}, "scale", true},
		"a newer creation lifts a suspension":            {[]event.Event{created(0, "growth"), suspended(1), created(2, "starter")}, "starter", false},
		"an old change changes nothing":                  {[]event.Event{created(0, "growth"), changed(2, "scale"), changed(1, "starter")}, "scale", false},
		"the creation comes late":                        {[]event.Event{changed(2, "scale"), created(0, "growth")}, "scale", false},
		"a repeated creation lifts no suspension":        {[]event.Event{created(0, "growth"), suspended(1), created(0, "growth")}, "growth", true},
		"a change that is older than a suspension":       {[]event.Event{created(0, "growth"), suspended(2), changed(1, "scale")}, "scale", true},
		"a suspension that is older than a change":       {[]event.Event{created(0, "growth"), changed(2, "scale"), suspended(1)}, "scale", true},
		"a suspension that is older than a creation":     {[]event.Event{created(0, "growth"), created(2, "scale"), suspended(1)}, "scale", false},
		"a suspension before all":                        {[]event.Event{suspended(1), created(0, "growth")}, "growth", true},
		"a change in the moment of the creation":         {[]event.Event{created(0, "growth"), changed(0, "scale")}, "scale", false},
		"the same, in the other order":                   {[]event.Event{changed(0, "scale"), created(0, "growth")}, "scale", false},
		"a suspension in the moment of the creation":     {[]event.Event{created(0, "growth"), suspended(0)}, "growth", true},
		"the same, with a repeated creation":             {[]event.Event{created(0, "growth"), suspended(0), created(0, "growth")}, "growth", true},
		"two changes of one moment, in order of arrival": {[]event.Event{created(0, "growth"), changed(1, "scale"), changed(1, "starter")}, "starter", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := apply(tc.events...)
			if err != nil {
				t.Fatal(err)
			}
			if got.Org != "org_a" || got.Plan != tc.plan || got.Suspended != tc.suspended {
				t.Errorf("%+v; want plan %s, suspended %t", got, tc.plan, tc.suspended)
			}
		})
	}
}

func TestATenantWithoutClocksUsesTheTimeOfItsLastChange(t *testing.T) {
	t.Parallel()

	old := tenant.Tenant{Org: "org_a", Plan: credit.Growth, Suspended: true, Created: start, Updated: at(5), Revision: 2}
	for name, tc := range map[string]struct {
		e         event.Event
		plan      credit.Plan
		suspended bool
	}{
		"a repeated creation lifts no suspension": {created(0, "growth"), "growth", true},
		"an old change changes nothing":           {changed(4, "scale"), "growth", true},
		"a newer change changes the plan":         {changed(6, "scale"), "scale", true},
		"a newer creation lifts the suspension":   {created(6, "scale"), "scale", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := old.Apply(tc.e)
			if err != nil || got.Plan != tc.plan || got.Suspended != tc.suspended {
				t.Errorf("%+v, %v; want plan %s, suspended %t", got, err, tc.plan, tc.suspended)
			}
		})
	}
}

func at(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }

func TestAnUnknownPlanIsMalformed(t *testing.T) {
	t.Parallel()

	for name, payload := range map[string]map[string]any{
		"no plan":              {},
		"an unknown plan":      {"plan": "enterprise"},
		"a plan in capitals":   {"plan": "Growth"},
		"a plan that is null":  {"plan": nil},
		"a plan that is an id": {"plan": int64(5)},
		"no payload":           nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			before := tenant.Tenant{Org: "org_a", Plan: credit.Growth, Revision: 1, Updated: start, PlanAt: start}
			for _, typ := range []string{"org.created", "subscription.changed"} {
				e := said(typ, 5, "")
				e.Payload = payload
				got, err := before.Apply(e)
				if !errors.Is(err, event.ErrMalformed) || !cmp.Equal(got, before) {
					t.Errorf("%s: %+v, %v; want no change and ErrMalformed", typ, got, err)
				}
			}
		})
	}
}

func TestASuspensionOfAnUnknownOrganizationIsRefused(t *testing.T) {
	t.Parallel()

	if _, err := (tenant.Tenant{}).Apply(suspended(0)); !errors.Is(err, tenant.ErrUnknown) {
		t.Errorf("err = %v, want ErrUnknown", err)
	}
}

func TestOnlyFourEventsConcernATenant(t *testing.T) {
	t.Parallel()

	for name, want := range map[string]bool{
		"hub:org.created": true, "hub:subscription.changed": true, "hub:org.suspended": true, "hub:org.deleted": true, "hub:session.revoked": true,
		"hub:client.review_due": false, "psa:org.created": false, "org.created": false, "": false,
	} {
		if tenant.Projects(name) != want {
			t.Errorf("Keeps(%q) = %t", name, !want)
		}
	}
	before := tenant.Tenant{Org: "org_a", Plan: credit.Growth, Revision: 3, Created: start, Updated: start, PlanAt: start, StateAt: start}
	after, err := before.Apply(said("client.review_due", -5, ""))
	if err != nil || !cmp.Equal(after, before) {
		t.Errorf("another event: %+v, %v", after, err)
	}
}

// histories generates the Hub's events over time: no two of one kind at the
// same moment.
func histories() *rapid.Generator[[]event.Event] {
	return rapid.Custom(func(t *rapid.T) []event.Event {
		plans := rapid.SampledFrom([]credit.Plan{credit.Starter, credit.Growth, credit.Scale})
		events := []event.Event{created(rapid.IntRange(0, 9).Draw(t, "begun"), plans.Draw(t, "plan"))}
		seen := map[string]bool{events[0].Type + events[0].Published.String(): true}
		for range rapid.IntRange(0, 8).Draw(t, "more") {
			var e event.Event
			minute := rapid.IntRange(0, 9).Draw(t, "minute")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				e = created(minute, plans.Draw(t, "plan"))
			case 1, 2:
				e = changed(minute, plans.Draw(t, "plan"))
			default:
				e = suspended(minute)
			}
			if k := e.Type + e.Published.String(); !seen[k] {
				seen[k] = true
				events = append(events, e)
			}
		}
		return events
	})
}

func TestEventsMayComeInAnyOrderAndTwice(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		history := histories().Draw(t, "history")
		inOrder := slices.Clone(history)
		slices.SortStableFunc(inOrder, func(a, b event.Event) int { return a.Published.Compare(b.Published) })
		want, err := apply(inOrder...)
		if err != nil {
			t.Fatal(err)
		}
		told := rapid.Permutation(append(slices.Clone(history),
			rapid.SliceOfN(rapid.SampledFrom(history), 0, 5).Draw(t, "twice")...)).Draw(t, "order")
		got, err := apply(told...)
		if err != nil {
			t.Fatal(err)
		}
		got.Revision = want.Revision
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in another order -want +got:\n%s", diff)
		}
	})
}

// shelf stores one tenant, and loses the first races.
type shelf struct {
	kept  tenant.Tenant
	month credit.Month
	races int
	saves int

	revoked []tenant.Revocation
	deleted []string
}

func (s *shelf) BeginErasure(_ context.Context, e tenant.Erasure) error {
	s.deleted = append(s.deleted, "tenant "+string(e.Org)+" by "+string(e.Event))
	return nil
}

func (s *shelf) EraseKeys(_ context.Context, o id.Org) error {
	s.deleted = append(s.deleted, "keys "+string(o))
	return nil
}

func (s *shelf) Tenant(context.Context, id.Org) (tenant.Tenant, error) {
	if s.kept.Revision == 0 {
		return tenant.Tenant{}, tenant.ErrUnknown
	}
	return s.kept, nil
}

func (s *shelf) SaveTenant(_ context.Context, t tenant.Tenant, month credit.Month) error {
	s.saves++
	if s.saves <= s.races || t.Revision != s.kept.Revision {
		return tenant.ErrStale
	}
	t.Revision++
	s.kept, s.month = t, month
	return nil
}

func (s *shelf) Revoke(_ context.Context, r tenant.Revocation) error {
	s.revoked = append(s.revoked, r)
	return nil
}

func (s *shelf) Revoked(context.Context, tenant.Session) (bool, error) { return false, nil }

func TestARevocationOfTheHubIsStored(t *testing.T) {
	t.Parallel()

	revocation := func(payload map[string]any) event.Event {
		return event.Event{Product: "hub", Type: "session.revoked", Org: "org_a", Published: start, Payload: payload}
	}
	s := &shelf{}
	service := tenant.Service{Store: s, Now: func() time.Time { return start }}
	at := func(text string) time.Time {
		t.Helper()
		got, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for name, tc := range map[string]struct {
		payload map[string]any
		want    tenant.Revocation
	}{
		"one session": {
			map[string]any{"jti": "ses_1"},
			tenant.Revocation{Org: "org_a", JTI: "ses_1", Expires: start.Add(event.MaxAhead + 24*time.Hour)},
		},
		"one session with its end": {
			map[string]any{"jti": "ses_1", "user_id": "user_1", "expires_at": "2026-03-09T15:30:00Z"},
			tenant.Revocation{Org: "org_a", JTI: "ses_1", Expires: at("2026-03-09T15:30:00Z")},
		},
		"all sessions of a user": {
			map[string]any{"user_id": "user_1", "before": "2026-03-09T00:00:00.5Z"},
			tenant.Revocation{Org: "org_a", User: "user_1", Before: at("2026-03-09T00:00:00.5Z"), Expires: at("2027-03-10T00:00:00.5Z")},
		},
	} {
		s.revoked = nil
		if err := service.Project(t.Context(), revocation(tc.payload)); err != nil || len(s.revoked) != 1 || s.revoked[0] != tc.want {
			t.Errorf("%s: %+v, %v; want %+v", name, s.revoked, err, tc.want)
		}
	}
	ahead := func(d time.Duration) string { return start.Add(d).Format(time.RFC3339) }
	for name, payload := range map[string]map[string]any{
		"no name":                {"expires_at": "2026-03-09T15:30:00Z"},
		"no text":                {"jti": int64(7)},
		"empty":                  {"jti": ""},
		"too long":               {"jti": strings.Repeat("j", 1025)},
		"no moment":              {"jti": "ses_1", "expires_at": "soon"},
		"no time":                {"jti": "ses_1", "expires_at": nil},
		"a user without a time":  {"user_id": "user_1"},
		"a time without a user":  {"before": ahead(0)},
		"a user with a hash":     {"user_id": "user#1", "before": ahead(0)},
		"a user that is a list":  {"user_id": []any{"user_1"}, "before": ahead(0)},
		"before soon":            {"user_id": "user_1", "before": "soon"},
		"before a number":        {"user_id": "user_1", "before": int64(7)},
		"before 2199":            {"user_id": "user_1", "before": "2199-01-01T00:00:00Z"},
		"before in five minutes": {"user_id": "user_1", "before": ahead(event.MaxAhead + time.Second)},
		"before the clock began": {"user_id": "user_1", "before": "0001-01-01T00:00:00Z"},
		"both":                   {"jti": "ses_1", "user_id": "user_1", "before": ahead(0)},
		"nothing":                {},
	} {
		if err := service.Project(t.Context(), revocation(payload)); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%s: err = %v, want ErrMalformed", name, err)
		}
	}
	if len(s.revoked) != 1 || s.saves != 0 {
		t.Errorf("%d revocations and %d tenants were stored", len(s.revoked), s.saves)
	}
}

func TestAnEventOfTheHubIsStored(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		races, saves int
		lost         bool
	}{
		"at once":                          {0, 1, false},
		"after lost races":                 {5, 6, false},
		"an error when every race is lost": {1000, retry.Tries, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := &shelf{races: tc.races}
			svc := tenant.Service{Store: s, Now: func() time.Time { return start.AddDate(0, 1, 0) }}
			err := svc.Project(t.Context(), created(0, "growth"))
			if (err != nil) != tc.lost || s.saves != tc.saves {
				t.Errorf("Project = %v after %d tries, want %d", err, s.saves, tc.saves)
			}
			if !tc.lost && (s.kept.Plan != credit.Growth || s.month != "2026-04") {
				t.Errorf("kept %+v, moved %s", s.kept, s.month)
			}
		})
	}
}

func TestAnEventThatChangesNothingIsNotWritten(t *testing.T) {
	t.Parallel()

	s := &shelf{}
	svc := tenant.Service{Store: s, Now: func() time.Time { return start }}
	for _, e := range []event.Event{created(5, "growth"), created(5, "growth"), created(4, "growth"), created(4, "growth")} {
		if err := svc.Project(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	// The first event, and the earlier one, which moves the time of creation.
	if s.saves != 2 {
		t.Errorf("%d writes, want 2", s.saves)
	}
	if err := svc.Project(t.Context(), said("client.review_due", 6, "")); err != nil || s.saves != 2 {
		t.Errorf("an event that does not concern a tenant: %v, %d writes", err, s.saves)
	}
	if err := svc.Project(t.Context(), changed(6, "enterprise")); !errors.Is(err, event.ErrMalformed) || s.saves != 2 {
		t.Errorf("a malformed event: %v, %d writes", err, s.saves)
	}
}
