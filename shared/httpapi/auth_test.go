package httpapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/tenant"
)

func TestExactlyOneCredentialIsAccepted(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	bearer, cookie, secret := "Bearer owner@org_a", "hub_session=owner@org_a", w.secrets["read"]
	for name, tt := range map[string]struct {
		header http.Header
		want   int
	}{
		"a bearer":                  {http.Header{"Authorization": {bearer}}, 200},
		"a bearer in small letters": {http.Header{"Authorization": {"bearer owner@org_a"}}, 200},
		"a cookie":                  {http.Header{"Cookie": {"a=b; " + cookie}}, 200},
		"a key":                     {http.Header{"X-Integration-Key": {secret}}, 200},
		"nothing":                   {http.Header{}, 401},
		"another scheme":            {http.Header{"Authorization": {"Basic b3duZXI6"}}, 401},
		"a bearer without a token":  {http.Header{"Authorization": {"Bearer"}}, 401},
		"an empty key":              {http.Header{"X-Integration-Key": {""}}, 401},
		"an unknown key":            {http.Header{"X-Integration-Key": {"ik_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}, 401},
		"a key as a bearer":         {http.Header{"Authorization": {"Bearer " + secret}}, 401},
		"a bearer and a cookie":     {http.Header{"Authorization": {bearer}, "Cookie": {cookie}}, 401},
		"a bearer and a key":        {http.Header{"Authorization": {bearer}, "X-Integration-Key": {secret}}, 401},
		"a cookie and a bad key":    {http.Header{"Cookie": {cookie}, "X-Integration-Key": {"x"}}, 401},
		"two cookies":               {http.Header{"Cookie": {cookie + "; " + cookie}}, 401},
		"two bearers":               {http.Header{"Authorization": {bearer, bearer}}, 401},
		"two keys":                  {http.Header{"X-Integration-Key": {secret, secret}}, 401},
	} {
		r := call{what: "GET /api/agents"}.request(w)
		maps.Copy(r.Header, tt.header)
		rec := serveOnce(w, r)
		if rec.Code != tt.want {
			t.Errorf("%s: %d, want %d", name, rec.Code, tt.want)
		}
		if tt.want == 401 && rec.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: the response has no WWW-Authenticate", name)
		}
	}
}

func TestACookieWritesOnlyFromAllowedOrigins(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for name, tt := range map[string]struct {
		header http.Header
		want   int
	}{
		"from the console":                  {http.Header{"Origin": {"https://console.theoneagents.app"}}, 201},
		"from the same origin":              {http.Header{"Sec-Fetch-Site": {"same-origin"}}, 201},
		"from nowhere":                      {http.Header{}, 403},
		"from elsewhere":                    {http.Header{"Origin": {"https://evil.example"}}, 403},
		"from elsewhere, claiming the same": {http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"same-origin"}}, 403},
		"from a null origin":                {http.Header{"Origin": {"null"}}, 403},
		"from an empty origin":              {http.Header{"Origin": {""}, "Sec-Fetch-Site": {"same-origin"}}, 403},
		"from the same site":                {http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		"from a longer name":                {http.Header{"Origin": {"https://console.theoneagents.app.evil.example"}}, 403},
		"from two origins":                  {http.Header{"Origin": {"https://console.theoneagents.app", "https://evil.example"}}, 403},
	} {
		r := call{what: "POST /api/agents", body: exampleAgent}.request(w)
		r.AddCookie(&http.Cookie{Name: "hub_session", Value: "owner@org_a"})
		maps.Copy(r.Header, tt.header)
		if rec := serveOnce(w, r); rec.Code != tt.want {
			t.Errorf("%s: %d, want %d: %s", name, rec.Code, tt.want, rec.Body)
		}
	}
	r := call{what: "GET /api/agents"}.request(w)
	r.AddCookie(&http.Cookie{Name: "hub_session", Value: "owner@org_a"})
	r.Header.Set("Origin", "https://evil.example")
	if rec := serveOnce(w, r); rec.Code != 200 {
		t.Errorf("a read: %d, want 200", rec.Code)
	}
}

func TestARevokedKeyIsUnauthorized(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	w.do(t, call{as: "owner@org_a", what: "DELETE /api/keys/key_NEW1"})
	if got := w.do(t, call{as: "read", what: "GET /api/agents"}).status; got != http.StatusUnauthorized {
		t.Errorf("%d, want 401", got)
	}
}

func TestAnExpiredKeyIsUnauthorizedFromThatMoment(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	made := w.do(t, call{as: "owner@org_a", what: "POST /api/keys", body: `{"name": "short", "access": "read", "expires_at": "2026-03-09T16:00:00+01:00"}`})
	if made.status != http.StatusCreated || made.field("expires_at") != "2026-03-09T15:00:00Z" {
		t.Fatalf("%d %s", made.status, made.text)
	}
	secret, _ := made.field("key").(string)
	w.secrets["short"] = secret
	expires := time.Date(2026, time.March, 9, 15, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		at   time.Time
		want int
	}{{now, 200}, {expires.Add(-1), 200}, {expires, 401}, {expires.Add(1000 * time.Hour), 401}} {
		w.later = tc.at.Sub(now)
		got := w.do(t, call{as: "short", what: "GET /api/agents"})
		if got.status != tc.want {
			t.Errorf("at %v: %d %s", tc.at, got.status, got.text)
		}
		if tc.want == 401 && got.field("message") != "The integration key expired at 2026-03-09T15:00:00Z; create another one." {
			t.Errorf("%s", got.text)
		}
	}
	for _, expires := range []string{`"2026-03-09T14:23:01Z"`, `"2020-01-01T00:00:00Z"`, `"9999-01-01T00:00:00Z"`, `"2027-01-01"`, `"soon"`, `5`, `""`, `{}`} {
		got := w.do(t, call{as: "owner@org_a", what: "POST /api/keys", body: `{"name": "bad", "access": "read", "expires_at": ` + expires + `}`})
		if got.status != http.StatusBadRequest || !strings.Contains(got.text, "expires_at") {
			t.Errorf("%s: %d %s", expires, got.status, got.text)
		}
	}
}

// markedOnce counts the writes of a key's last use.
type markedOnce struct {
	Keyring

	marks *int
	err   error
}

func (m markedOnce) MarkUsed(ctx context.Context, k key.Key) error {
	*m.marks++
	if m.err != nil {
		return m.err
	}
	return m.Keyring.MarkUsed(ctx, k)
}

func TestTheLastUseOfAKeyIsWrittenOnceADay(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	marks, told := 0, 0
	auth := &Auth{
		Sessions: w, Keys: markedOnce{w.store, &marks, nil}, Orgs: w.store, Now: w.now,
		Report: func(context.Context, error) { told++ },
	}
	use := func() {
		t.Helper()
		if _, err := auth.Caller(call{as: "read", what: "GET /api/agents"}.request(w)); err != nil {
			t.Error(err)
		}
	}
	used := func() any {
		return w.do(t, call{as: "owner@org_a", what: "GET /api/keys"}).field("keys[0].last_used_on")
	}
	if got := used(); got != nil {
		t.Errorf("a new key was used on %v", got)
	}
	for day, want := range []string{"2026-03-09", "2026-03-10", "2026-03-11"} {
		w.later = time.Duration(day) * 24 * time.Hour
		for range 5 {
			use()
		}
		if marks != day+1 || used() != want {
			t.Errorf("day %d: %d writes, last used on %v", day, marks, used())
		}
	}
	auth.Keys = markedOnce{w.store, &marks, errors.New("no table")}
	w.later += 24 * time.Hour
	use()
	if told != 1 {
		t.Errorf("%d reports of a write that failed", told)
	}
}

// A revocations store finds that sessions were revoked.
type revocations struct {
	Orgs

	err   error
	asked []tenant.Session
}

func (s *revocations) Standing(ctx context.Context, session tenant.Session) (tenant.Tenant, bool, error) {
	s.asked = append(s.asked, session)
	t, err := s.Tenant(ctx, session.Org)
	return t, session.User == "user_gone", errors.Join(err, s.err)
}

// One call finds the revocations of a session and its organization.
func TestARevokedSessionIsUnauthorizedWhateverItsOrganization(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	orgs := &revocations{Orgs: w.store}
	auth := func(who caller.Caller) *Auth {
		return &Auth{Sessions: session{who}, Orgs: orgs, Now: w.now}
	}
	issued := time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	gone := caller.Caller{Org: "org_a", User: "user_gone", Session: "ses_1", Issued: issued}
	stays := caller.Caller{Org: "org_a", User: "user_1", Session: "ses_2", Issued: issued}
	lost, nowhere := gone, stays
	lost.Org, nowhere.Org = "org_unknown", "org_unknown"
	for who, want := range map[*caller.Caller]error{&gone: ErrUnauthorized, &lost: ErrUnauthorized, &stays: nil, &nowhere: caller.ErrForbidden} {
		r := call{what: "GET /api/agents"}.request(w)
		r.Header.Set("Authorization", "Bearer token")
		got, err := auth(*who).Caller(r)
		if !errors.Is(err, want) || want != nil && got.Org != "" {
			t.Errorf("%s of %s: %+v, %v; want %v", who.User, who.Org, got, err, want)
		}
	}
	for _, s := range orgs.asked {
		if s.JTI == "" || !s.Issued.Equal(issued) {
			t.Errorf("asked about %+v", s)
		}
	}
	orgs.err = errors.New("no table")
	r := call{what: "GET /api/agents"}.request(w)
	r.Header.Set("Authorization", "Bearer token")
	if got, err := auth(stays).Caller(r); !errors.Is(err, orgs.err) || got.Org != "" {
		t.Errorf("without the table: %+v, %v", got, err)
	}
}

// A session is the only one.
type session struct{ who caller.Caller }

func (s session) Caller(context.Context, string) (caller.Caller, error) { return s.who, nil }
