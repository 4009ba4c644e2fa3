// Package meter counts the AWS calls of an invocation by operation, and the
// capacity units that DynamoDB charges for them.
//
// The count travels in the context. Middleware of the client counts every
// attempt of every call, retries of the SDK included; package dynamo adds the
// units. A function logs one line for each invocation; tests compare the same
// line with the budget.
package meter

import (
	"context"
	"maps"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// A Meter counts calls and units. It is safe for concurrent use.
type Meter struct {
	mu      sync.Mutex
	count   Count
	results []Result
}

// A Count is a snapshot of a meter.
type Count struct {
	Calls map[string]int // by service and operation, repeats of the SDK included: "DynamoDB.PutItem"
	Table int            // calls of the table, without repeats
	Units
}

// Units are the capacity units that DynamoDB charges.
type Units struct {
	Read  float64
	Write float64 // including the writes to indexes
}

type key struct{}

// With returns a context in which calls are counted.
func With(ctx context.Context) (context.Context, *Meter) {
	m := &Meter{count: Count{Calls: map[string]int{}}}
	return context.WithValue(ctx, key{}, m), m
}

// of returns the meter of a context, or a meter that is never read.
func of(ctx context.Context) *Meter {
	if m, ok := ctx.Value(key{}).(*Meter); ok {
		return m
	}
	return &Meter{count: Count{Calls: map[string]int{}}}
}

// Add counts a call of the table and its units.
func Add(ctx context.Context, u Units) {
	m := of(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count.Table++
	m.count.Read += u.Read
	m.count.Write += u.Write
}

// Count returns the counts so far.
func (m *Meter) Count() Count {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.count
	c.Calls = maps.Clone(c.Calls)
	return c
}

// Middleware counts each attempt of each call of a client.
func Middleware(stack *middleware.Stack) error {
	return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("meter", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		m := of(ctx)
		m.mu.Lock()
		m.count.Calls[awsmiddleware.GetServiceID(ctx)+"."+middleware.GetOperationName(ctx)]++
		m.mu.Unlock()
		return next.HandleFinalize(ctx, in)
	}), middleware.After)
}
