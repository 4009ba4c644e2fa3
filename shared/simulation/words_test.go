package simulation_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	broken "theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// spoken marks the words of a model. Models answer with it, and a product repeats
// it when a parameter has it, so the auditor sees wherever the words go without
// reading a definition.
const spoken = "a model's words"

// speaks reports whether a value has the words of a model in it.
func speaks(v any) bool {
	text, err := json.Marshal(v)
	return err != nil || strings.Contains(string(text), spoken)
}

// A danger is what a file of the catalogue says about an action.
type danger struct {
	Risk   any `json:"risk"`
	Params []struct {
		Name string `json:"name"`
		Role string `json:"role"`
	} `json:"params"`
	Sample map[string]any `json:"sample_params"`
}

// dangers reads the files of all actions, without package catalog.
var dangers = sync.OnceValue(func() map[string]danger {
	all := map[string]danger{}
	files, err := fs.Glob(events.Files, "*/actions/*.json")
	if err != nil {
		panic(err)
	}
	for _, name := range files {
		data, err := fs.ReadFile(events.Files, name)
		if err != nil {
			panic(err)
		}
		var d danger
		if err := json.Unmarshal(data, &d); err != nil {
			panic(err)
		}
		parts := strings.Split(name, "/")
		all[parts[0]+":"+strings.TrimSuffix(parts[2], ".json")] = d
	}
	return all
})

// risk returns the risk of the action with the parameters that a product received.
func (d danger) risk(params map[string]any) string {
	rule, depends := d.Risk.(map[string]any)
	if !depends {
		return fmt.Sprint(d.Risk)
	}
	values, _ := rule["values"].(map[string]any)
	name, _ := rule["param"].(string)
	if v, listed := values[fmt.Sprint(params[name])]; listed {
		return fmt.Sprint(v)
	}
	return fmt.Sprint(rule["else"])
}

// mustBeSeen says why people must have seen the command before it is performed, or
// "".
func mustBeSeen(c step.Command) string {
	d := dangers()[c.Product+":"+c.Action]
	risk := d.risk(c.Params)
	if risk == "destructive" {
		return "it is destructive"
	}
	for _, p := range d.Params {
		switch {
		case !speaks(c.Params[p.Name]):
		case p.Role != "content":
			return "a model chose its " + p.Role + " " + p.Name
		case risk != "internal":
			return "a model wrote its " + p.Name + ", and its risk is " + risk
		}
	}
	return ""
}

// escaped returns the effects that a model's or an event's words should not have
// had, and the number of effects with such words.
func (w *world) escaped() (found []string, seen int) {
	w.Helper()
	approved := map[string]approval.Action{}
	for _, a := range w.questions() {
		if a.Status == approval.Approved && a.DecidedBy != "" {
			for _, action := range a.Actions {
				approved[string(a.Execution)+":"+string(action.Step)] = action
			}
		}
	}
	for _, c := range w.products.calls {
		if c.Org != w.org {
			continue
		}
		if speaks(c.Params) {
			seen++
		}
		why := mustBeSeen(c)
		was, asked := approved[c.Key]
		switch {
		case why == "" || w.published(c):
		case !asked:
			found = append(found, fmt.Sprintf("%s: %s.%s %v was not approved: %s", c.Key, c.Product, c.Action, c.Params, why))
		case !reflect.DeepEqual(was.Params, c.Params) || was.Product != c.Product || was.Action != c.Action:
			found = append(found, fmt.Sprintf("%s: %s.%s %v was approved as %+v", c.Key, c.Product, c.Action, c.Params, was))
		}
	}
	for _, m := range w.senders.list {
		if m.Org != w.org {
			continue
		}
		if speaks(m.Body) {
			seen++
		}
		if speaks(m.Recipient) {
			found = append(found, "a model chose the recipient "+m.Recipient)
		}
		if u, err := url.Parse(m.Recipient); err == nil && u.Host != "" && !w.writes(m.Execution, u.Scheme+"://"+u.Host+"/") {
			found = append(found, "an event chose the host of "+m.Recipient)
		}
	}
	return found, seen
}

