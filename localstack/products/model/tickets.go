package model

import (
	"regexp"
	"strings"
	"unicode"
)

// A hint has the likely values of an answer by property name. They are used where
// the schema allows them.
type hint map[string]any

// classify classifies the ticket in a prompt by its words.
func classify(prompt string) hint {
	ticket := plain(evidence(prompt))
	category, priority := category(ticket), priority(ticket)
	return hint{
		"category":       category,
		"priority":       priority,
		"required_skill": skill(category, priority),
		"urgency_notes":  urgency(priority),
		"draft_response": draft(category, priority),
		"noise":          holds(ticket, "test", "resolved", "recovered", "heartbeat", "informational"),
	}
}

func category(ticket string) string {
	switch {
	case holds(ticket, "vpn", "wifi", "wi fi", "network", "networks", "dns"):
		return "network"
	case holds(ticket, "phish*", "malware", "ransom*", "virus*", "suspicious*"):
		return "security"
	case holds(ticket, "laptop*", "printer*", "screen*", "disk*"):
		return "hardware"
	case holds(ticket, "install*", "crash*", "outlook", "excel", "update", "updates", "updating"):
		return "software"
	case holds(ticket, "password*", "login*", "log in", "locked", "mfa", "access"):
		return "user_access"
	}
	return "general"
}

func priority(ticket string) string {
	switch {
	case holds(ticket, "urgent*", "down", "outage*", "ransomware", "all users"):
		return "p1"
	case holds(ticket, "cannot work", "can t work", "broken", "failed"):
		return "p2"
	case holds(ticket, "question*", "how do", "when"):
		return "p4"
	}
	return "p3"
}

func skill(category, priority string) string {
	switch {
	case priority == "p1":
		return "senior"
	case category == "network", category == "security":
		return category
	}
	return "general"
}

func urgency(priority string) string {
	switch priority {
	case "p1":
		return "Business is interrupted; a technician should act at once."
	case "p2":
		return "Work is blocked for the reporter."
	case "p4":
		return "A question; it can wait for a quiet moment."
	}
	return "No special urgency."
}

func draft(category, priority string) string {
	about := strings.ReplaceAll(category, "_", " ")
	if category == "general" {
		about = "support"
	}
	next := "A technician will contact you soon."
	if priority == "p1" {
		next = "A senior technician is looking at it now and will contact you shortly."
	}
	return "Thank you for letting us know. We have taken this up as a " + about + " request. " + next
}

// inWords returns the answer to a question without a schema.
func inWords(prompt string) string {
	ticket := plain(evidence(prompt))
	return "In short: this looks like a " + strings.ReplaceAll(category(ticket), "_", " ") +
		" matter of priority " + priority(ticket) + ". " + urgency(priority(ticket))
}

// holds reports whether a plain text contains one of the phrases. Phrases match
// whole words; a star at the end matches any ending of the last word.
func holds(text string, phrases ...string) bool {
	for _, p := range phrases {
		start, open := strings.CutSuffix(p, "*")
		if !open {
			start += " "
		}
		if strings.Contains(text, " "+start) {
			return true
		}
	}
	return false
}

// plain returns the words of a text in lower case, each between spaces.
func plain(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return " " + strings.Join(words, " ") + " "
}

// evidence returns the part of a prompt that describes the ticket: the contents of
// tags, or without tags the whole prompt, less the names of JSON fields and lists
// of possible answers.
func evidence(prompt string) string {
	if inside := tagged(prompt); inside != "" {
		prompt = inside
	}
	field := regexp.MustCompile(`"\w+"\s*:`)
	choices := regexp.MustCompile("(?i)\\b(network|security|hardware|software|user_access|senior)\\b([\\s,/|\"'`]|\\bor\\b)+" +
		"((network|security|hardware|software|user_access|general|senior)\\b([\\s,/|\"'`]|\\bor\\b)*)+")
	return choices.ReplaceAllString(field.ReplaceAllString(prompt, " "), " ")
}

// tagged returns the contents of every outermost tag.
func tagged(text string) string {
	tag := regexp.MustCompile(`<([A-Za-z][\w-]*)[^<>]*>`)
	var inside []string
	for {
		at := tag.FindStringSubmatchIndex(text)
		if at == nil {
			return strings.Join(inside, "\n")
		}
		name, rest := text[at[2]:at[3]], text[at[1]:]
		content, after, closed := strings.Cut(rest, "</"+name+">")
		if closed {
			inside = append(inside, content)
			rest = after
		}
		text = rest
	}
}
