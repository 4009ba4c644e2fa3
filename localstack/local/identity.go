package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/shared/caller"
	ids "theoneagents.app/agents/shared/id"
	keys "theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/tenant"
)

// session is the default lifetime of a session.
const session = time.Hour

// token prints a session.
func token(w world, args []string) error {
	f, state := flags(w, "token")
	org := f.String("org", "org_demo", "organization")
	user := f.String("user", "user_demo", "user")
	role := f.String("role", "owner", "owner, admin, member or viewer")
	ttl := f.Int("ttl", int(session.Seconds()), "seconds until it expires; a negative number makes an expired session")
	form := f.String("form", string(hub.Session), `"session" or "hub": the naming of the claims`)
	if err := parse(f, args); err != nil {
		return err
	}
	if err := checkClaims(*org, *user, *role, *form); err != nil {
		return err
	}
	if most := int(tenant.MaxSession.Seconds()); *ttl > most {
		return misusef("a session lives at most %d seconds, not %d", most, *ttl)
	}
	text, err := w.mint(home(*state), hub.Claims{
		Form: hub.Form(*form), Org: *org, User: *user, Roles: []string{*role}, TTL: time.Duration(*ttl) * time.Second,
	})
	if err != nil {
		return err
	}
	w.say("%s", text)
	return nil
}

// checkClaims returns a misuse when every function would refuse the session.
func checkClaims(org, user, role, form string) error {
	if err := checkOrg(org); err != nil {
		return err
	}
	if !ids.ValidExternal(user) {
		return misusef("%q is not a user id: an id has up to 128 printable characters without # or space", user)
	}
	roles := []string{string(caller.Owner), string(caller.Admin), string(caller.Member), string(caller.Viewer)}
	if !slices.Contains(roles, role) {
		return misusef("there is no role %q: a role is %s", role, strings.Join(roles, ", "))
	}
	if forms := []string{string(hub.Session), string(hub.Tenant)}; !slices.Contains(forms, form) {
		return misusef("there is no form %q: a form is %s", form, strings.Join(forms, ", "))
	}
	return nil
}

// mint returns a session with the claims c, issued now.
func (w world) mint(h home, c hub.Claims) (string, error) {
	key, err := hub.Open(h.hubKey())
	if err != nil {
		return "", fmt.Errorf("%w (make reset makes a new key)", h.denied(err))
	}
	c.ID, c.Issued = "jti_"+ulid.Make().String(), w.now()
	return key.Mint(c)
}

// key creates an integration key and prints it.
func key(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "key")
	org := f.String("org", "org_demo", "organization")
	access := f.String("access", "read_write", "read or read_write")
	name := f.String("name", "make key", "name of the key")
	if err := parse(f, args); err != nil {
		return err
	}
	if err := checkOrg(*org); err != nil {
		return err
	}
	if accesses := []string{string(caller.Read), string(caller.ReadWrite)}; !slices.Contains(accesses, *access) {
		return misusef("there is no access %q: an access is %s", *access, strings.Join(accesses, ", "))
	}
	if n := len([]rune(*name)); n < 1 || n > keys.MaxName {
		return misusef("the name of a key has 1 to %d characters, not %d", keys.MaxName, n)
	}
	h := home(*state)
	o, err := h.readOutputs(ctx, w)
	if err != nil {
		return err
	}
	owner, err := w.as(h, o, *org)
	if err != nil {
		return err
	}
	var made struct {
		Key string `json:"key"`
	}
	ask := map[string]string{"name": *name, "access": *access}
	if err := owner.call(ctx, http.MethodPost, "/api/keys", ask, &made); err != nil {
		return err
	}
	w.say("%s", made.Key)
	return nil
}
