package definition

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A Change is the difference between the capabilities of two definitions.
type Change struct {
	Wider    []Difference `json:"wider"`    // what the later one can do and the earlier cannot
	Narrower []Difference `json:"narrower"` // what the earlier one can do and the later cannot
}

// A Difference is one statement about the earlier and the later definition: "yes" or
// "no", or a number.
type Difference struct {
	What string `json:"what"`
	Was  string `json:"was"`
	Now  string `json:"now"`
}

// After returns what changes when the capabilities replace earlier ones. Steps are
// compared by what they do, so another id or order is no difference.
func (c Capabilities) After(earlier Capabilities) Change {
	return Change{Wider: beyond(c, earlier), Narrower: turned(beyond(earlier, c))}
}

// turned exchanges the two sides of differences.
func turned(list []Difference) []Difference {
	for i, d := range list {
		list[i].Was, list[i].Now = d.Now, d.Was
	}
	return list
}

// beyond returns the statements in which the first capabilities are wider.
func beyond(now, was Capabilities) []Difference {
	list := []Difference{}
	a, b := now.claims(), was.claims()
	for _, what := range a.can {
		if !slices.Contains(b.can, what) {
			list = append(list, Difference{what, "no", "yes"})
		}
	}
	for _, d := range b.demands {
		// What is new as a whole loses no demand.
		if slices.Contains(a.can, d.of) && !slices.Contains(a.demands, d) {
			list = append(list, Difference{d.what, "yes", "no"})
		}
	}
	for i, n := range a.numbers {
		if m := b.numbers[i]; n.wider(m.value) {
			list = append(list, Difference{n.what, m.String(), n.String()})
		}
	}
	slices.SortFunc(list, func(x, y Difference) int { return cmp.Compare(x.What, y.What) })
	return list
}

// claims are capabilities as statements that can be compared.
type claims struct {
	can     []string
	demands []demanded
	numbers []number
}

// A demanded is a statement that narrows what another statement allows.
type demanded struct{ of, what string }

// A number bounds something; the greater bound is the wider one. 0 is no bound where
// the number limits starts.
type number struct {
	what  string
	value int64
	free  bool // 0 is no bound
}

func (n number) wider(than int64) bool {
	if n.free && than == 0 {
		return false
	}
	return n.value > than || n.free && n.value == 0
}

func (n number) String() string {
	if n.free && n.value == 0 {
		return "no bound"
	}
	return strconv.FormatInt(n.value, 10)
}

func (c Capabilities) claims() claims {
	var k claims
	k.waking(c.WakesOn)
	for _, path := range c.Reads {
		k.can = append(k.can, "reads "+path)
	}
	for _, a := range c.Asks {
		for _, from := range inWords(a.From) {
			k.can = append(k.can, "asks a model of the tier "+string(a.Model)+" with words "+from)
		}
		k.can = append(k.can, "asks a model of the tier "+string(a.Model))
	}
	for _, event := range c.CanCause {
		k.can = append(k.can, "can cause "+event)
	}
	k.deeds(c.Does)
	for _, t := range c.Tells {
		on := "sends messages by " + string(t.Channel)
		for _, to := range t.To {
			k.can = append(k.can, on+" to "+to)
		}
		for _, from := range inWords(t.ToFrom) {
			k.can = append(k.can, on+" to recipients "+from)
		}
		for _, from := range inWords(t.Words) {
			k.can = append(k.can, on+" with words "+from)
		}
	}
	for _, a := range c.People {
		k.people(a)
	}
	b := c.Bounds
	k.numbers = append(k.numbers,
		number{what: "credits of a run, at most", value: b.Credits}, number{what: "actions of a run, at most", value: int64(b.Actions)},
		number{what: "messages of a run, at most", value: int64(b.Messages)}, number{what: "questions to people in a run, at most", value: int64(b.People)},
		number{what: "seconds that a run waits for people and times, at most", value: b.Seconds},
	)
	slices.Sort(k.can)
	k.can = slices.Compact(k.can)
	return k
}

