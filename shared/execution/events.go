package execution

import (
	"fmt"
	"strconv"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/outbox"
)

// FailedEvent returns the event for a failed run. Its message is the fixed
// sentence for the code: the failure's own message may contain values of
// events.
func (x Execution) FailedEvent(agentName string) event.Event {
	f := Failure{Code: "internal_error"}
	if x.Error != nil {
		f = *x.Error
	}
	return outbox.EventOf(outbox.Notice{
		Type: outbox.ExecutionFailed, Org: x.Org, Client: x.Trigger.Client, Agent: x.Agent, AgentName: agentName,
		Execution: x.ID, Step: f.Step, Event: x.Trigger.ID, Code: f.Code, Message: f.Sentence(),
		At: x.Completed, Key: string(x.ID), Cause: x.ID, Depth: x.Trigger.Depth() + 1,
	})
}

// lowEvents returns an event for each threshold that the charged holds reached.
// There is one event for each organization, month and threshold, whichever run
// reaches it.
func (x Execution) lowEvents(charged []credit.Hold) []event.Event {
	var list []event.Event
	cause := x.ID
	if x.IsLedger() {
		cause = ""
	}
	for _, h := range charged {
		for _, percent := range h.Low.Marks.Percents() {
			list = append(list, outbox.EventOf(outbox.Notice{
				Type: outbox.CreditsLow, Org: x.Org, Code: "credits_low",
				Message: fmt.Sprintf("%d percent of the credits of %s are used.", percent, h.Month),
				More: map[string]any{
					"threshold_percent": percent, "used": h.Low.Used, "allocation": h.Low.Allocation, "month": string(h.Month),
				},
				At: x.Changed(), Since: h.Month.Start(), Key: strconv.FormatInt(percent, 10), Cause: cause, Depth: x.Trigger.Depth() + 1,
			}))
		}
	}
	return list
}

// Sentence returns the fixed sentence for the code of a failure.
func (f Failure) Sentence() string {
	if s, ok := Sentences()[f.Code]; ok {
		return s
	}
	return "A step of the run failed."
}

// Sentences returns the sentence for the code of each failure that ends a run.
func Sentences() map[string]string {
	return map[string]string{ //nolint:gosec // codes and sentences, no credentials.
		"credit_insufficient":  "Too few credits were left this month for an AI step.",
		"internal_error":       "A step was given up because of a problem of the platform.",
		"invalid_model_output": "The AI model's answer did not fit the step's output_schema.",
		"invalid_recipient":    "A recipient of a notification is not a valid address.",
		"model_unavailable":    "The AI model did not answer.",
		"notification_failed":  "No recipient of a notification could be reached.",
		"product_error":        "A product refused an action or could not do it.",
		"step_timeout":         "A step took longer than its timeout_seconds.",
		"template_error":       "A template of a step could not be filled from the event.",
	}
}
