package rehearsal

import (
	"slices"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// Shows is everything that follows a gate, as GET /api/approvals/{id} shows it.
type Shows struct {
	Message string        `json:"message"`
	Actions []ShownAction `json:"actions"`
	Then    []ShownStep   `json:"then"`
}

// A ShownAction is an action that follows; its params are null when they are known
// only after the gate.
type ShownAction struct {
	Step        id.Step        `json:"step_id"`
	Product     string         `json:"product"`
	Action      string         `json:"action"`
	Params      map[string]any `json:"params"`
	DisplayName *string        `json:"display_name"`
	Destructive *bool          `json:"destructive"`
}

// A ShownStep is a step that follows.
type ShownStep struct {
	Step    id.Step         `json:"step_id"`
	Kind    definition.Kind `json:"type"`
	Name    *string         `json:"name"`
	Certain bool            `json:"certain"`
	Within  *ShownPlace     `json:"within"`
	Message *ShownMessage   `json:"message"`
	Branch  *ShownBranch    `json:"branch"`
	Wait    *ShownWait      `json:"wait"`
}

// A ShownPlace is a case of a branch, or its else.
type ShownPlace struct {
	Step  id.Step `json:"step_id"`
	Taken string  `json:"taken"`
	Case  *int    `json:"case"`
}

// A ShownMessage is a notification; null fields are known only after the gate.
type ShownMessage struct {
	Channel    definition.Channel `json:"channel"`
	Recipients []string           `json:"recipients"`
	More       int                `json:"recipients_left_out"`
	Subject    *string            `json:"subject"`
	Text       *string            `json:"text"`
	Cut        int                `json:"text_left_out"`
}

// A ShownBranch is the case that a branch takes; null when it is known only after the
// gate.
type ShownBranch struct {
	Taken *string `json:"taken"`
	Case  *int    `json:"case"`
}

// A ShownWait is the duration or the end of a wait.
type ShownWait struct {
	Seconds *int64  `json:"duration_seconds"`
	Until   *string `json:"until"`
}

func (st *stage) shows(a approval.Approval) Shows {
	s := Shows{Message: a.Message, Actions: []ShownAction{}, Then: []ShownStep{}}
	for _, x := range a.Actions {
		v := ShownAction{Step: x.Step, Product: x.Product, Action: x.Action, Params: x.Params}
		if known, ok := st.catalog.Action(x.Product, x.Action); ok {
			v.DisplayName, v.Destructive = &known.DisplayName, &known.Destructive
		}
		s.Actions = append(s.Actions, v)
	}
	for _, f := range a.Then {
		s.Then = append(s.Then, shownStep(f))
	}
	return s
}

func shownStep(f approval.Following) ShownStep {
	v := ShownStep{Step: f.Step, Kind: f.Kind, Name: text(f.Name), Certain: f.Certain}
	if f.Within != nil {
		taken, n := way(f.Within.Case)
		v.Within = &ShownPlace{Step: f.Within.Step, Taken: taken, Case: n}
	}
	if m := f.Message; m != nil {
		v.Message = &ShownMessage{Channel: m.Channel, Recipients: slices.Clone(m.Recipients), More: m.More}
		if m.Text != nil {
			v.Message.Subject, v.Message.Text, v.Message.Cut = text(m.Text.Subject), &m.Text.Body, m.Text.Cut
		}
	}
	if f.Branch != nil {
		v.Branch = &ShownBranch{}
		if !f.Branch.Open {
			taken, n := way(f.Branch.Case)
			v.Branch.Taken, v.Branch.Case = &taken, n
		}
	}
	if w := f.Wait; w != nil {
		v.Wait = &ShownWait{Until: text(w.Until)}
		if w.Seconds > 0 {
			v.Wait.Seconds = &w.Seconds
		}
	}
	return v
}

// way returns the words for a case of a branch; -1 stands for else.
func way(n int) (taken string, number *int) {
	if n < 0 {
		return "else", nil
	}
	return "case", &n
}

// hidden returns what a gate shows with the recipients as hide shows them.
func (s Shows) hidden(hide definition.RecipientMap) Shows {
	s.Then = slices.Clone(s.Then)
	for i, f := range s.Then {
		if f.Message == nil || f.Message.Recipients == nil {
			continue
		}
		m := *f.Message
		m.Recipients = slices.Clone(m.Recipients)
		for j, r := range m.Recipients {
			m.Recipients[j] = hide(m.Channel, r)
		}
		s.Then[i].Message = &m
	}
	return s
}