func (k *claims) waking(w Waking) {
	on := "starts on " + w.Event
	k.can = append(k.can, on)
	for _, when := range w.When {
		k.demands = append(k.demands, demanded{on, "starts only when " + when})
	}
	if w.AgentTriggered {
		k.can = append(k.can, "starts on events that agents caused")
	}
	if w.Overrides {
		k.can = append(k.can, "keeps system agents from running")
	}
	switch {
	case w.Clients.Include != nil:
		for _, c := range w.Clients.Include {
			k.can = append(k.can, "starts for the client "+string(c))
		}
		k.demands = append(k.demands, demanded{on, "starts only for the clients that are listed"})
	default:
		for _, c := range w.Clients.Exclude {
			k.demands = append(k.demands, demanded{on, "does not start for the client " + string(c)})
		}
	}
	limit := Limit{}
	if w.Limit != nil {
		limit = *w.Limit
	}
	k.numbers = append(k.numbers,
		number{"starts in an hour, at most", int64(limit.PerHour), true}, number{"starts in a day, at most", int64(limit.PerDay), true})
	if limit.Cooldown > 0 {
		k.demands = append(k.demands, demanded{on, "starts at most every " + strconv.Itoa(limit.Cooldown) + " minutes"})
	}
}

// deeds compares actions by their name. A demand holds for an action if it holds at
// every step with the action.
func (k *claims) deeds(list []Deed) {
	demands := map[string][]string{}
	for _, d := range list {
		does := "does " + d.Action
		own := make([]string, 0, len(d.When))
		for _, when := range d.When {
			own = append(own, does+" only when "+when)
		}
		if seen, again := demands[does]; again {
			own = slices.DeleteFunc(own, func(one string) bool { return !slices.Contains(seen, one) })
		}
		demands[does] = own
		k.can = append(k.can, does, does+" with the risk "+string(d.Risk))
		if len(d.Gates) == 0 {
			k.can = append(k.can, does+" without a person's approval")
		}
		for name, given := range d.Params {
			for _, from := range inWords(given.From) {
				k.can = append(k.can, does+" with "+name+" "+from)
			}
			if !given.Shown && len(d.Gates) > 0 {
				k.can = append(k.can, does+" with "+name+" that approvers do not see")
			}
		}
	}
	for does, own := range demands {
		for _, what := range own {
			k.demands = append(k.demands, demanded{does, what})
		}
	}
}

func (k *claims) people(a Asking) {
	step := "the gate " + string(a.Step)
	k.can = append(k.can, "asks people at "+step)
	if a.Silence == Approve {
		k.can = append(k.can, step+" passes when nobody decides")
	}
	if !a.Required && a.Silence != Approve {
		k.can = append(k.can, step+" can be passed without an approval")
	}
	for _, role := range a.Roles {
		k.can = append(k.can, step+" may be decided by the role "+role)
	}
	for _, user := range a.Users {
		k.can = append(k.can, step+" may be decided by "+string(user))
	}
	for n := 2; n <= a.Approvals; n++ {
		k.demands = append(k.demands, demanded{"asks people at " + step, step + " needs " + strconv.Itoa(n) + " approvals"})
	}
}

// inWords returns origins in words, without the ids of steps.
func inWords(from []Origin) []string {
	words := map[string]string{
		string(FromAuthor): "from the definition", string(FromEvent): "from the event", string(FromClient): "from the client's profile",
		string(FromRun): "from the run's own record", "model": "from a model's answer", "product": "from a product's reply",
		"people": "from a person's note", "receiver": "from the reply of a message's receiver",
	}
	var all []string
	for _, o := range from {
		who, _, _ := strings.Cut(string(o), ":")
		all = append(all, words[who])
	}
	return distinct(all)
}