// published reports whether a command is the public note of Dispatch, which has no
// link.
func (w *world) published(c step.Command) bool {
	x, _ := w.stored(c.Execution)
	return x.Agent == "agent_system_dispatch" && c.Step == "add_draft" && c.Action == "add_note" && !strings.Contains(fmt.Sprint(c.Params["body"]), "://")
}

// writes reports whether the definition of a run has a text that begins a URL.
func (w *world) writes(x id.Execution, origin string) bool {
	w.Helper()
	run, _ := w.stored(x)
	d, err := agent.Definitions{System: systemAgents(), Versions: w.store.Store}.Version(w.over, run.Org, run.Agent, run.Version)
	w.must(err)
	text, err := json.Marshal(d)
	w.must(err)
	return strings.Contains(string(text)+`/"`, `"`+origin) || strings.Contains(string(text), `"`+strings.TrimSuffix(origin, "/")+`"`)
}

func (w *world) auditWords() {
	w.Helper()
	found, seen := w.escaped()
	for range seen {
		w.holds(contained, true, "")
	}
	for _, f := range found {
		w.holds(contained, false, "%s", f)
	}
}

// choose changes a setting of the organization.
func (w *world) choose(p tenant.Policy, c tenant.Choice) {
	w.Helper()
	s := &tenant.SettingsService{Store: w.store.Store, Now: time.Now}
	_, err := s.Update(w.over, w.owner(), tenant.SettingsPatch{Policies: map[tenant.Policy]tenant.Choice{p: c}})
	w.must(err)
}

// Dispatch adds its note for the readers that the organization chose when the run
// started. A retry is a start too.
func TestTheNoteOfDispatchHasTheReadersThatTheOrganizationChose(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.model.reply = func(step.Question, int) said {
			return said{text: `{"priority": "p1", "category": "network", "required_skill": "network", "urgency_notes": "", "draft_response": "` + spoken + `"}`}
		}
		runs := func() id.Execution {
			e := w.event("psa:ticket.created", map[string]any{"ticket_id": w.name("tkt_")})
			w.must(w.dispatcher.Dispatch(w.over, e))
			w.pass(time.Minute)
			return execution.ID(w.org, "agent_system_dispatch", e)
		}
		readers := func(x id.Execution, want string) {
			did, _ := w.products.did(x, "add_draft")
			if got := did.command.Params["visibility"]; got != want || did.command.Params["body"] != spoken {
				t.Errorf("the note is %v, want %s", did.command.Params, want)
			}
		}
		readers(runs(), "public")
		w.choose(tenant.DispatchNotes, tenant.Internal)
		readers(runs(), "internal")
		w.choose(tenant.DispatchNotes, tenant.Public)
		w.products.refuses("add_draft", step.ErrProduct)
		failed := runs()
		w.choose(tenant.DispatchNotes, tenant.Internal)
		w.products.refuses("add_draft", nil)
		again, _, err := w.executions.Retry(w.over, w.owner(), failed)
		w.must(err)
		w.pass(time.Minute)
		readers(again.ID, "internal")
		w.choose(tenant.DispatchNotes, "")
		readers(runs(), "public")
		w.audit()
	})
}

// ---- random definitions ----

// A writer writes random definitions whose actions use words of models, of events
// and of products.
type writer struct {
	dice     *rand.Rand
	careless bool // without a look at roles and risks
	n        int
	values   []string // placeholders of what earlier steps say
}

func (o *writer) pick(of ...string) string { return of[o.dice.IntN(len(of))] }

func (o *writer) name() string {
	o.n++
	return fmt.Sprintf("s%d", o.n)
}

