package lambdafn_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/lambdafn"
)

// calls are the calls of a function.
type calls struct {
	made []*lambda.InvokeInput
	err  error
}

func (c *calls) Invoke(_ context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	c.made = append(c.made, in)
	return &lambda.InvokeOutput{StatusCode: 202}, c.err
}

func TestAWorkerIsStartedWithoutWaitingForItsEnd(t *testing.T) {
	t.Parallel()

	api := &calls{}
	w := lambdafn.Workers{API: api, Name: "agents-worker"}
	if err := w.Begin(t.Context(), job.Call{Org: "org_1", Job: "job_1"}); err != nil {
		t.Fatal(err)
	}
	in := api.made[0]
	if *in.FunctionName != "agents-worker" || in.InvocationType != types.InvocationTypeEvent || string(in.Payload) != `{"org_id":"org_1","job_id":"job_1"}` {
		t.Errorf("called %s as %s with %s", *in.FunctionName, in.InvocationType, in.Payload)
	}
}

func TestAFailedStartNamesTheJob(t *testing.T) {
	t.Parallel()

	down := errors.New("throttled")
	err := lambdafn.Workers{API: &calls{err: down}, Name: "agents-worker"}.Begin(t.Context(), job.Call{Org: "org_1", Job: "job_1"})
	if !errors.Is(err, down) || !strings.Contains(err.Error(), "job_1") {
		t.Errorf("err = %v, want it to name job_1", err)
	}
}
