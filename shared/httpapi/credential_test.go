package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/tenant"
)

const (
	goodToken  = "good"
	goodSecret = "ik_live_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
)

// oneCaller knows one session, one key and every organization.
type oneCaller struct{}

func (oneCaller) Caller(_ context.Context, token string) (caller.Caller, error) {
	if token != goodToken {
		return caller.Caller{}, ErrUnauthorized
	}
	return caller.Caller{Org: "org_a", User: "user_1", Roles: []caller.Role{caller.Owner}}, nil
}

func (oneCaller) KeyByHash(_ context.Context, h key.Hash) (key.Key, error) {
	if good, _ := key.HashOf(goodSecret); h != good {
		return key.Key{}, key.ErrNotFound
	}
	return key.Key{ID: "key_1", Org: "org_a", Access: caller.Read}, nil
}

func (oneCaller) MarkUsed(context.Context, key.Key) error { return nil }

func (oneCaller) Tenant(context.Context, id.Org) (tenant.Tenant, error) { return tenant.Tenant{}, nil }

func (oneCaller) Standing(context.Context, tenant.Session) (tenant.Tenant, bool, error) {
	return tenant.Tenant{}, false, nil
}

func FuzzCredential(f *testing.F) {
	f.Add(http.MethodPost, "Bearer "+goodToken, "", "", "")
	f.Add(http.MethodGet, "", "a=b; hub_session="+goodToken, "", "")
	f.Add(http.MethodPost, "", "hub_session="+goodToken, "", "https://evil.example")
	f.Add(http.MethodGet, "", "", goodSecret, "")
	f.Add(http.MethodGet, "", "hub_session="+goodToken+"; hub_session=x", goodSecret+" ", "null")
	f.Add(http.MethodGet, "bearer\t"+goodToken, "hub_session", "ik_live_", "")
	auth := &Auth{Sessions: oneCaller{}, Keys: oneCaller{}, Orgs: oneCaller{}, Origins: []string{"https://console.theoneagents.app"}, Now: time.Now}
	f.Fuzz(func(t *testing.T, method, bearer, cookie, secret, origin string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/agents", http.NoBody)
		r.Method = method
		sent := 0
		for name, value := range map[string]string{
			"Authorization": bearer, "Cookie": cookie, "X-Integration-Key": secret, "Origin": origin,
		} {
			if value == "" {
				continue
			}
			r.Header.Set(name, value)
			if name != "Origin" {
				sent++
			}
		}
		who, err := auth.Caller(r)
		switch {
		case err != nil:
			if who.Org != "" {
				t.Errorf("%+v is refused and returns the caller %v", r.Header, who)
			}
		case sent == 0:
			t.Errorf("a request without a credential returns the caller %+v", who)
		case who.Human() && !strings.HasSuffix(bearer, goodToken) && !strings.Contains(cookie, goodToken):
			t.Errorf("%+v returns the person %+v without a session", r.Header, who)
		case !who.Human() && (secret != goodSecret || bearer != "" || who.Access != caller.Read):
			t.Errorf("%+v returns the key's caller %+v", r.Header, who)
		case who.Human() && bearer == "" && method != http.MethodGet && method != http.MethodHead && origin != auth.Origins[0]:
			t.Errorf("a cookie from %q is accepted for %s", origin, method)
		}
	})
}
