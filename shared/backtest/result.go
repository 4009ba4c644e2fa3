package backtest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
)

// The bounds of the lists of a result.
const (
	MaxExamples = 10 // of each kind
	MaxRows     = 20 // of each list
	maxWhy      = 300
)

// A Result is the result of a back-test. Its JSON is a document of the API.
type Result struct {
	AgentID    id.Agent                   `json:"agent_id"`
	Version    *int                       `json:"version"` // nil for a definition that was never saved
	From       time.Time                  `json:"from"`
	To         time.Time                  `json:"to"`
	Events     Events                     `json:"events"`
	WouldStart int                        `json:"would_start"`
	PerDay     []Day                      `json:"per_day"`
	Refused    map[definition.Outcome]int `json:"refused"`
	NearMisses []NearMiss                 `json:"near_misses"`
	ByClient   []OfClient                 `json:"by_client"`
	Credits    Credits                    `json:"credits"`
	Approvals  *Approvals                 `json:"approvals"` // nil unless runs were played
	Effects    []EffectCount              `json:"effects"`   // nil unless runs were played
	Played     *Played                    `json:"played"`    // nil unless runs were played
	Overlap    []Overlap                  `json:"overlap"`
	Diff       *Diff                      `json:"diff"` // nil without a comparison
	Loops      []Loop                     `json:"loops"`
	Examples   Examples                   `json:"examples"`
	Unknown    Unknown                    `json:"unknown"`
}

// Events are the events of a back-test.
type Events struct {
	Seen    int       `json:"seen"`    // that were read
	OfType  int       `json:"of_type"` // in the asked time
	Sampled bool      `json:"sampled"`
	Factor  float64   `json:"factor"` // how many events each judged one stands for
	Kept    time.Time `json:"kept_since"`
}

// A Day is a day in UTC.
type Day struct {
	Day     string `json:"day"`
	Started int    `json:"started"`
}

// A NearMiss is a check that alone refused events.
type NearMiss struct {
	Check  string `json:"check"`
	Events int    `json:"only_this_failed"`
}

// An OfClient is a client whose events would have started the agent.
type OfClient struct {
	Client  *string `json:"client_id"` // nil for events without a client
	Started int     `json:"started"`
}

// Credits are the prices of the models' answers.
type Credits struct {
	AtMost int64    `json:"at_most"`
	Likely *float64 `json:"likely"` // nil unless runs were played
	// Share is the part of the monthly allocation that 30 days would take: of Likely if
	// it is known, else of AtMost.
	Share float64 `json:"share_of_allocation"`
}

// Approvals are the questions that people would have been asked.
type Approvals struct {
	Questions int     `json:"questions"` // of the played runs
	PerWeek   float64 `json:"per_week"`  // of all runs
}

// An EffectCount is an action or a channel.
type EffectCount struct {
	What  string `json:"what"`
	Times int    `json:"times"` // in the played runs
}

// Played says how many of the runs were played.
type Played struct {
	Runs   int `json:"runs"`
	Of     int `json:"of"`
	Failed int `json:"failed"` // with simulated answers
}

// An Overlap is another agent that would have started on the same events.
type Overlap struct {
	Agent  id.Agent `json:"agent_id"`
	Events int      `json:"events"`
	Same   *int     `json:"same_target"` // of the played runs; nil unless runs were played
}

// A Diff compares the candidate with the agent as it is.
type Diff struct {
	Both          int          `json:"both"`
	OnlyCandidate int          `json:"only_candidate"`
	OnlyLive      int          `json:"only_live"`
	Examples      []Difference `json:"examples"`
}

// A Difference is an event that starts one of two versions.
type Difference struct {
	Example

	Live      *string `json:"why_live"`      // why the agent as it is does not start; nil when it does
	Candidate *string `json:"why_candidate"` // why the candidate does not
}

// An Example is an event.
type Example struct {
	Event     id.Event  `json:"event_id"`
	Type      string    `json:"event_type"`
	Client    *string   `json:"client_id"`
	Published time.Time `json:"published_at"`
}

