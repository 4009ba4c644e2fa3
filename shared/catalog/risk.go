package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// A Risk is the worst effect of an action that runs by mistake.
type Risk string

// The risks, from the least to the greatest.
const (
	Internal    Risk = "internal"    // only the organization's own records change
	Outward     Risk = "outward"     // people outside the organization read it
	Money       Risk = "money"       // an amount is charged, paid or written down for it
	Access      Risk = "access"      // a protection, a block or a right changes
	Destructive Risk = "destructive" // hard to undo
)

// Risks returns all risks, from the least to the greatest.
func Risks() []Risk { return []Risk{Internal, Outward, Money, Access, Destructive} }

// Or returns the greater of two risks. No risk, which is empty, is the least.
func (r Risk) Or(other Risk) Risk {
	if slices.Index(Risks(), other) > slices.Index(Risks(), r) {
		return other
	}
	return r
}

// A Role is the part that a parameter plays in an action.
type Role string

// The roles.
const (
	Target   Role = "target"   // chooses the object that the action changes
	Audience Role = "audience" // chooses the people who see it or are asked
	Content  Role = "content"  // everything else
)

// Roles returns all roles.
func Roles() []Role { return []Role{Target, Audience, Content} }

// A RiskRule says the risk of an action. In a file it is a risk, or an object
// where the value of a parameter decides:
//
//	"risk": "internal"
//	"risk": {"param": "visibility", "values": {"internal": "internal"}, "else": "outward"}
type RiskRule struct {
	Param  string          `json:"param"`  // empty where no parameter decides
	Values map[string]Risk `json:"values"` // by the parameter's value as text
	Else   Risk            `json:"else"`   // of every other value, and without one
}

// UnmarshalJSON reads both forms.
func (r *RiskRule) UnmarshalJSON(data []byte) error {
	*r = RiskRule{}
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &r.Else)
	}
	type form RiskRule // without this method
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode((*form)(r)); err != nil {
		return fmt.Errorf("risk: %w", err)
	}
	if r.Param == "" || len(r.Values) == 0 || r.Else == "" {
		return fmt.Errorf("risk: %s needs param, values and else", data)
	}
	return nil
}

// MarshalJSON writes the form that UnmarshalJSON reads.
func (r RiskRule) MarshalJSON() ([]byte, error) {
	if r.Param == "" {
		return json.Marshal(r.Else)
	}
	type form RiskRule
	return json.Marshal(form(r))
}

// Highest returns the greatest risk that any parameters can have.
func (r RiskRule) Highest() Risk {
	highest := r.Else
	for _, risk := range r.Values {
		highest = highest.Or(risk)
	}
	return highest
}

// RiskOf returns the risk of the action with the parameters of a definition. A
// parameter that a placeholder fills can have any value, so its risk is the
// greatest.
func (a Action) RiskOf(params map[string]any) Risk {
	p, decides := a.Param(a.Risk.Param)
	if !decides {
		return a.Risk.Else
	}
	v := params[p.Name]
	if text, isText := v.(string); isText && strings.Contains(text, "{{") {
		return a.Risk.Highest()
	}
	fit, why := p.Fit(v)
	if why != "" || jsonvalue.Kind(fit) == "null" {
		return a.Risk.Else
	}
	if risk, listed := a.Risk.Values[render.String(fit)]; listed {
		return risk
	}
	return a.Risk.Else
}
