package tenant

import (
	"regexp"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// An Owner is a person who is told by e-mail when something fails and no agent
// of the organization listens for it.
type Owner struct {
	User  id.User
	Email string
}

// maxOwners is how many owners are kept: they are read with every event.
const maxOwners = 10

// mailbox is what an address of an owner may look like: plain, without a name.
var mailbox = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,186}[A-Za-z0-9])?$`)

// ownersOf returns the owners that an event of the Hub names, and whether it
// names any list. An entry without a plain address is left out: it keeps nobody
// from being told, and the organization from being known even less.
func ownersOf(e event.Event) ([]Owner, bool) {
	list, ok := e.Payload["owners"].([]any)
	if !ok {
		return nil, false
	}
	var owners []Owner
	seen := map[string]bool{}
	for _, v := range list {
		entry, _ := v.(map[string]any)
		user, _ := entry["user_id"].(string)
		email, _ := entry["email"].(string)
		if !mailbox.MatchString(email) || seen[email] || user != "" && !id.ValidExternal(user) || len(owners) == maxOwners {
			continue
		}
		seen[email] = true
		owners = append(owners, Owner{User: id.User(user), Email: email})
	}
	return owners, true
}