// A Refusal is an event that would not have started the agent.
type Refusal struct {
	Example

	Why string `json:"why"`
}

// Examples are the first events of each kind.
type Examples struct {
	Started []Example                        `json:"started"`
	Refused map[definition.Outcome][]Refusal `json:"refused"`
}

// A Loop is an event that the candidate can cause and that starts an agent.
type Loop struct {
	Via   string   `json:"via"` // the qualified name of the event
	Agent id.Agent `json:"agent_id"`
	// Open says that the agent is also started by events that agents caused, so that a
	// loop ends only at the depth that the platform allows.
	Open bool `json:"agent_triggered"`
}

// Unknown counts the events about which the journal does not tell enough.
type Unknown struct {
	Profile int `json:"client_context"`
	Payload int `json:"payload"` // larger than the journal keeps
}

// A start is an event that would have started the candidate.
type start struct {
	taped

	profile map[string]any
	others  []Verdict // agents that started too
}

// A sheet adds up the verdicts.
type sheet struct {
	args   Args
	result Result
	starts []start

	days     map[string]int
	clients  map[id.Client]int
	misses   map[string]int
	overlaps map[id.Agent]int
	counted  map[id.Client]bool // nil for all
}

func newSheet(a Args, t *tape) *sheet {
	s := &sheet{
		args: a, days: map[string]int{}, clients: map[id.Client]int{}, misses: map[string]int{}, overlaps: map[id.Agent]int{},
		result: Result{
			AgentID: a.Agent, From: a.From.UTC().Truncate(time.Second), To: a.To.UTC().Truncate(time.Second),
			Events:  Events{Seen: t.read, OfType: t.ofType, Sampled: t.factor() != 1, Factor: t.factor(), Kept: a.Since.UTC().Truncate(time.Second)},
			Refused: make(map[definition.Outcome]int), Examples: Examples{Started: []Example{}, Refused: make(map[definition.Outcome][]Refusal)},
		},
	}
	if a.Saved {
		s.result.Version = &a.Version
	}
	if a.Compare {
		s.result.Diff = &Diff{Examples: []Difference{}}
	}
	if len(a.Clients) > 0 {
		s.counted = map[id.Client]bool{}
		for _, c := range a.Clients {
			s.counted[c] = true
		}
	}
	return s
}

// wants reports whether an event counts: the universes judge earlier events too, and
// those of all clients.
func (s *sheet) wants(e event.Event) bool {
	return !e.Published.Before(s.args.From) && (s.counted == nil || s.counted[e.Client])
}

// verdictOf returns the verdict about an agent; false when it does not listen.
func verdictOf(all []Verdict, a id.Agent) (Verdict, bool) {
	for _, v := range all {
		if v.Agent == a {
			return v, true
		}
	}
	return Verdict{}, false
}

// add adds the verdicts about an event with the candidate and without.
func (s *sheet) add(e taped, profile map[string]any, with, as []Verdict) {
	mine, listens := verdictOf(with, s.args.Agent)
	if listens {
		s.count(e, profile, mine, with)
	}
	if s.result.Diff == nil {
		return
	}
	live, lives := verdictOf(as, s.args.Agent)
	starts, started := mine.Outcome == definition.Started, live.Outcome == definition.Started
	d := s.result.Diff
	switch {
	case starts && started:
		d.Both++
		return
	case starts:
		d.OnlyCandidate++
	case started:
		d.OnlyLive++
	default:
		return
	}
	if len(d.Examples) == MaxExamples {
		return
	}
	x := Difference{Example: exampleOf(e.Event)}
	if !started {
		x.Live = why(live, lives)
	}
	if !starts {
		x.Candidate = why(mine, listens)
	}
	d.Examples = append(d.Examples, x)
}

// why returns the reason of a refusal.
func why(v Verdict, listens bool) *string {
	text := "it does not listen for the event"
	if listens {
		text = short(v)
	}
	return &text
}

func short(v Verdict) string { return render.Cut(cmp.Or(v.Why, string(v.Outcome)), maxWhy-len("…")) }

