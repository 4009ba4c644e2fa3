package docs

import (
	"errors"
	"fmt"
	"strings"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// guideOrder returns the guides in the order in which they are read. The first is the
// first page.
func guideOrder() []string {
	return []string{
		"index", "first-agent", "definitions", "templates", "operators", "approvals", "before-and-after",
		"roles", "limits", "webhooks", "catalogue", "local-development",
	}
}

// guides makes the pages of the guides.
func (s *site) guides() error {
	for _, name := range guideOrder() {
		source, err := sources.ReadFile("guides/" + name + ".md")
		if err != nil {
			return err
		}
		whole, err := s.filled(string(source))
		if err != nil {
			return fmt.Errorf("guide %s: %w", name, err)
		}
		p := page{Name: name}
		if p.content, p.Sections, p.entries, err = s.text.guide(name, []byte(whole)); err != nil {
			return fmt.Errorf("guide %s: %w", name, err)
		}
		if len(p.entries) == 0 {
			return fmt.Errorf("guide %s has no heading", name)
		}
		p.Title = p.entries[0].Title
		p.About, _, _ = strings.Cut(strings.TrimSpace(p.entries[0].Text), ". ")
		s.pages = append(s.pages, p)
	}
	return nil
}

// filled returns a guide with its tables, and with the faults of the definitions that it
// shows as refused.
func (s *site) filled(source string) (string, error) {
	var out, refused []string
	inside := false // a definition that is refused
	for line := range strings.SplitSeq(source, "\n") {
		switch name, isTable := strings.CutPrefix(line, "@table "); {
		case isTable:
			text, err := s.table(name)
			if err != nil {
				return "", err
			}
			line = text
		case line == "```json refused":
			inside, refused = true, nil
			line = "```json"
		case line == "```text faults":
			faults, err := s.faults(strings.Join(refused, "\n"))
			if err != nil {
				return "", err
			}
			line += "\n" + faults
		case inside && line == "```":
			inside = false
		case inside:
			refused = append(refused, line)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n"), nil
}

func (s *site) table(name string) (string, error) {
	table, ok := s.tables()[name]
	if !ok {
		return "", fmt.Errorf("there is no table %q", name)
	}
	text, err := table()
	if err != nil {
		return "", fmt.Errorf("table %s: %w", name, err)
	}
	return text, nil
}

// faults returns what the API says about a definition, which must have faults: a line
// for each.
func (s *site) faults(text string) (string, error) {
	doc, err := jsonvalue.Object([]byte(text))
	if err != nil {
		return "", fmt.Errorf("a refused definition: %w", err)
	}
	_, err = definition.Rules{Catalog: s.catalog}.Parse(doc)
	if err == nil {
		return "", errors.New("a definition that is shown as refused is valid")
	}
	var lines []string
	for _, d := range fault.From(err).Details {
		lines = append(lines, d.Path+": "+d.Message)
	}
	return strings.Join(lines, "\n"), nil
}