// value returns a text with a placeholder.
func (o *writer) value() string {
	of := o.pick(append(slices.Clone(o.values), "event_payload.ticket_id", "event.id")...)
	if recent := o.values[max(len(o.values)-4, 0):]; len(recent) > 0 && o.dice.IntN(3) > 0 {
		of = o.pick(recent...)
	}
	return o.pick("{{ "+of+" }}", "{{ "+of+" | default: 'x' }}", "x {{ "+of+" | append: '!' }}", "{{ event.id | append: "+of+" }}", "{{ event_payload.gone | default: "+of+" }}")
}

func (o *writer) steps(depth int) []string {
	var out []string
	for range 1 + o.dice.IntN(4) {
		out = append(out, o.step(depth)...)
	}
	return out
}

func (o *writer) step(depth int) []string {
	name := o.name()
	ofStep := "steps." + name + ".output"
	switch k := o.dice.IntN(14); {
	case k < 3:
		o.values = append(o.values, ofStep+".text", "v_"+name+".text")
		return []string{think(name, `"output_var": "v_`+name+`"`)}
	case k < 6:
		how := []string{
			"", "", `"if": ` + urgent, `"on_expiry": "approve"`, `"on_error": "continue"`,
			`"on_expiry": "escalate", "escalate_to": {"roles": ["member"], "timeout_seconds": 600}`,
		}[o.dice.IntN(6)]
		o.values = append(o.values, ofStep+".note")
		more := []string{`"timeout_seconds": 600`}
		if how != "" {
			more = append(more, how)
		}
		return []string{`{"id": "` + name + `", "type": "approval_gate", "message": ` + quote("May I? "+o.value()) + fields(more) + `}`}
	case k < 7:
		return []string{`{"id": "` + name + `", "type": "notification", "channel": "webhook", "recipients": [` +
			quote(o.pick("https://hooks.example/x", "https://hooks.example/{{ event.id }}", "https://{{ event.id }}.example/", "{{ event_payload.url }}", "https://hooks.example/"+o.value())) +
			`], "body": ` + quote(o.value()) + `, "on_error": "continue"}`}
	case k < 8 && depth < 3:
		before := slices.Clip(o.values)
		yes := o.steps(depth + 1)
		o.values = before
		no := o.steps(depth + 1)
		o.values = before
		return []string{when(name, o.pick(urgent, calm), list(yes...), list(no...))}
	}
	o.values = append(o.values, ofStep+".ref", "steps."+name+".output | json")
	all := make([]string, 0, len(dangers()))
	for action := range dangers() {
		all = append(all, action)
	}
	slices.Sort(all)
	action := o.pick(all...)
	d := dangers()[action]
	params := map[string]any{}
	for _, p := range d.Params {
		sample, has := d.Sample[p.Name]
		if !has {
			continue
		}
		params[p.Name] = sample
		if _, isText := sample.(string); isText && o.dice.IntN(3) > 0 && (o.careless || p.Role == "content") {
			params[p.Name] = o.value()
		}
	}
	if _, has := params["visibility"]; has {
		params["visibility"] = o.pick("public", "internal")
	}
	product, kind, _ := strings.Cut(action, ":")
	text, err := json.Marshal(map[string]any{"id": name, "type": "product_action", "product": product, "action": kind, "params": params, "on_error": "continue"})
	if err != nil {
		panic(err)
	}
	return []string{string(text)}
}

func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// written returns a definition's document.
func (o *writer) written() string {
	return `{"name": "An agent", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated"}, "steps": ` + list(o.steps(1)...) + `}`
}

