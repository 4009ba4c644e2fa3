package execution

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// A person's no to a run holds for its retries too: only people who could have
// decided it may retry the run, and the retries of its retries. So each retry
// carries the denials of the runs before it. A run that was cancelled, or whose
// approval expired, was not denied.

// ErrDenied refuses a retry of a run that a person denied.
var ErrDenied = fault.New(fault.Forbidden, "forbidden", "A person denied this execution; only people who could have decided so may retry it.")

// denials returns the approvals that people denied in the run and before it.
func (x Execution) denials(done Steps) []id.Approval {
	if x.Reason != ApprovalDenied {
		return x.Denials
	}
	var last StepRecord // a denial ends the run at the gate that asked last
	for _, s := range done {
		if s.Kind == definition.Gate && (s.Asked.After(last.Asked) || last.ID == "") {
			last = s
		}
	}
	return append(slices.Clone(x.Denials), approval.ID(last.Asked, x.ID, last.ID))
}

// mayOverrule returns nil if the caller could have decided each of the denied
// approvals, or ErrDenied. Without denials it reads nothing.
func (s *Service) mayOverrule(ctx context.Context, who caller.Caller, denials []id.Approval, r approval.Rules) error {
	for _, denied := range denials {
		if !who.Human() {
			return ErrDenied.Sayf("A person denied this execution; an integration key may not retry it.")
		}
		a, err := s.Gates.Approval(ctx, who.Org, denied)
		switch {
		case errors.Is(err, approval.ErrNotFound): // then owners and admins alone could have decided it
		case err != nil:
			return fmt.Errorf("denied approval %s: %w", denied, err)
		}
		if err := a.May(who, r); err != nil {
			return ErrDenied.Sayf("A person denied approval %s of this execution, and only people who could have decided it may retry the execution. %s",
				denied, fault.From(err).Message)
		}
	}
	return nil
}
