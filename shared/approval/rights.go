package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// Behind names the people and keys that set a run up. A key is followed by the
// person who made it.
type Behind struct {
	Wrote     []id.Actor // the version of the agent
	Activated []id.Actor // that version
	Started   []id.Actor // the run; none for a run started by its event
	Known     bool       // false in records from before the authors were kept
}

// part returns how an actor took part in setting the run up, or "".
func (b Behind) part(who id.Actor) string {
	switch {
	case slices.Contains(b.Wrote, who):
		return "wrote this version of the agent"
	case slices.Contains(b.Activated, who):
		return "activated this version of the agent"
	case slices.Contains(b.Started, who):
		return "started this execution"
	}
	return ""
}

// Rules are the choices of an organization about its approvals.
type Rules struct {
	NoSelfApproval bool // owners and admins do not decide about their own risks either
}

// RulesOf returns the rules of an organization.
func RulesOf(t tenant.Tenant) Rules {
	return Rules{NoSelfApproval: t.Settings.Policy(tenant.SelfApproval) == tenant.Deny}
}

// Guards reports whether the approval guards an action that costs money, changes
// an access or is destructive. An old record does not say which actions it guards.
func (a Approval) Guards() bool {
	switch a.Risk {
	case catalog.Money, catalog.Access, catalog.Destructive:
		return true
	case catalog.Internal, catalog.Outward:
		return false
	}
	return len(a.Actions) > 0
}

// May returns nil if the caller may decide, or ErrNotYours. Only users may, not
// integration keys: owners and admins always, members when the gate names them,
// viewers never. Where the approval guards a risk, a member who set the run up may
// not, and whether an owner or admin who did so may is a rule of the organization.
func (a Approval) May(who caller.Caller, r Rules) error {
	if !who.Human() {
		return ErrNotYours.Sayf("Only a person may decide; an integration key may not.")
	}
	manages := who.Has(caller.Owner, caller.Admin)
	if named := who.Has(caller.Member) && a.names(who); !manages && !named {
		return ErrNotYours.Sayf("You may not decide this approval; %s may.", a.others(who))
	}
	part := a.Behind.part(who.Actor())
	switch {
	case !a.Guards():
		return nil
	case part != "" && (!manages || r.NoSelfApproval):
		return ErrNotYours.Sayf("You %s, which performs an action %s; %s may decide.", part, a.effect(), a.others(who))
	case !a.Behind.Known && !manages:
		return ErrNotYours.Sayf("The authors of the agent were not recorded, and it performs an action %s; an owner or an admin may decide.", a.effect())
	}
	return nil
}

// names reports whether the gate names the caller, who is a member.
func (a Approval) names(who caller.Caller) bool {
	return slices.Contains(a.Approvers.Users, who.User) || slices.Contains(a.Approvers.Roles, caller.Member)
}

// effect describes the risk.
func (a Approval) effect() string {
	switch a.Risk {
	case catalog.Money:
		return "that costs money"
	case catalog.Access:
		return "that changes an access or a protection"
	case catalog.Destructive:
		return "that is hard to undo"
	case catalog.Internal, catalog.Outward:
	}
	return "with a risk"
}

// maxNamed is the number of users that a refusal names.
const maxNamed = 3

// others returns the people other than the caller who may decide.
func (a Approval) others(who caller.Caller) string {
	another := "an"
	if who.Has(caller.Owner, caller.Admin) {
		another = "another"
	}
	list := []string{another + " owner", another + " admin"}
	if slices.Contains(a.Approvers.Roles, caller.Member) {
		list = append(list, "another member")
	}
	var users []string
	for _, u := range a.Approvers.Users {
		if u != who.User {
			users = append(users, string(u))
		}
	}
	if more := len(users) - maxNamed; more > 0 {
		users = append(users[:maxNamed:maxNamed], fmt.Sprintf("%d other users", more))
	}
	list = append(list, users...)
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}

// RulesFor returns the rules of the caller's organization. It reads them only if
// they decide about one of the approvals.
func (s *Service) RulesFor(ctx context.Context, who caller.Caller, all ...Approval) (Rules, error) {
	matter := func(a Approval) bool {
		return a.May(who, Rules{}) == nil && a.May(who, Rules{NoSelfApproval: true}) != nil
	}
	if !slices.ContainsFunc(all, matter) {
		return Rules{}, nil
	}
	t, err := s.Tenants.Tenant(ctx, who.Org)
	if err != nil {
		return Rules{}, fmt.Errorf("rules of %s: %w", who.Org, err)
	}
	return RulesOf(t), nil
}
