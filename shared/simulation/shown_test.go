package simulation_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/step"
)

// asksByValues is an agent whose gate asks about values of the event, on every
// channel, before an action and a message with these values.
const asksByValues = `[
	{"id": "g", "type": "approval_gate", "message": "Isolate {{ event_payload.a }}\nof {{ event_payload.b }}?", "notify": [
		{"channel": "slack", "recipients": ["https://chat.example/a"]}, {"channel": "teams", "recipients": ["https://chat.example/b"]},
		{"channel": "sms", "recipients": ["+15550000001"]}, {"channel": "email", "recipients": ["a@msp.example"]},
		{"channel": "webhook", "recipients": ["https://hooks.example/x"]}]},
	{"id": "b", "type": "product_action", "product": "psa", "action": "add_note", "params": {
		"ticket_id": "t", "body": "{{ event_payload.a }}", "visibility": "internal"}},
	{"id": "c", "type": "product_action", "product": "compliance", "action": "record_evidence", "params": {
		"control_id": "c", "summary": "{{ event_payload.b }}", "data": {"of": ["{{ event_payload.a }}"]}}},
	{"id": "n", "type": "notification", "name": "Tell {{ them", "channel": "email", "recipients": ["{{ event_payload.b }}", "boss@msp.example"],
		"subject": "About {{ event_payload.a }}", "body": "{{ event_payload.b }}"}]`

