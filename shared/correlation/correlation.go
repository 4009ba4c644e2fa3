// Package correlation carries the fields that all log lines of a context have in
// common: request, organization, event, agent, run and trace, as far as they are
// known.
//
// The code that learns one of them, deep inside, sets it; a line that an outer
// function logs later has it too. Package boot writes the fields into each line.
package correlation

import (
	"context"
	"sync"

	"theoneagents.app/agents/shared/id"
)

// Fields are the common fields of log lines; an empty one is left out.
type Fields struct {
	Request   string // of API Gateway, where a request came through it, or else of Lambda
	Org       id.Org
	Event     id.Event
	Agent     id.Agent
	Execution id.Execution
	Trace     string // hexadecimal
}

type key struct{}

type box struct {
	mu     sync.Mutex
	fields Fields
}

// With returns a context with fields of its own, which begin as those of ctx.
func With(ctx context.Context) context.Context {
	return context.WithValue(ctx, key{}, &box{fields: Of(ctx)})
}

// Set changes the fields of ctx, if With gave it some. It is safe for concurrent use.
func Set(ctx context.Context, change func(*Fields)) {
	if b, ok := ctx.Value(key{}).(*box); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		change(&b.fields)
	}
}

// Of returns the fields of ctx; none without With.
func Of(ctx context.Context) Fields {
	b, ok := ctx.Value(key{}).(*box)
	if !ok {
		return Fields{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fields
}
