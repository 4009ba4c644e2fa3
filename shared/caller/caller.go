// Package caller defines the authenticated caller of a request and its rights.
package caller

import (
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// ErrForbidden refuses an act that the caller's role does not allow.
var ErrForbidden = fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")

// A Role is the role of a person in their organization.
type Role string

// The roles, from the most to the least powerful.
const (
	Owner  Role = "owner"
	Admin  Role = "admin"
	Member Role = "member"
	Viewer Role = "viewer"
)

// Known reports whether r is a role.
func (r Role) Known() bool { return slices.Contains([]Role{Owner, Admin, Member, Viewer}, r) }

// An Access is the right of an integration key.
type Access string

// The accesses.
const (
	Read      Access = "read"
	ReadWrite Access = "read_write"
)

// Known reports whether a is an access.
func (a Access) Known() bool { return a == Read || a == ReadWrite }

// A Caller is a person with a session or a program with an integration key, in
// one organization. Only authentication makes one.
type Caller struct {
	Org    id.Org
	User   id.User // empty for a program
	Roles  []Role
	Key    id.Key // empty for a person
	Access Access // the right of the key

	KeyMaker id.Actor // the person who made the key; empty for a person, and for an old key

	Session string    // the id of the session; empty for a program, and for a session without one
	Issued  time.Time // when the session was issued; zero for a program
	Address string    // the address of the request as API Gateway saw it; empty if unknown
}

// An Act is an operation that needs a right.
type Act string

// The acts.
const (
	See    Act = "see"    // every GET
	Edit   Act = "edit"   // create, change, activate, clone, cancel, retry
	Delete Act = "delete" // delete an agent
	Decide Act = "decide" // approve or deny; the gate may still refuse the person
	Manage Act = "manage" // integration keys, the secret of webhooks
)

// Acts returns all acts, from the weakest right to the strongest.
func Acts() []Act { return []Act{See, Edit, Delete, Decide, Manage} }

// Acts returns the acts that the caller may do.
func (c Caller) Acts() []Act {
	return slices.DeleteFunc(Acts(), func(a Act) bool { return !c.allowed(a) })
}

// Human reports whether the caller is a person.
func (c Caller) Human() bool { return c.Key == "" }

// Actor returns the caller as records name the author of a change: user_… for a
// person and key_… for a program. A person whose id has another form gets the
// prefix, so that no user can pass for a key or for the platform. A caller
// without a name has no actor.
func (c Caller) Actor() id.Actor {
	switch {
	case !c.Human():
		return id.Actor(c.Key)
	case c.User == "":
		return ""
	}
	if strings.HasPrefix(string(c.User), userPrefix) {
		return id.Actor(c.User)
	}
	return id.Actor(userPrefix + c.User)
}

// Actors returns the caller's actor, and for a key also the person who made it.
func (c Caller) Actors() []id.Actor {
	var all []id.Actor
	for _, a := range []id.Actor{c.Actor(), c.KeyMaker} {
		if a != "" {
			all = append(all, a)
		}
	}
	return all
}

// userPrefix begins the id of a person in records.
const userPrefix = "user_"

// Has reports whether the caller has one of the roles.
func (c Caller) Has(roles ...Role) bool {
	return slices.ContainsFunc(c.Roles, func(r Role) bool { return slices.Contains(roles, r) })
}

// May returns nil if the caller may do act, or ErrForbidden.
func (c Caller) May(act Act) error {
	if c.allowed(act) {
		return nil
	}
	return ErrForbidden
}

func (c Caller) allowed(act Act) bool {
	if !c.Human() {
		switch act {
		case See:
			return true
		case Edit, Delete:
			return c.Access == ReadWrite
		case Decide, Manage:
			return false
		}
		return false
	}
	switch act {
	case See:
		return c.Has(Owner, Admin, Member, Viewer)
	case Edit, Decide:
		return c.Has(Owner, Admin, Member)
	case Delete, Manage:
		return c.Has(Owner, Admin)
	}
	return false
}
