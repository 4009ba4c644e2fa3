package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// A hider hides the URLs of chats and webhooks in what a caller sees of one agent.
// Owners and admins see them. Without the key a digest reveals nothing about its
// URL, and the digests of one URL differ between agents and organizations.
type hider struct {
	key   []byte
	old   []byte // the previous generation of key; nil for none
	org   id.Org
	agent id.Agent
	clear bool // the caller sees the URLs
}

// hider returns the hider for what a caller sees of an agent.
func (e Edge) hider(who caller.Caller, agent id.Agent) hider {
	return hider{key: e.CursorKey, old: e.OldCursorKey, org: who.Org, agent: agent, clear: who.Human() && who.Has(caller.Owner, caller.Admin)}
}

// digest returns the digest of a URL, 16 hexadecimal digits.
func (h hider) digest(url string) string {
	mac := hmac.New(sha256.New, h.key)
	sum := id.Hash("digest of a URL", string(h.org), string(h.agent), url)
	mac.Write(sum[:])
	const length = 8
	return hex.EncodeToString(mac.Sum(nil)[:length])
}

// hidden returns the hidden form of a recipient; one that needs no hiding is
// returned as it is.
func (h hider) hidden(c definition.Channel, recipient string) string {
	if !c.Hides(recipient) {
		return recipient
	}
	return c.HiddenAs(recipient, h.digest(recipient))
}

// steps returns the steps of a definition as the caller sees them.
func (h hider) steps(steps []definition.Step) []definition.Step {
	if h.clear {
		return steps
	}
	return definition.WithRecipients(steps, h.hidden)
}

// recipients returns the recipients of a message as the caller sees them.
func (h hider) recipients(c definition.Channel, list []string) []string {
	if h.clear {
		return list
	}
	return each(list, func(r string) string { return h.hidden(c, r) })
}

// record returns the input or output of a step of a run as the caller sees it.
func (h hider) record(kind definition.Kind, v any) any {
	if h.clear || kind != definition.Notification && kind != definition.Gate {
		return v
	}
	return execution.MapDeliveries(v, h.hidden, definition.WithoutURLs)
}

// failure returns a failure as the caller sees it. A receiver's answer, which a
// failure may quote, may repeat its URL.
func (h hider) failure(f *execution.Failure) *execution.Failure {
	if f == nil || h.clear {
		return f
	}
	hidden := *f
	hidden.Message = definition.WithoutURLs(f.Message)
	return &hidden
}

// restored returns the fields of an update with each hidden URL of the agent in
// place of its digest. Digests of other URLs stay, and validation refuses them.
func (h hider) restored(fields map[string]any, now definition.Definition) map[string]any {
	steps, ok := fields["steps"]
	if !ok {
		return fields
	}
	urls := map[string]string{}
	definition.WithRecipients(now.Steps, func(c definition.Channel, r string) string {
		if c.Hides(r) {
			urls[h.hidden(c, r)] = r
			if h.old != nil {
				urls[h.before().hidden(c, r)] = r
			}
		}
		return r
	})
	fields = maps.Clone(fields)
	fields["steps"] = definition.DocumentWithRecipients(steps, func(c definition.Channel, r string) string {
		if url, ok := urls[r]; ok && c.Secret() {
			return url
		}
		return r
	})
	return fields
}

// before returns the hider with the previous generation of the key.
func (h hider) before() hider {
	h.key, h.old = h.old, nil
	return h
}

// hasHidden reports whether an update has a hidden URL, so that one without pays for
// no read of the agent.
func hasHidden(fields map[string]any) bool {
	found := false
	definition.DocumentWithRecipients(fields["steps"], func(c definition.Channel, r string) string {
		found = found || definition.Hidden(r)
		return r
	})
	return found
}
