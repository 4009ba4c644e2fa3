package docs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/render"
)

// tables returns the tables of guides by name. A table fails when a row of the code has
// no explanation here.
func (s *site) tables() map[string]func() (string, error) {
	return map[string]func() (string, error){
		"operators": operatorTable,
		"filters":   func() (string, error) { return filterTable(), nil },
		"roles":     func() (string, error) { return s.roleTable(), nil },
		"plans":     func() (string, error) { return planTable(), nil },
		"quotas":    func() (string, error) { return quotaTable(), nil },
		"tiers":     func() (string, error) { return tierTable(), nil },
		"bounds":    func() (string, error) { return boundTable(), nil },
		"steps":     s.stepTable,
		"outcomes":  func() (string, error) { return s.description("Outcome") },
		"failures":  func() (string, error) { return s.description("Failure.code") },
		"paths":     s.pathTable,
		"events":    func() (string, error) { return s.eventTables(), nil },
		"actions":   func() (string, error) { return s.actionTables(), nil },
	}
}

// rows returns a table of Markdown.
func rows(head []string, body ...[]string) string {
	var out strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			out.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(c) + " ")
		}
		out.WriteString("|\n")
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, cells := range body {
		line(cells)
	}
	return out.String()
}

// code returns a text as code of Markdown.
func code(text string) string {
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

// number returns a number with commas between thousands.
func number[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// An explained operator has the words of its row and an example, which the tests judge.
type explained struct {
	takes, holds, missing string
	want, yes, no         string // JSON: a wanted value, and found ones that hold and do not
}

// operators explains every operator.
func operators() map[condition.Operator]explained {
	const scalar, list = "a string, a number, a boolean or null", "a list of such values"
	return map[condition.Operator]explained{
		condition.Eq:         {scalar, "equals the value", "does not hold", `"p1"`, `"p1"`, `"P1"`},
		condition.Ne:         {scalar, "does not equal the value", "holds", `"p1"`, `"p2"`, `"p1"`},
		condition.Gt:         {"a number", "is a number greater than the value", "does not hold", `80`, `80.5`, `80`},
		condition.Gte:        {"a number", "is a number greater than the value, or equal to it", "does not hold", `80`, `80`, `"80"`},
		condition.Lt:         {"a number", "is a number less than the value", "does not hold", `0.5`, `0.25`, `0.5`},
		condition.Lte:        {"a number", "is a number less than the value, or equal to it", "does not hold", `0.5`, `0.5`, `null`},
		condition.Contains:   {"a string", "is a string that contains the value", "does not hold", `"VPN"`, `"VPN drops"`, `"vpn drops"`},
		condition.StartsWith: {"a string", "is a string that begins with the value", "does not hold", `"SRV-"`, `"SRV-SQL-02"`, `"WS-SRV-1"`},
		condition.EndsWith:   {"a string", "is a string that ends with the value", "does not hold", `"@acme.example"`, `"jane@acme.example"`, `"@acme.example.org"`},
		condition.In:         {list, "equals one of the values", "does not hold", `["p1", "p2"]`, `"p2"`, `"p3"`},
		condition.NotIn:      {list, "equals none of the values", "holds", `["p3", "p4"]`, `"p1"`, `"p4"`},
		condition.Exists:     {"`true` or `false`", "is there (`true`), or is not there (`false`); a field that is null is there", "holds for `false`", `true`, `null`, ``},
	}
}

func operatorTable() (string, error) {
	all := operators()
	var body [][]string
	for _, o := range condition.Operators() {
		e, ok := all[o]
		if !ok {
			return "", fmt.Errorf("the operator %s has no explanation", o)
		}
		no := "a missing field"
		if e.no != "" {
			no = code(e.no)
		}
		body = append(body, []string{code(string(o)), e.takes, e.holds, e.missing, code(e.want), code(e.yes), no})
	}
	return rows([]string{"operator", "takes", "holds when the field", "a missing field", "example value", "holds for", "not for"}, body...), nil
}

func filterTable() string {
	var body [][]string
	for _, f := range render.Filters() {
		shown := strings.NewReplacer("\n", "↵")
		does := strings.NewReplacer("<br />", "`<br />`", "& < >", "`& < >`").Replace(f.Does)
		body = append(body, []string{code(f.Usage()), does, code(shown.Replace(f.Example)), code(shown.Replace(f.Shows))})
	}
	return rows([]string{"filter", "effect", "example", "result"}, body...)
}

// roleTable has a row for each operation of the contract that needs a caller.
func (s *site) roleTable() string {
	var body [][]string
	for _, g := range s.contract.Groups {
		for _, o := range g.Operations {
			if len(o.Who.Roles) == 0 {
				continue
			}
			cells := []string{fmt.Sprintf("[%s](%s.md#%s)", o.Summary, groupPage(g.Name), o.ID)}
			for _, role := range []caller.Role{caller.Owner, caller.Admin, caller.Member, caller.Viewer} {
				cells = append(cells, yes(slices.Contains(o.Who.Roles, string(role))))
			}
			for _, access := range []caller.Access{caller.Read, caller.ReadWrite} {
				cells = append(cells, yes(slices.Contains(o.Who.Keys, string(access))))
			}
			body = append(body, cells)
		}
	}
	return rows([]string{"operation", "owner", "admin", "member", "viewer", "key `read`", "key `read_write`"}, body...)
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "–"
}

func plans() []credit.Plan { return []credit.Plan{credit.Starter, credit.Growth, credit.Scale} }

func planTable() string {
	var body [][]string
	for _, p := range plans() {
		agents := "unlimited"
		if n, limited := p.ActiveAgents(); limited {
			agents = number(n)
		}
		body = append(body, []string{code(string(p)), number(p.Allocation()), agents})
	}
	return rows([]string{"plan", "credits a month", "active agents"}, body...)
}

// A quotaRow explains one quota.
type quotaRow struct {
	name  quota.Name
	words string
	of    func(quota.Limits) int
}

func quotaRows() []quotaRow {
	return []quotaRow{
		{quota.RunsPerMinute, "runs that start in one calendar minute", func(l quota.Limits) int { return l.RunsPerMinute }},
		{quota.RunsPerRootEvent, "runs that one event starts, directly and through the events that its runs cause", func(l quota.Limits) int { return l.RunsPerRootEvent }},
		{quota.OpenRuns, "runs that have not ended", func(l quota.Limits) int { return l.OpenRuns }},
		{quota.SMSPerDay, "text messages on one day", func(l quota.Limits) int { return l.SMSPerDay }},
		{quota.EmailsPerDay, "e-mails on one day", func(l quota.Limits) int { return l.EmailsPerDay }},
		{quota.ChatsPerDay, "messages to Slack, Teams and webhooks together on one day", func(l quota.Limits) int { return l.ChatsPerDay }},
		{quota.LiveTestsPerDay, "test runs with live models on one day", func(l quota.Limits) int { return l.LiveTestsPerDay }},
	}
}

func quotaTable() string {
	head := []string{"quota", "counts"}
	for _, p := range plans() {
		head = append(head, code(string(p)))
	}
	var body [][]string
	for _, q := range quotaRows() {
		cells := []string{code(string(q.name)), q.words}
		for _, p := range plans() {
			cells = append(cells, number(q.of(quota.Of(p))))
		}
		body = append(body, cells)
	}
	return rows(head, body...)
}

func tierTable() string {
	var body [][]string
	for _, t := range credit.Tiers() {
		body = append(body, []string{code(string(t)), number(t.Price()), number(t.MaxTokens()), number(t.MaxInput())})
	}
	return rows([]string{"`model`", "credits for an answer", "tokens, about", "bytes of prompt and values"}, body...)
}

func boundTable() string {
	var body [][]string
	for _, b := range []struct {
		what string
		most int
		unit string
	}{
		{"name of an agent", definition.MaxName, "characters"},
		{"description of an agent", definition.MaxDescription, "characters"},
		{"steps of an agent, those in branches included", definition.MaxSteps, ""},
		{"depth of steps; a step outside of every branch has depth 1", definition.MaxDepth, ""},
		{"filters of a trigger", definition.MaxFilters, ""},
		{"cases of a branch", definition.MaxCases, ""},
		{"recipients of a message", definition.MaxRecipients, ""},
		{"prompt, message or body as written", definition.MaxText, "characters"},
		{"text with its placeholders filled", render.MaxOutput, "bytes"},
		{"wait, or time for a decision", definition.MaxWait, "seconds (one year)"},
	} {
		body = append(body, []string{b.what, strings.TrimSpace(number(b.most) + " " + b.unit)})
	}
	return rows([]string{"of", "at most"}, body...)
}

// stepTable has a row for each kind of step, with the first sentence of its schema.
func (s *site) stepTable() (string, error) {
	var body [][]string
	for _, kind := range definition.Kinds() {
		sc, ok := s.schemaOf(string(kind))
		if !ok {
			return "", fmt.Errorf("no schema of the contract is the step %s", kind)
		}
		first, _, _ := strings.Cut(sc.Description, ". ")
		var fields []string
		for _, f := range kind.Fields() {
			fields = append(fields, code(f))
		}
		body = append(body, []string{fmt.Sprintf("[`%s`](%s.md#%s)", kind, schemas, sc.Name), strings.TrimSuffix(first, ".") + ".", strings.Join(fields, ", ")})
	}
	return rows([]string{"`type`", "what it is", "its own fields"}, body...), nil
}

// schemaOf returns the schema whose field type is always this kind of step.
func (s *site) schemaOf(kind string) (schema, bool) {
	at := slices.IndexFunc(s.contract.Schemas, func(sc schema) bool {
		return slices.ContainsFunc(sc.Properties, func(p property) bool {
			return p.Name == "type" && len(p.Type) == 1 && p.Type[0].Text == kind
		})
	})
	if at < 0 {
		return schema{}, false
	}
	return s.contract.Schemas[at], true
}

// description returns the description of a schema, or of a property: "Failure.code".
func (s *site) description(name string) (string, error) {
	name, field, _ := strings.Cut(name, ".")
	for _, sc := range s.contract.Schemas {
		if sc.Name != name {
			continue
		}
		if field == "" {
			return sc.Description, nil
		}
		for _, p := range sc.Properties {
			if p.Name == field {
				return p.Description, nil
			}
		}
	}
	return "", fmt.Errorf("the contract has no schema %s with a property %q", name, field)
}

// pathTable returns the table of paths in the description of steps.
func (s *site) pathTable() (string, error) {
	text, err := s.description("Step")
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(text, "| root |")
	table, _, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		return "", errors.New("the schema Step has no table of paths")
	}
	return "| root |" + table + "\n", nil
}

// nameOf returns the name of a product for people. The short ones are abbreviations.
func nameOf(product string) string {
	if len(product) <= len("psa") {
		return strings.ToUpper(product)
	}
	return title(product)
}

// title returns a word as it begins a title.
func title(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func (s *site) eventTables() string {
	var out strings.Builder
	for _, product := range s.catalog.EventProducts() {
		var body [][]string
		for _, e := range s.catalog.Events() {
			if e.Product != product {
				continue
			}
			var fields []string
			for _, f := range e.Filterable {
				fields = append(fields, field(f.Path, f.Type, f.EnumValues))
			}
			body = append(body, []string{code(e.Name()), e.Description, strings.Join(fields, ", ")})
		}
		fmt.Fprintf(&out, "### Events of %s\n\n%s\n", nameOf(product), rows([]string{"event", "when", "filterable fields"}, body...))
	}
	return out.String()
}

func field(name string, kind catalog.FieldType, values []string) string {
	if kind == catalog.Enum {
		return code(name) + " (" + strings.Join(values, ", ") + ")"
	}
	return code(name) + " (" + string(kind) + ")"
}

func (s *site) actionTables() string {
	var out strings.Builder
	for _, product := range s.catalog.ActionProducts() {
		var body [][]string
		for _, a := range s.catalog.Actions() {
			if a.Product != product {
				continue
			}
			var params []string
			for _, p := range a.Params {
				text := code(p.Name)
				if p.Required {
					text += "\\*"
				}
				params = append(params, text)
			}
			body = append(body, []string{code(a.Name()), a.Description, riskWords(a.Risk), strings.Join(params, ", ")})
		}
		fmt.Fprintf(&out, "### Actions of %s\n\n%s\n", nameOf(product), rows([]string{"action", "what it does", "risk", "parameters"}, body...))
	}
	return out.String()
}

// riskWords returns the risk of an action: one, or one for each value that decides it.
func riskWords(r catalog.RiskRule) string {
	if r.Param == "" {
		return string(r.Else)
	}
	var all []string
	for _, value := range slices.Sorted(maps.Keys(r.Values)) {
		all = append(all, fmt.Sprintf("%s when `%s` is %s", r.Values[value], r.Param, value))
	}
	return strings.Join(append(all, "otherwise "+string(r.Else)), ", ")
}
