package definition

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The URL of a chat or a webhook is a credential: its holder may post there. Only
// owners and admins see it. All others see its host and a digest, in a form that no
// URL can have: https://hooks.slack.com/…#3f9a0c1be22d4f01.

// Secret reports whether the recipients of a channel are credentials.
func (c Channel) Secret() bool { return c == Slack || c == Teams || c == Webhook }

var (
	// authority matches the scheme and the host of a URL.
	authority = regexp.MustCompile(`(?i)^<?(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)([/?>]|$)`)
	// plain matches a placeholder without filters or literals, which holds no URL.
	plain = regexp.MustCompile(`^\s*\{\{\s*[A-Za-z0-9_.\[\]]+\s*\}\}\s*$`)
	// hidden matches a hidden recipient.
	hidden = regexp.MustCompile(`^((https?://[a-z0-9.-]+(:[0-9]{1,5})?/)?…)#[0-9a-f]{16}$`)
)

// Hides reports whether a recipient must be hidden from those who may not see the
// credentials of chats and webhooks.
func (c Channel) Hides(recipient string) bool {
	return c.Secret() && !plain.MatchString(recipient) && !Hidden(recipient)
}

// Shown returns a recipient as a text may show it to everybody: without the path of
// a chat's or webhook's URL.
func (c Channel) Shown(recipient string) string {
	if !c.Hides(recipient) {
		return recipient
	}
	m := authority.FindStringSubmatch(trimmed(recipient))
	if m == nil {
		return "…"
	}
	return strings.ToLower(m[1]) + "/…"
}

// ShownURL is Shown for a text whose channel is unknown: it shortens URLs alone.
func ShownURL(text string) string {
	if !authority.MatchString(trimmed(text)) {
		return text
	}
	return Webhook.Shown(text)
}

// urls matches the URLs within a text.
var urls = regexp.MustCompile(`(?i)https?://[^\s"'<>“”]+`)

// WithoutURLs returns a text with every URL in it shortened.
func WithoutURLs(text string) string { return urls.ReplaceAllStringFunc(text, Webhook.Shown) }

// Hidden reports whether a text stands for a hidden recipient.
func Hidden(text string) bool { return hidden.MatchString(text) }

// HiddenAs returns the hidden form of a recipient with this digest, 16 hexadecimal
// digits.
func (c Channel) HiddenAs(recipient, digest string) string { return c.Shown(recipient) + "#" + digest }

// A RecipientMap replaces a recipient of a channel.
type RecipientMap func(c Channel, recipient string) string

// WithRecipients returns steps with every recipient replaced, at any depth.
func WithRecipients(steps []Step, f RecipientMap) []Step {
	out := slices.Clone(steps)
	for i, s := range out {
		switch {
		case s.NotificationStep != nil:
			n := *s.NotificationStep
			n.Recipients = f.all(n.Channel, n.Recipients)
			out[i].NotificationStep = &n
		case s.GateStep != nil:
			g := *s.GateStep
			g.Notify = f.notify(g.Notify)
			if g.EscalateTo != nil {
				e := *g.EscalateTo
				e.Notify = f.notify(e.Notify)
				g.EscalateTo = &e
			}
			out[i].GateStep = &g
		case s.BranchStep != nil:
			b := *s.BranchStep
			b.Else = WithRecipients(b.Else, f)
			b.Cases = slices.Clone(b.Cases)
			for n, c := range b.Cases {
				b.Cases[n].Steps = WithRecipients(c.Steps, f)
			}
			out[i].BranchStep = &b
		}
	}
	return out
}

func (f RecipientMap) all(c Channel, recipients []string) []string {
	out := slices.Clone(recipients)
	for i, r := range out {
		out[i] = f(c, r)
	}
	return out
}

func (f RecipientMap) notify(list []Notify) []Notify {
	out := slices.Clone(list)
	for i, n := range out {
		out[i].Recipients = f.all(n.Channel, n.Recipients)
	}
	return out
}

// DocumentWithRecipients is WithRecipients for steps that were not validated yet. It
// replaces recipients only where a definition has them, and leaves everything else
// as it is.
func DocumentWithRecipients(steps any, f RecipientMap) any {
	list, ok := steps.([]any)
	if !ok {
		return steps
	}
	out := slices.Clone(list)
	for i, v := range out {
		s, ok := v.(map[string]any)
		if !ok {
			continue
		}
		s = maps.Clone(s)
		out[i] = s
		switch s["type"] {
		case string(Notification):
			f.document(s)
		case string(Gate):
			f.notifyDocument(s)
			if e, ok := s["escalate_to"].(map[string]any); ok {
				e = maps.Clone(e)
				f.notifyDocument(e)
				s["escalate_to"] = e
			}
		case string(Branching):
			f.branchDocument(s)
		}
	}
	return out
}

// document replaces the recipients beside a channel.
func (f RecipientMap) document(o map[string]any) {
	name, _ := o["channel"].(string)
	list, ok := o["recipients"].([]any)
	if !ok {
		return
	}
	list = slices.Clone(list)
	for i, r := range list {
		if text, ok := r.(string); ok {
			list[i] = f(Channel(name), text)
		}
	}
	o["recipients"] = list
}

func (f RecipientMap) notifyDocument(o map[string]any) {
	list, ok := o["notify"].([]any)
	if !ok {
		return
	}
	list = slices.Clone(list)
	for i, v := range list {
		if n, ok := v.(map[string]any); ok {
			n = maps.Clone(n)
			f.document(n)
			list[i] = n
		}
	}
	o["notify"] = list
}

func (f RecipientMap) branchDocument(o map[string]any) {
	if steps, ok := o["else"]; ok {
		o["else"] = DocumentWithRecipients(steps, f)
	}
	list, ok := o["cases"].([]any)
	if !ok {
		return
	}
	list = slices.Clone(list)
	for i, v := range list {
		if c, ok := v.(map[string]any); ok {
			c = maps.Clone(c)
			c["steps"] = DocumentWithRecipients(c["steps"], f)
			list[i] = c
		}
	}
	o["cases"] = list
}
