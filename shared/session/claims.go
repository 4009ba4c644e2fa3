package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// claims are the strictly parsed claims of a token. golang-jwt validates them.
type claims struct {
	who           caller.Caller
	iss, jti, sub string
	aud           []string
	exp, nbf, iat *jwt.NumericDate
}

// UnmarshalJSON parses claims of either form, or returns what is wrong with
// them.
func (c *claims) UnmarshalJSON(data []byte) error {
	f, err := read(data)
	if err != nil {
		return err
	}
	c.iss, c.jti, c.sub = f.text("iss"), f.text("jti"), f.text("sub")
	c.exp, c.nbf, c.iat = f.date("exp"), f.date("nbf"), f.date("iat")
	if _, one := f.doc["aud"].(string); one {
		c.aud = []string{f.text("aud")}
	} else {
		c.aud = f.texts("aud")
	}
	c.who = whoOf(f)
	c.revocable(f)
	return f.err
}

// revocable refuses a token that a revocation could not name, or that would
// outlive the revocations.
func (c *claims) revocable(f *fields) {
	f.refuse(c.jti == "", "the token has no jti")
	f.refuse(len(c.jti) > tenant.MaxJTI, fmt.Sprintf("the jti has %d bytes, want at most %d", len(c.jti), tenant.MaxJTI))
	f.refuse(c.iat == nil, "the token has no iat")
	f.refuse(c.exp == nil, "the token has no exp")
	if f.err != nil {
		return
	}
	life := c.exp.Sub(c.iat.Time)
	f.refuse(life <= 0 || life > tenant.MaxSession, fmt.Sprintf("the token is valid for %s, want at most %s", life, tenant.MaxSession))
}

// whoOf returns the caller that the claims name: {org_id, user_id, roles, jti}
// or, in other tokens of the Hub, {tenantId, sub, orgRole, jti}.
func whoOf(f *fields) caller.Caller {
	_, first := f.get("org_id")
	_, second := f.get("tenantId")
	f.refuse(first == second, "the token must have either org_id or tenantId")
	var org, user string
	var roles []string
	if first {
		org, user, roles = f.text("org_id"), f.text("user_id"), f.texts("roles")
	} else {
		org, user, roles = f.text("tenantId"), f.text("sub"), []string{f.text("orgRole")}
	}
	name, ok := id.ParseOrg(org)
	f.refuse(!ok, "the organization is not a valid id like org_a")
	f.refuse(!id.ValidExternal(user), "the user is not a valid id")
	f.refuse(len(roles) == 0, "the token has no role")
	who := caller.Caller{Org: name, User: id.User(user)}
	for _, r := range roles {
		role := caller.Role(r)
		f.refuse(!role.Known(), "the token has an unknown role")
		if !slices.Contains(who.Roles, role) {
			who.Roles = append(who.Roles, role)
		}
	}
	return who
}

// Validate is called by golang-jwt after its own checks.
func (c *claims) Validate() error {
	if c.who.Org == "" {
		return errors.New("the token has no claims")
	}
	return nil
}

// The remaining methods of jwt.Claims.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.exp, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.iat, nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return c.nbf, nil }
func (c *claims) GetIssuer() (string, error)                   { return c.iss, nil }
func (c *claims) GetSubject() (string, error)                  { return c.sub, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return c.aud, nil }