// plays runs a definition once, with people who decide at random, and returns the
// world's findings.
func (w *world) plays(d definition.Definition, dice *rand.Rand) (found []string, seen int) {
	w.Helper()
	w.model.reply = func(q step.Question, _ int) said { return said{text: fitting(q.Schema)} }
	a := agent.Agent{Definition: d, Head: agent.Head{
		ID: "agent_written", Org: w.org, Name: d.Name, Type: agent.Custom, Status: agent.Active,
		Category: d.Category, Created: time.Now(), Updated: time.Now(), Version: 1,
	}}
	w.must(w.store.Store.SaveAgent(w.over, agent.Agent{}, a, agent.Cap{}))
	e := w.escalated()
	e.Payload["url"] = "https://evil.example/"
	w.must(w.dispatcher.Dispatch(w.over, e))
	x := execution.ID(w.org, a.ID, e)
	for range 40 {
		w.pass(5 * time.Minute)
		if _, err := w.question(x); err == nil && dice.IntN(4) > 0 {
			w.must(w.decide(w.person("user_owner", caller.Owner), x, dice.IntN(8) > 0))
		}
		if run, _ := w.stored(x); run.Status.Ended() {
			break
		}
	}
	w.pass(5 * time.Minute)
	return w.escaped()
}

// Whatever the rules accept, a model that says anything reaches nobody and nothing
// that people should have seen before. Of the definitions that the rules refuse for
// a model's words alone, many would: the auditor finds them.
func TestTheWordsOfAModelStayWhereTheRulesAllowThem(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)

	const worlds = 300
	var mu sync.Mutex
	taken, words, refused, caught := 0, 0, 0, 0
	t.Cleanup(func() {
		t.Logf("%d definitions are accepted and have %d effects with a model's words; %d are refused, %d of them with an effect that the auditor finds", taken, words, refused, caught)
		if words < worlds/4 || caught < refused/4 || refused < worlds/4 {
			t.Error("the definitions show too little")
		}
	})
	for seed := range uint64(worlds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(seed, 5))
			wantRefused := seed%3 == 0
			d, ok := chooses(dice, wantRefused)
			if !ok {
				t.Fatal("no definition was found")
			}
			inWorld(t, func(w *world) {
				found, seen := w.plays(d, dice)
				mu.Lock()
				defer mu.Unlock()
				if wantRefused {
					refused++
					if len(found) > 0 {
						caught++
					}
					return
				}
				taken, words = taken+1, words+seen
				for _, f := range found {
					text, _ := json.Marshal(d)
					w.violated(contained, "%s\n%s", f, text)
				}
				w.auditWords()
			})
		})
	}
}

// chooses returns a random definition that the rules accept, or one that they
// refuse for what its values may do, as an older version would have stored it.
func chooses(dice *rand.Rand, refused bool) (definition.Definition, bool) {
	for range 3000 {
		o := &writer{dice: dice, careless: refused || dice.IntN(4) > 0}
		text := o.written()
		var d definition.Definition
		doc, err := jsonvalue.Object([]byte(text))
		if err != nil || json.Unmarshal([]byte(text), &d) != nil {
			return d, false
		}
		switch faults := faultsOf(doc); {
		case len(faults) == 0 && !refused && usesWords(text):
			return d, true
		case len(faults) > 0 && refused && !slices.ContainsFunc(faults, func(f string) bool {
			return !strings.Contains(f, "a model's answer") && !strings.Contains(f, "may fill only the path") && !strings.Contains(f, "not known yet at the approval_gate")
		}):
			return d, true
		}
	}
	return definition.Definition{}, false
}

// usesWords reports whether an action of a definition uses an answer of a model.
func usesWords(text string) bool {
	for _, step := range strings.Split(text, `{"action"`)[1:] {
		if params, _, _ := strings.Cut(step, `"product"`); strings.Contains(params, ".text") {
			return true
		}
	}
	return false
}

// faultsOf returns the messages with which the rules refuse a definition.
func faultsOf(doc map[string]any) []string {
	_, err := rules().Parse(doc)
	if err == nil {
		return nil
	}
	messages := []string{}
	for _, d := range broken.From(err).Details {
		messages = append(messages, d.Message)
	}
	return append(messages, "")[:max(len(messages), 1)]
}
