package tenant

import (
	"regexp"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// An Owner is a person who receives an e-mail when something fails and no agent
// of the organization listens for the failure.
type Owner struct {
	User  id.User
	Email string
}

// maxOwners bounds the stored owners, since every event reads them.
const maxOwners = 10

// mailbox matches the address of an owner: plain, without a display name.
var mailbox = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,186}[A-Za-z0-9])?$`)

// ownersOf returns the owners in an event of the Hub, and whether the event has
// a list of them. It skips an entry without a plain address, so that a bad
// entry neither keeps the other owners from being notified nor the organization
// from being announced.
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