func (s *sheet) count(e taped, profile map[string]any, mine Verdict, with []Verdict) {
	r := &s.result
	if mine.Outcome != definition.Started {
		r.Refused[mine.Outcome]++
		if list := r.Examples.Refused[mine.Outcome]; len(list) < MaxExamples {
			r.Examples.Refused[mine.Outcome] = append(list, Refusal{exampleOf(e.Event), short(mine)})
		}
		if check, one := onlyFailed(*s.args.Definition, condition.Facts{Event: e.Event, Client: profile}); one {
			s.misses[check]++
		}
		return
	}
	r.WouldStart++
	s.days[e.Published.UTC().Format(time.DateOnly)]++
	s.clients[e.Client]++
	if len(r.Examples.Started) < MaxExamples {
		r.Examples.Started = append(r.Examples.Started, exampleOf(e.Event))
	}
	x := start{taped: e, profile: profile}
	for _, v := range with {
		if v.Agent != s.args.Agent && v.Outcome == definition.Started {
			s.overlaps[v.Agent]++
			x.others = append(x.others, v)
		}
	}
	s.starts = append(s.starts, x)
}

func exampleOf(e event.Event) Example {
	x := Example{Event: e.ID, Type: e.Name(), Published: e.Published.UTC().Truncate(time.Second)}
	if e.Client != "" {
		c := string(e.Client)
		x.Client = &c
	}
	return x
}

// onlyFailed returns the only filter or condition that does not hold, in words.
func onlyFailed(d definition.Definition, f condition.Facts) (check string, one bool) {
	failed := 0
	for _, x := range d.Trigger.Filters {
		if ok, _ := x.Holds(f); !ok {
			failed++
			check = condition.Condition{Context: condition.InEvent, Field: x.Field, Operator: x.Operator, Value: x.Value}.String()
		}
	}
	if !d.Scope.Allows(f.Event.Client) {
		failed++
		check = "client_scope"
	}
	for _, c := range d.Conditions {
		if ok, _ := c.Holds(f); !ok {
			failed++
			check = c.String()
		}
	}
	return render.Cut(check, maxWhy-len("…")), failed == 1
}

// done returns the result of the added events.
func (s *sheet) done(atMost int64) Result {
	r := s.result
	r.PerDay = []Day{}
	for _, day := range slices.Sorted(maps.Keys(s.days)) {
		r.PerDay = append(r.PerDay, Day{day, s.days[day]})
	}
	r.NearMisses = rows(s.misses, func(check string, n int) NearMiss { return NearMiss{check, n} })
	r.ByClient = rows(s.clients, func(c id.Client, n int) OfClient {
		if c == "" {
			return OfClient{Started: n}
		}
		text := string(c)
		return OfClient{&text, n}
	})
	r.Overlap = rows(s.overlaps, func(a id.Agent, n int) Overlap { return Overlap{Agent: a, Events: n} })
	r.Credits.AtMost = int64(float64(r.WouldStart) * r.Events.Factor * float64(atMost))
	s.share(&r, float64(r.Credits.AtMost))
	return r
}

// share says which part of the allocation the credits of the asked time would take in a
// month.
func (s *sheet) share(r *Result, credits float64) {
	days := s.args.To.Sub(s.args.From).Hours() / 24
	if all := s.args.Plan.Allocation(); all > 0 && days > 0 {
		r.Credits.Share = credits * UsualDays / days / float64(all)
	}
}

// rows returns the rows of the greatest counts, the greatest first.
func rows[K cmp.Ordered, R any](counts map[K]int, row func(K, int) R) []R {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	all := []R{}
	for _, k := range keys[:min(len(keys), MaxRows)] {
		all = append(all, row(k, counts[k]))
	}
	return all
}

// noneKept fails a back-test of a time without events.
func noneKept(a Args) *fault.Error {
	return ErrNone.Sayf("The journal has no %s from %s to %s; it has every event since %s.",
		a.Definition.Trigger.Event(), a.From.UTC().Format(time.RFC3339), a.To.UTC().Format(time.RFC3339), a.Since.UTC().Format(time.RFC3339))
}
