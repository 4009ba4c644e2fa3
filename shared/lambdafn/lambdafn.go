// Package lambdafn starts functions (AWS Lambda).
package lambdafn

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"theoneagents.app/agents/shared/job"
)

// API is the used part of the Lambda client.
type API interface {
	Invoke(ctx context.Context, in *lambda.InvokeInput, opts ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Workers starts the function that works on jobs.
type Workers struct {
	API  API
	Name string // the name or the ARN of the function
}

// Begin implements job.Workers. Lambda queues the call, so that the answer says only
// that it will be made.
func (w Workers) Begin(ctx context.Context, c job.Call) error {
	payload, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("invoke %s for %s: %w", w.Name, c.Job, err)
	}
	_, err = w.API.Invoke(ctx, &lambda.InvokeInput{FunctionName: &w.Name, InvocationType: types.InvocationTypeEvent, Payload: payload})
	if err != nil {
		return fmt.Errorf("invoke %s for %s: %w", w.Name, c.Job, err)
	}
	return nil
}
