package main

import (
	"context"
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/localstack/hub"
)

// session is how long a session lives.
const session = time.Hour

// token prints a session.
func token(w world, args []string) error {
	f, state := flags(w, "token")
	org := f.String("org", "org_demo", "organization")
	user := f.String("user", "user_demo", "user")
	role := f.String("role", "owner", "owner, admin, member or viewer")
	ttl := f.Int("ttl", int(session.Seconds()), "seconds until it expires; negative makes one that has")
	form := f.String("form", string(hub.Session), `"session" or "hub": how the claims are named`)
	if err := f.Parse(args); err != nil {
		return err
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

// mint returns the session that says c, from now on.
func (w world) mint(h home, c hub.Claims) (string, error) {
	key, err := hub.Open(h.hubKey())
	if err != nil {
		return "", err
	}
	c.ID, c.Issued = "jti_"+ulid.Make().String(), w.now()
	return key.Mint(c)
}

// key makes an integration key and prints it.
func key(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "key")
	org := f.String("org", "org_demo", "organization")
	access := f.String("access", "read_write", "read or read_write")
	name := f.String("name", "make key", "what the key is called")
	if err := f.Parse(args); err != nil {
		return err
	}
	h := home(*state)
	o, err := h.readOutputs()
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
