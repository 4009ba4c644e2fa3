package caller_test

import (
	"errors"
	"testing"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
)

func TestARightFollowsFromRoleOrKey(t *testing.T) {
	t.Parallel()

	person := func(roles ...caller.Role) caller.Caller {
		return caller.Caller{Org: "org_a", User: "user_1", Roles: roles}
	}
	program := func(access caller.Access) caller.Caller {
		return caller.Caller{Org: "org_a", Key: "key_1", Access: access}
	}
	// A caller with a key is no person, even with a user and roles.
	disguised := program(caller.Read)
	disguised.User, disguised.Roles = "user_1", []caller.Role{caller.Owner}
	acts := []caller.Act{caller.See, caller.Edit, caller.Delete, caller.Decide, caller.Manage}

	for name, tc := range map[string]struct {
		who caller.Caller
		may []caller.Act
	}{
		"an owner may do everything":                   {person(caller.Owner), acts},
		"an admin may do everything":                   {person(caller.Admin), acts},
		"a member may edit and decide":                 {person(caller.Member), []caller.Act{caller.See, caller.Edit, caller.Decide}},
		"a viewer may only see":                        {person(caller.Viewer), []caller.Act{caller.See}},
		"the stronger of two roles counts":             {person(caller.Viewer, caller.Admin), acts},
		"a person without a role has no rights":        {person(), nil},
		"a person of an unknown role has no rights":    {person("root"), nil},
		"a role is not a role in capitals":             {person("OWNER"), nil},
		"a key to read may only see":                   {program(caller.Read), []caller.Act{caller.See}},
		"a key to write may edit and delete":           {program(caller.ReadWrite), []caller.Act{caller.See, caller.Edit, caller.Delete}},
		"a key of an unknown access may only see":      {program("admin"), []caller.Act{caller.See}},
		"a key with the roles of an owner is no owner": {disguised, []caller.Act{caller.See}},
		"an unknown caller has no rights":              {caller.Caller{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			may := map[caller.Act]bool{}
			for _, act := range tc.may {
				may[act] = true
			}
			for _, act := range append(acts, "fly", "") {
				err := tc.who.May(act)
				if may[act] && err != nil {
					t.Errorf("%s: %v", act, err)
				}
				if !may[act] && !errors.Is(err, caller.ErrForbidden) {
					t.Errorf("%s: %v, want ErrForbidden", act, err)
				}
			}
		})
	}
}

func TestOnlyTheListedRolesAndAccessesAreKnown(t *testing.T) {
	t.Parallel()

	for _, r := range []caller.Role{caller.Owner, caller.Admin, caller.Member, caller.Viewer} {
		if !r.Known() {
			t.Errorf("role %q is not known", r)
		}
	}
	for _, r := range []caller.Role{"", "Owner", "superuser", "owner "} {
		if r.Known() {
			t.Errorf("role %q is known", r)
		}
	}
	for a, want := range map[caller.Access]bool{caller.Read: true, caller.ReadWrite: true, "": false, "write": false, "READ": false} {
		if a.Known() != want {
			t.Errorf("access %q: %t", a, !want)
		}
	}
}

func TestHasAsksForOneOfSeveralRoles(t *testing.T) {
	t.Parallel()

	c := caller.Caller{Roles: []caller.Role{caller.Member, caller.Viewer}}
	if !c.Has(caller.Owner, caller.Viewer) || c.Has(caller.Owner, caller.Admin) || c.Has() || (caller.Caller{}).Has(caller.Viewer) {
		t.Error("Has does not find the caller's roles")
	}
	if !c.Human() || (caller.Caller{Key: "key_1"}).Human() {
		t.Error("a person has no key and a program has one")
	}
}

func TestTheActorOfACallerIsAPersonOrAKeyAndNeverThePlatform(t *testing.T) {
	t.Parallel()

	for user, want := range map[id.User]id.Actor{
		"user_1": "user_1", "ada": "user_ada", "platform": "user_platform", "key_1": "user_key_1", "USER_1": "user_USER_1", "": "",
	} {
		if got := (caller.Caller{Org: "org_a", User: user}).Actor(); got != want {
			t.Errorf("user %s: actor %s, want %s", user, got, want)
		}
	}
	if got := (caller.Caller{Org: "org_a", User: "user_1", Key: "key_1"}).Actor(); got != "key_1" {
		t.Errorf("a key with a user: actor %s", got)
	}
}
