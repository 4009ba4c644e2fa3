package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// The people who were asked at a gate are notified of its outcome: decided,
// expired, or withdrawn because the run was cancelled. No step waits for these
// messages. They are sent while the run is parked anyway: after its next
// approval was requested, during a wait, or after its end, when the run stays
// due until they are sent.

// hasPendingOutcomes reports whether outcomes remain to be sent.
func (t *turn) hasPendingOutcomes() bool { return len(t.pendingOutcomes()) > 0 }

func (t *turn) pendingOutcomes() []execution.StepRecord { return t.steps.Owing(t.x.Status.Ended()) }

// stalling reports whether the run was parked without progress so often that
// sending outcomes must not park it again. They are sent after its end instead.
func (t *turn) stalling() bool {
	return !t.x.Status.Ended() && t.x.StalledLeases > execution.MaxStalledLeases/2
}

// outcomes sends the outcomes that remain, as far as time permits. While an
// approval is open its record is written too, so that a concurrent decision
// makes the write fail.
func (t *turn) outcomes(ctx context.Context, open *approval.Approval) error {
	for _, gate := range t.pendingOutcomes() {
		if t.stalling() || !fits(ctx, tellTime) {
			return nil
		}
		if err := t.outcome(ctx, gate, open); err != nil {
			return fmt.Errorf("outcome of %s: %w", gate.ID, err)
		}
	}
	return nil
}

// conclude sends the outcomes that remain after the end of a run. It hands over
// to another turn when time runs short.
func (t *turn) conclude(ctx context.Context) (machine.Next, error) {
	if err := t.outcomes(ctx, nil); err != nil {
		return machine.Next{}, err
	}
	if t.hasPendingOutcomes() {
		return machine.Next{Next: machine.NextRun, Seconds: 1, Name: t.name()}, nil
	}
	return machine.Next{Next: machine.NextDone}, nil
}

// outcome notifies the people who were asked at a gate of its outcome, once
// each. Its row is written before each message that must not be sent twice, and
// closed after the last.
func (t *turn) outcome(ctx context.Context, gate execution.StepRecord, open *approval.Approval) error {
	row := t.steps[gate.OutcomeRow()]
	if row.ID == "" {
		row = execution.StepRecord{
			ID: gate.OutcomeRow(), Kind: definition.Notification, Status: execution.StepRunning, Started: t.Now(),
		}
	}
	a, err := t.Store.Approval(ctx, t.x.Org, approval.ID(gate.Asked, t.x.ID, gate.Gate()))
	def, known := t.stepOf(gate)
	switch {
	case errors.Is(err, approval.ErrNotFound) || !known:
		return t.closeOutcome(ctx, row, "", nil, open)
	case err != nil:
		return err
	}
	on := outcomeOf(a)
	list := execution.NotifiedIn(row.Output)[on]
	if t.x.Stuck() {
		for i := range list {
			list[i] = list[i].Closed("Every worker that sent this crashed.")
		}
		return t.closeOutcome(ctx, row, on, list, open)
	}
	scope, _, err := t.loadScope(ctx)
	if err != nil {
		return err
	}
	channels := def.Channels(gate.Escalated)
	b := broadcast{
		turn: t, step: def, scope: scope, channels: channels,
		subject: outcomeSubject(t.definition.Name, a),
		text:    func(c definition.Channel) step.MessageText { return t.outcomeText(a, def, gate, c) },
		key:     fmt.Sprintf("%s:%s", a.ID, on), only: reached(execution.NotifiedIn(gate.Output), channels),
	}
	err = b.send(ctx, list, func(far []execution.Delivery) error {
		list = append(list[:0:0], far...)
		if len(list) == len(b.channels) && final(list) {
			return nil // closeOutcome records it
		}
		row.Output = execution.Notified(nil).With(on, list).In(nil)
		return t.saveOutcome(ctx, row, open)
	})
	if err != nil || len(list) < len(b.channels) || !final(list) {
		return err
	}
	return t.closeOutcome(ctx, row, on, list, open)
}

// reached returns the recipients that the question may have reached over a
// channel and not over an earlier one: two channels may share an address.
func reached(heard execution.Notified, channels []definition.Notify) func(channel int) map[string]bool {
	return func(channel int) map[string]bool {
		told := heard.Reached(channel)
		for i, n := range channels[:channel] {
			if n.Channel == channels[channel].Channel {
				maps.DeleteFunc(told, func(r string, _ bool) bool { return heard.Reached(i)[r] })
			}
		}
		return told
	}
}

// stepOf returns the definition of a gate.
func (t *turn) stepOf(gate execution.StepRecord) (def definition.Step, known bool) {
	definition.EachStep(t.definition.Steps, func(s definition.Step) {
		if s.ID == gate.Gate() && s.GateStep != nil {
			def, known = s, true
		}
	})
	return def, known
}

func final(list []execution.Delivery) bool {
	for _, d := range list {
		if !d.Final() {
			return false
		}
	}
	return true
}

