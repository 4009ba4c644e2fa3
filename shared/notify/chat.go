package notify

import (
	"cmp"
	"net/http"
	"regexp"
	"strings"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// Slack's limits in characters: a message's text, a header block and a section
// (docs.slack.dev, Block Kit). All blocks together may have about 13,000, which
// Slack does not document (slackapi/bolt-js#2509).
const (
	slackText     = 40_000
	slackHeader   = 150
	slackSection  = 3000
	slackSections = 4
)

// slack returns a message for a Slack incoming webhook: the subject as a header
// and the body as mrkdwn sections. Notifications and screen readers show the
// text. Sections are verbatim: only <…> is a link or a mention, and values
// never contain it.
func slack(m step.Message) map[string]any {
	title := oneLine(m.Subject)
	body := cmp.Or(m.Markup, render.Slack(m.Body))
	var blocks []any
	if !blank(title) {
		blocks = append(blocks, map[string]any{
			"type": "header", "text": map[string]any{"type": "plain_text", "text": fit(title, slackHeader, units)},
		})
	}
	for _, text := range shown(split(body, slackSections, slackSection, units)) {
		blocks = append(blocks, map[string]any{
			"type": "section", "text": map[string]any{"type": "mrkdwn", "text": text, "verbatim": true},
		})
	}
	text := body
	if !blank(title) {
		text = render.Slack(title) + "\n" + body
	}
	message := map[string]any{"text": fit(text, slackText, units)}
	if len(blocks) > 0 {
		message["blocks"] = blocks
	}
	return message
}

// Limits of a Teams card, in bytes of JSON. Teams accepts messages of about 28
// KB; cards above 21 KB were reported as refused (msteams_hermes).
const (
	teamsTitle = 1000
	teamsBody  = 18_000
)

// teams returns one Adaptive Card for a Teams Workflows webhook ("When a Teams
// webhook request is received").
func teams(m step.Message) map[string]any {
	blocks := []any{}
	if title := oneLine(m.Subject); !blank(title) {
		blocks = append(blocks, map[string]any{
			"type": "TextBlock", "text": fit(render.Markdown(title), teamsTitle, jsonBytes), "wrap": true,
			"weight": "Bolder", "size": "Medium",
		})
	}
	// In Markdown a single line break is a space.
	body := strings.Join(lines(cmp.Or(m.Markup, render.Markdown(m.Body))), "\n\n")
	if !blank(body) {
		blocks = append(blocks, map[string]any{"type": "TextBlock", "text": fit(body, teamsBody, jsonBytes), "wrap": true})
	}
	return map[string]any{"type": "message", "attachments": []any{map[string]any{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"contentUrl":  nil,
		"content": map[string]any{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
			"type":    "AdaptiveCard", "version": "1.4", "body": blocks,
		},
	}}}
}

// refuses reports whether a chat's answer with a status from 200 to 299 refuses
// the message. Slack answers "ok", a Teams connector "1", and Teams Workflows
// 202 or JSON; any other text is an error.
func refuses(c definition.Channel, status int, answer []byte) bool {
	text := strings.TrimSpace(string(answer))
	if text == "" || status == http.StatusAccepted || status == http.StatusNoContent {
		return false
	}
	switch v, _ := jsonvalue.Decode([]byte(text)); v := v.(type) {
	case map[string]any:
		return v["ok"] == false || v["success"] == false || hasError(v["error"])
	case string:
		text = v
	case int64, bool:
		return c == definition.Slack || text != "1" && text != "true"
	}
	return !strings.EqualFold(text, "ok")
}

// hasError reports whether the field error of an answer holds an error.
func hasError(v any) bool { return v != nil && v != false && v != "" }

// throttled matches the text with which Teams reports rate limiting
// (learn.microsoft.com, "Rate limiting for connectors").
var throttled = regexp.MustCompile(`(?i)HTTP error 429\b`)

// throttles reports whether a refusal is temporary.
func throttles(answer []byte) bool { return throttled.Match(answer) }
