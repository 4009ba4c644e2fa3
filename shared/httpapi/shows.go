package httpapi

import (
	"theoneagents.app/agents/shared/approval"
	spec "theoneagents.app/agents/shared/httpapi/spec/approvals"
)

func (g approvals) viewShows(a approval.Approval, hide hider) spec.Shows {
	return spec.Shows{
		Message: a.Message, Actions: each(a.Actions, g.viewShown), Then: each(a.Then, func(f approval.Following) spec.ShownStep { return viewFollowing(f, hide) }),
	}
}

func (g approvals) viewShown(a approval.Action) spec.ShownAction {
	view := spec.ShownAction{StepID: string(a.Step), Product: a.Product, Action: a.Action}
	if known, ok := g.catalog.Action(a.Product, a.Action); ok {
		view.DisplayName, view.Destructive = &known.DisplayName, &known.Destructive
	}
	if a.Params != nil {
		view.Params = &a.Params
	}
	return view
}

func viewFollowing(f approval.Following, hide hider) spec.ShownStep {
	view := spec.ShownStep{StepID: string(f.Step), Type: spec.StepType(f.Kind), Name: text(f.Name), Certain: f.Certain}
	if f.Within != nil {
		view.Within = &spec.ShownPlace{StepID: string(f.Within.Step), Taken: spec.ShownPlaceTakenElse}
		if n := f.Within.Case; n >= 0 {
			view.Within.Taken, view.Within.Case = spec.ShownPlaceTakenCase, &n
		}
	}
	if f.Message != nil {
		view.Message = viewMessage(*f.Message, hide)
	}
	if f.Branch != nil {
		view.Branch = viewWay(*f.Branch)
	}
	if w := f.Wait; w != nil {
		view.Wait = &spec.ShownWait{Until: text(w.Until)}
		if w.Seconds > 0 {
			view.Wait.DurationSeconds = &w.Seconds
		}
	}
	return view
}

func viewWay(w approval.Way) *spec.ShownBranch {
	view, taken := &spec.ShownBranch{}, spec.ShownBranchTakenElse
	switch {
	case w.Open:
		return view
	case w.Case >= 0:
		taken, view.Case = spec.ShownBranchTakenCase, &w.Case
	}
	view.Taken = &taken
	return view
}

func viewMessage(m approval.Message, hide hider) *spec.ShownMessage {
	view := &spec.ShownMessage{Channel: spec.Channel(m.Channel), RecipientsLeftOut: m.More}
	if m.Recipients != nil {
		shown := hide.recipients(m.Channel, m.Recipients)
		view.Recipients = &shown
	}
	if m.Text != nil {
		view.Subject, view.Text, view.TextLeftOut = text(m.Text.Subject), &m.Text.Body, m.Text.Cut
	}
	return view
}
