package execution

import (
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/outbox"
)

// FailedEvent returns the event that tells of a failed run. Its message is our
// sentence for the code: the failure's own message may hold values of events.
func (x Execution) FailedEvent(agentName string) event.Event {
	f := Failure{Code: "internal_error"}
	if x.Error != nil {
		f = *x.Error
	}
	return outbox.EventOf(outbox.Notice{
		Type: outbox.ExecutionFailed, Org: x.Org, Client: x.Trigger.Client, Agent: x.Agent, AgentName: agentName,
		Execution: x.ID, Step: f.Step, Event: x.Trigger.ID, Code: f.Code, Message: f.Sentence(),
		At: x.Completed, Key: string(x.ID), Depth: x.Trigger.Depth() + 1,
	})
}

// Sentence returns what the code of a failure means, in our words alone.
func (f Failure) Sentence() string {
	if s, ok := Sentences()[f.Code]; ok {
		return s
	}
	return "A step of the run failed."
}

// Sentences returns what the code of each failure that ends a run means.
func Sentences() map[string]string {
	return map[string]string{
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
