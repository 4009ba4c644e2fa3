package audit

import (
	"regexp"
	"strings"
)

// names matches ids and words that may belong to an organization.
var names = regexp.MustCompile(`(?:org|exec|agent|appr|evt|word)_[A-Za-z0-9]+`)

// apart checks that no page, call or log line of one organization contains a name
// of another.
func (a *auditor) apart() {
	owners := a.owners()
	foreign := func(org, text string) (name, owner string) {
		for _, name := range names.FindAllString(text, -1) {
			if owner := owners[name]; owner != "" && owner != org {
				return name, owner
			}
		}
		return "", ""
	}
	for _, o := range a.Orgs {
		for _, p := range o.Pages {
			if name, owner := foreign(o.Name, p.Text); name != "" {
				a.note(OrgsApart, o.Name, "", "GET %s names %s of %s", p.Path, name, owner)
			}
		}
		for _, t := range o.Trespasses {
			if t.Code != 404 {
				a.note(OrgsApart, o.Name, "", "%s, of another organization, was answered with %d instead of 404", t.Path, t.Code)
			}
		}
	}
	for _, c := range a.Calls {
		if name, owner := foreign(c.Org, string(c.Params)+string(c.Body)+c.Key); name != "" {
			a.note(OrgsApart, c.Org, "", "%s %s names %s of %s", c.Kind, c.Action, name, owner)
		}
	}
	for _, l := range a.Lines {
		first := ""
		for _, name := range names.FindAllString(withoutRequested(l.Text), -1) {
			switch owner := owners[name]; {
			case owner == "":
			case first == "":
				first = owner
			case owner != first:
				a.note(OrgsApart, first, "", "a log line of %s also names %s of %s: %.300s", l.Function, name, owner, l.Text)
			}
		}
	}
}

// owners returns the organization of each name.
func (a *auditor) owners() map[string]string {
	owners := map[string]string{}
	for _, o := range a.Orgs {
		owners[o.Name], owners[o.Word] = o.Name, o.Name
		for _, r := range o.Runs {
			owners[r.ID] = o.Name
		}
		for _, p := range o.Approvals {
			owners[p.ID] = o.Name
		}
		for _, g := range o.Agents {
			owners[g.ID] = o.Name
		}
	}
	for _, o := range a.Orgs { // system agents, which all organizations have, belong to none
		for _, g := range o.Agents {
			if owners[g.ID] != o.Name {
				delete(owners, g.ID)
			}
		}
	}
	for _, p := range a.Published {
		if p.Reason == "" {
			owners[p.ID] = p.Org
		}
	}
	return owners
}

// requested is the id that a caller asked for, in the log line of the request.
var requested = regexp.MustCompile(`"object_id":"[^"]*"`)

// withoutRequested returns a log line without the id that its caller asked for and
// did not find: such an id comes from the caller and shows nothing of its owner.
func withoutRequested(line string) string {
	if !strings.Contains(line, `"msg":"request"`) || !strings.Contains(line, `"status":404`) {
		return line
	}
	return requested.ReplaceAllString(line, "")
}
