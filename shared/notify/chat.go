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

// The bounds of Slack, in characters: of a message's text, a header block, and a
// section (docs.slack.dev, Block Kit). Of all blocks together Slack takes about
// 13,000, which it says nowhere (slackapi/bolt-js#2509).
const (
	slackText     = 40_000
	slackHeader   = 150
	slackSection  = 3000
	slackSections = 4
)

// slack returns a message for an incoming webhook of Slack: the subject as a
// header and the body as sections of mrkdwn. The text is what notifications and
// screen readers show of it. Sections are verbatim: only what is written as
// <…> is a link or a mention, and values never are.
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

// The bounds of a card of Teams, in bytes of JSON. Teams takes messages of about
// 28 KB; others have seen larger ones than 21 KB refused (msteams_hermes).
const (
	teamsTitle = 1000
	teamsBody  = 18_000
)

// teams returns a message for a Workflows webhook of Teams ("When a Teams
// webhook request is received"): one Adaptive Card.
func teams(m step.Message) map[string]any {
	blocks := []any{}
	if title := oneLine(m.Subject); !blank(title) {
		blocks = append(blocks, map[string]any{
			"type": "TextBlock", "text": fit(render.Markdown(title), teamsTitle, jsonBytes), "wrap": true,
			"weight": "Bolder", "size": "Medium",
		})
	}
	// In Markdown a single line break is a blank.
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

// refuses reports whether a chat's answer of a status from 200 to 299 says that
// the message was not taken. Slack says "ok", a connector of Teams says "1", and
// Workflows of Teams answer 202 or with JSON; any other text is an error.
func refuses(c definition.Channel, status int, answer []byte) bool {
	text := strings.TrimSpace(string(answer))
	if text == "" || status == http.StatusAccepted || status == http.StatusNoContent {
		return false
	}
	switch v, _ := jsonvalue.Decode([]byte(text)); v := v.(type) {
	case map[string]any:
		return v["ok"] == false || v["success"] == false || said(v["error"])
	case string:
		text = v
	case int64, bool:
		return c == definition.Slack || text != "1" && text != "true"
	}
	return !strings.EqualFold(text, "ok")
}

// said reports whether the field error of an answer names one.
func said(v any) bool { return v != nil && v != false && v != "" }

// throttled is how Teams says in a text that it takes no more for now
// (learn.microsoft.com, "Rate limiting for connectors").
var throttled = regexp.MustCompile(`(?i)HTTP error 429\b`)

// throttles reports whether a refusal may pass.
func throttles(answer []byte) bool { return throttled.Match(answer) }