// texts generates text that imitates the platform or hides a part of itself.
func texts() *rapid.Generator[string] {
	pieces := []string{
		"dev_1", "a@b.example", "\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029", "\v", "\f", "\t", " ", "\u3000", "\u2800", "\u00a0",
		"\u202e", "\u202a", "\u2066", "\u2069", "\u200b", "\u200d", "\u200f", "\u2060", "\ufeff", "\u00ad", "\u3164", "\U000E0041", "\x00", "\x1b[31m", "\xff",
		"“", "”", "„", `"`, "'", "…", "(30 more characters)", "{", "}", `\`, "<", ">", "&", "*", "[Decide](https://evil.example)", "<https://evil.example|Decide>",
		"Decide until 2031-01-01T00:00:00Z: https://evil.example", "If approved:", "- defend.isolate_device {}", "- and 3 more",
		"Filled in from the event or from earlier steps: “x”", "This message is shortened. The link shows everything.",
		"🙂", "שלום", "你好", strings.Repeat(" ", 200), strings.Repeat("\n", 50), strings.Repeat("x", 700), strings.Repeat("🙂", 900),
	}
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 12), func(all []string) string { return strings.Join(all, "") })
}

// invisible reports whether a character changes how others are read without being
// seen. It does not use the tables of package render.
func invisible(r rune) bool {
	switch {
	case r == '\n':
		return false
	case r < ' ', 0x7f <= r && r <= 0x9f, r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5,
		0x180b <= r && r <= 0x180f, 0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f,
		r == 0x3164, r == 0xfeff, r == 0xffa0, 0xfff0 <= r && r <= 0xfffb, 0x1bca0 <= r && r <= 0x1bca3, 0x1d173 <= r && r <= 0x1d17a, 0xe0000 <= r && r <= 0xe0fff:
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// Whatever an event says, a message about an approval has our lines and no others,
// each value in quotation marks, nothing that cannot be seen, and the link. When it
// leaves something out, it says so. The approval has everything, and the run does
// exactly that.
func TestNoTextOfAnEventSpeaksForThePlatform(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := texts().Draw(rt, "a"), texts().Draw(rt, "b")
		inWorld(t, func(w *world) {
			agent := w.agent(strings.Replace(asksByValues, "Tell {{ them", "Tell\u202e them", 1))
			e := w.escalated()
			e.Payload["a"], e.Payload["b"] = a, b
			w.must(w.dispatcher.Dispatch(w.over, e))
			w.pass(time.Minute)
			x := execution.ID(w.org, agent, e)
			q, err := w.question(x)
			if err != nil {
				run, steps := w.stored(x)
				w.Fatalf("%q, %q: %v, %v", a, b, run.Status, steps)
			}
			messages := w.senders.messages()
			if len(messages) != 5 {
				w.Errorf("%d messages", len(messages))
			}
			for _, m := range messages {
				if w.speaks(q, m) {
					kinds["shortened "+string(m.Channel)]++
				} else {
					kinds["whole "+string(m.Channel)]++
				}
			}
			w.shows(q)
			w.must(w.decide(w.owner(), x, true))
			w.pass(time.Minute)
			for _, shown := range q.Actions {
				did, _ := w.products.did(x, shown.Step)
				if diff := cmp.Diff(shown.Params, did.command.Params); diff != "" {
					w.Errorf("shown and done differ (-shown +done)\n%s", diff)
				}
			}
			w.audit()
		})
		if t.Failed() {
			rt.Fatalf("%+q, %+q", a, b)
		}
	})
	for _, c := range definition.Channels() {
		if kinds["shortened "+string(c)] == 0 || kinds["whole "+string(c)] == 0 {
			t.Errorf("messages over %s: %v, want some of each kind", c, kinds)
		}
	}
}

// ourLines returns the lines of a message that is not shortened.
func ourLines(q approval.Approval) []string {
	const value = `(“[^“”\n]*”)?`
	link := regexp.QuoteMeta("https://console.example/approvals/" + string(q.ID))
	return []string{
		`Isolate ` + value, `of ` + value + `\?`, ``, `Decide until ` + q.Expires.UTC().Format(time.RFC3339) + `: ` + link, ``,
		`If approved:`, `- psa\.add_note \{.*\}`, `- compliance\.record_evidence \{.*\}`, `- email to .* “About[^“”\n]*”( “[^“”\n]*”)?`, ``,
		`Filled in from the event or from earlier steps: .*`,
	}
}

// counted matches our note of how much a value or a list leaves out.
var counted = regexp.MustCompile(`…” \([0-9,]+ more characters\)`)

const shortened = "This message is shortened. The link shows everything."

// speaks checks the lines of a message, and reports whether it is shortened.
func (w *world) speaks(q approval.Approval, m step.Message) bool {
	w.Helper()
	for _, text := range []string{m.Body, m.Subject, m.Markup} {
		if i := strings.IndexFunc(text, invisible); i >= 0 {
			w.Errorf("%s has an invisible character: %+q", m.Channel, text[i:min(len(text), i+8)])
		}
	}
	if n := len(utf16.Encode([]rune(m.Body))); m.Channel == definition.SMS && n > 1600 {
		w.Errorf("an SMS has %d characters", n)
	}
	lines := strings.Split(m.Body, "\n")
	short := len(lines) > 4 && lines[4] == shortened
	if short {
		lines = append(lines[:4:4], lines[5:]...)
	}
	if m.Markup != "" {
		w.holds(oneVerdict, strings.Count(m.Markup, "\n") == strings.Count(m.Body, "\n"), "the markup of %s has other lines than its text", m.Channel)
	}
	ours := ourLines(q)
	empty := strings.Join(q.Chat.Values, "") == ""
	if empty {
		ours = ours[:len(ours)-2]
	}
	for i, line := range lines { // steps at the end may be left out, with a count
		more := 0
		if _, err := fmt.Sscanf(line, "- and %d more", &more); err == nil && short && i+more <= len(ours) {
			lines = slices.Concat(lines[:i], ours[i:i+more], lines[i+1:])
			for n := range more {
				ours[i+n] = regexp.QuoteMeta(ours[i+n])
			}
			break
		}
	}
	if len(lines) != len(ours) {
		w.Errorf("%s has %d lines, want %d:\n%s", m.Channel, len(lines), len(ours), m.Body)
		return short
	}
	for i, line := range lines {
		plain := counted.ReplaceAllString(line, "”")
		if !regexp.MustCompile(`^`+ours[i]+`$`).MatchString(plain) && (!short || !strings.HasSuffix(line, "…")) {
			w.Errorf("%s: line %d is %q, want %s", m.Channel, i, line, ours[i])
		}
		if strings.Contains(line, "  ") {
			w.Errorf("%s: line %d has room for a line: %q", m.Channel, i, line)
		}
	}
	for _, of := range q.Actions { // a message that is not shortened has every parameter
		if params := dense(of.Params); !short && !strings.Contains(dense(m.Body), params) {
			w.Errorf("%s leaves out something of %.300s and does not say so:\n%s", m.Channel, params, m.Body)
		}
	}
	return short
}

// shows checks that an approval shows every parameter, and nothing that cannot be
// seen.
func (w *world) shows(q approval.Approval) {
	w.Helper()
	if len(q.Actions) != 2 || q.Actions[0].Params == nil || q.Actions[1].Params == nil {
		w.Errorf("the approval shows %+v", q.Actions)
	}
	var all strings.Builder
	e := json.NewEncoder(&all)
	e.SetEscapeHTML(false)
	for _, v := range []any{q.Message, q.Actions, q.Then} {
		w.must(e.Encode(v))
	}
	text := strings.NewReplacer(`\n`, "", `\t`, "", `\u0000`, "\x00").Replace(all.String())
	if i := strings.IndexFunc(text, invisible); i >= 0 {
		w.Errorf("the approval shows an invisible character: %+q", text[i:min(len(text), i+8)])
	}
	body, _ := q.Actions[0].Params["body"].(string)
	if strings.Contains(body, "more characters)") && !strings.Contains(q.Message, "more characters)") {
		w.Errorf("the approval shows a part of a parameter: %q", body)
	}
}

// dense returns a text, or another value as JSON, without spaces.
func dense(v any) string {
	text, isText := v.(string)
	if !isText {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return err.Error()
		}
		text = b.String()
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\u2800' {
			return -1
		}
		return r
	}, text)
}
