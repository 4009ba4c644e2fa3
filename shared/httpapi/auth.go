package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/tenant"
)

// Sessions returns the caller of a session token, or a fault of the class
// Unauthenticated.
type Sessions interface {
	Caller(ctx context.Context, token string) (caller.Caller, error)
}

// Keyring finds an integration key by its hash, or returns key.ErrNotFound, and
// stores the day of its last use.
type Keyring interface {
	KeyByHash(ctx context.Context, h key.Hash) (key.Key, error)
	MarkUsed(ctx context.Context, k key.Key) error
}

// Orgs finds the organization of a caller, or returns tenant.ErrUnknown.
type Orgs interface {
	Tenant(ctx context.Context, org id.Org) (tenant.Tenant, error)

	// Standing is Tenant for the organization of a session, and reports in the same
	// call whether the Hub revoked the session, also when the organization is unknown.
	Standing(ctx context.Context, session tenant.Session) (t tenant.Tenant, revoked bool, err error)
}

// Auth is the Authenticator: it turns one credential into a caller.
type Auth struct {
	Sessions Sessions
	Keys     Keyring
	Orgs     Orgs
	Origins  []string // origins whose pages may write with a session cookie
	Now      func() time.Time
	Report   func(context.Context, error) // receives failures that refuse no caller
}

// The names of the credentials.
const (
	sessionCookie = "hub_session"
	keyHeader     = "X-Integration-Key"
)

// Caller returns the caller that sent r. It returns ErrUnauthorized unless r has
// exactly one credential and that is valid and not revoked, and caller.ErrForbidden for a cookie
// that another site may have sent or an organization that the Hub has not
// announced.
func (a *Auth) Caller(r *http.Request) (caller.Caller, error) {
	who, err := a.identify(r)
	if err != nil {
		return caller.Caller{}, err
	}
	revoked, err := a.standing(r.Context(), who)
	switch {
	case revoked:
		return caller.Caller{}, ErrUnauthorized.Sayf("The session is not valid.").Because(errRevoked)
	case errors.Is(err, tenant.ErrUnknown):
		return caller.Caller{}, caller.ErrForbidden.Sayf("The organization %s is unknown.", who.Org)
	case err != nil:
		return caller.Caller{}, err
	}
	return who, nil
}

// errRevoked is the logged cause of a refusal.
var errRevoked = errors.New("the session was revoked")

// standing looks up the organization of a caller, and whether the caller's session was
// revoked.
func (a *Auth) standing(ctx context.Context, who caller.Caller) (revoked bool, err error) {
	if !who.Human() {
		_, err := a.Orgs.Tenant(ctx, who.Org)
		return false, err
	}
	_, revoked, err = a.Orgs.Standing(ctx, tenant.Session{Org: who.Org, JTI: who.Session, User: who.User, Issued: who.Issued})
	return revoked, err
}

func (a *Auth) identify(r *http.Request) (caller.Caller, error) {
	cookies, bearers, secrets := r.CookiesNamed(sessionCookie), r.Header.Values("Authorization"), r.Header.Values(keyHeader)
	switch n := len(cookies) + len(bearers) + len(secrets); {
	case n > 1:
		return caller.Caller{}, ErrUnauthorized.Sayf("The request has %d credentials; send exactly one.", n)
	case len(cookies) == 1:
		return a.cookie(r, cookies[0].Value)
	case len(bearers) == 1:
		return a.bearer(r.Context(), bearers[0])
	case len(secrets) == 1:
		return a.key(r.Context(), secrets[0])
	}
	return caller.Caller{}, ErrUnauthorized
}

func (a *Auth) cookie(r *http.Request, token string) (caller.Caller, error) {
	who, err := a.Sessions.Caller(r.Context(), token)
	if err != nil {
		return caller.Caller{}, err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !a.ownPage(r) {
		return caller.Caller{}, caller.ErrForbidden.Sayf("Pages of this origin may not write with a session cookie.")
	}
	return who, nil
}

// ownPage reports whether a page of an allowed origin sent r: browsers send the
// cookie with requests of foreign pages too.
func (a *Auth) ownPage(r *http.Request) bool {
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		return len(origins) == 1 && slices.Contains(a.Origins, origins[0])
	}
	sites := r.Header.Values("Sec-Fetch-Site")
	return len(sites) == 1 && sites[0] == "same-origin"
}

func (a *Auth) bearer(ctx context.Context, header string) (caller.Caller, error) {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return caller.Caller{}, ErrUnauthorized
	}
	return a.Sessions.Caller(ctx, token)
}

func (a *Auth) key(ctx context.Context, secret string) (caller.Caller, error) {
	hash, ok := key.HashOf(secret)
	if !ok {
		return caller.Caller{}, ErrUnauthorized.Sayf("The integration key is not valid.")
	}
	k, err := a.Keys.KeyByHash(ctx, hash)
	now := a.Now()
	switch {
	case errors.Is(err, key.ErrNotFound):
		return caller.Caller{}, ErrUnauthorized.Sayf("The integration key is not valid.")
	case err != nil:
		return caller.Caller{}, err
	case k.Expired(now):
		return caller.Caller{}, ErrUnauthorized.Sayf("The integration key expired at %s; create another one.", k.Expires.Format(time.RFC3339))
	}
	if used, first := k.UsedAt(now); first {
		if err := a.Keys.MarkUsed(ctx, used); err != nil {
			a.Report(ctx, fmt.Errorf("mark %s as used: %w", k.ID, err))
		}
	}
	return caller.Caller{Org: k.Org, Key: k.ID, Access: k.Access, KeyMaker: k.By}, nil
}