// closeOutcome closes the row of an outcome.
func (t *turn) closeOutcome(
	ctx context.Context, row execution.StepRecord, on execution.Occasion, list []execution.Delivery, open *approval.Approval,
) error {
	if on != "" {
		row.Output = execution.Notified(nil).With(on, list).In(nil)
	}
	row.Status, row.Ended = execution.StepCompleted, t.Now()
	return t.saveOutcome(ctx, row, open)
}

// saveOutcome records the row of an outcome, unless another worker changed the
// run. An ended run without remaining outcomes is no longer due.
func (t *turn) saveOutcome(ctx context.Context, row execution.StepRecord, open *approval.Approval) error {
	row.Attempt = t.x.Lease.Attempt
	before := t.steps
	t.remember(row)
	err := t.commit(context.WithoutCancel(ctx), func(x execution.Execution) execution.Change {
		if x.Lease.Owner != "" {
			x = x.Renewed(t.Now())
		}
		return execution.Change{Execution: x.Concluded(t.steps), Step: &row, Gate: open}
	})
	switch {
	case err != nil:
		t.steps = before
	case open != nil:
		open.Revision++
	}
	return err
}

// outcomeOf returns how an approval that is no longer open ended.
func outcomeOf(a approval.Approval) execution.Occasion {
	switch {
	case a.Status == approval.Expired:
		return execution.OnExpired
	case a.DecidedBy == "":
		return execution.OnWithdrawn
	}
	return execution.OnDecided
}

func outcomeSubject(name string, a approval.Approval) string {
	name = render.OneLine(name)
	switch outcomeOf(a) {
	case execution.OnExpired:
		return "Expired: " + name + " no longer waits for approval"
	case execution.OnWithdrawn:
		return "Withdrawn: " + name + " no longer waits for approval"
	case execution.OnDecided, execution.OnAsked, execution.OnReminded, execution.OnEscalated, execution.OnRemindedAgain:
	}
	if a.Status == approval.Approved {
		return "Approved: " + name
	}
	return "Denied: " + name
}

// maxNote limits the note in an outcome message, in characters.
const maxNote = 300

// outcomeText returns the text of an outcome message: the outcome, who decided,
// and its consequence.
func (t *turn) outcomeText(
	a approval.Approval, def definition.Step, gate execution.StepRecord, c definition.Channel,
) step.MessageText {
	var lead strings.Builder
	switch outcomeOf(a) {
	case execution.OnExpired:
		lead.WriteString("No decision was made in time. " + expiryText(def, gate))
	case execution.OnWithdrawn:
		lead.WriteString("The request for approval was withdrawn. " + t.cancellationText())
	case execution.OnDecided, execution.OnAsked, execution.OnReminded, execution.OnEscalated, execution.OnRemindedAgain:
		lead.WriteString(decisionText(a))
		if a.Status == approval.Approved && gate.Status != execution.StepCompleted {
			lead.WriteString(" No action was taken: " + t.cancellationText())
		}
		if gate.Superseded() {
			lead.WriteString(" An action did not begin within 24 hours, so the question was asked again.")
		}
	}
	if note := render.OneLine(a.Note); note != "" && a.DecidedBy != "" {
		lead.WriteString("\nNote: " + shortened(note, maxNote))
	}
	question, _ := question(a, maxOf(c))
	lead.WriteString("\n\nThe question was: " + question + "\n\nSee ")
	return step.MessageText{Lead: render.Clean(lead.String()), Link: step.Link{Text: "the approval", URL: t.Link(a.ID)}}
}

// shortened returns the beginning of a text and the number of characters cut
// off.
func shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return fmt.Sprintf("%s… (%d more characters)", string(runes[:most]), len(runes)-most)
}

// decisionText returns the decision and the people who made it.
func decisionText(a approval.Approval) string {
	if a.Status != approval.Approved {
		return fmt.Sprintf("Denied by %s.", a.DecidedBy)
	}
	var by []string
	for _, v := range a.Votes {
		if v.Approve {
			by = append(by, string(v.User))
		}
	}
	if len(by) == 0 {
		by = []string{string(a.DecidedBy)}
	}
	return fmt.Sprintf("Approved by %s.", strings.Join(by, ", "))
}

// expiryText returns the consequence of an approval that expired.
func expiryText(def definition.Step, gate execution.StepRecord) string {
	if def.Expiry() == definition.Approve && gate.Status == execution.StepCompleted {
		return "The gate approves on expiry, so the execution continues."
	}
	return "The execution was cancelled."
}

// cancellationText returns why the run was cancelled.
func (t *turn) cancellationText() string {
	switch t.x.Reason {
	case execution.AgentDeleted:
		return "The execution was cancelled because its agent was deleted."
	case execution.OrgPaused:
		return "The execution was cancelled because its organization was paused."
	case execution.CancelledByUser:
		return "A user cancelled the execution."
	case execution.ApprovalDenied, execution.ApprovalExpired, execution.OrgDeleted:
	}
	return "The execution has ended."
}
