package main

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// An elevator is SQS with a move that makes progress at every look.
type elevator struct {
	letters, moved, step int64
	held                 int64 // letters that another receiver has
	status               string
	fails                string // why the move fails
	starts               int
	slept                time.Duration
}

func (e *elevator) StartMessageMoveTask(_ context.Context, in *sqs.StartMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error) {
	if e.status == running {
		return nil, errors.New("a move is running already")
	}
	if aws.ToString(in.SourceArn) != "arn:letters" || aws.ToString(in.DestinationArn) != "arn:undelivered" || aws.ToInt32(in.MaxNumberOfMessagesPerSecond) != 500 {
		return nil, errors.New("another move")
	}
	e.starts++
	e.status, e.moved = running, 0
	return &sqs.StartMessageMoveTaskOutput{}, nil
}

func (e *elevator) ListMessageMoveTasks(context.Context, *sqs.ListMessageMoveTasksInput, ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error) {
	if e.status == "" {
		return &sqs.ListMessageMoveTasksOutput{}, nil
	}
	r := types.ListMessageMoveTasksResultEntry{
		Status: aws.String(e.status), ApproximateNumberOfMessagesMoved: e.moved, ApproximateNumberOfMessagesToMove: aws.Int64(e.letters),
	}
	if e.status == running {
		e.moved = min(e.moved+e.step, e.letters)
		if e.moved == e.letters {
			e.status = "COMPLETED"
		}
	}
	if e.fails != "" {
		r.Status, r.FailureReason = aws.String("FAILED"), aws.String(e.fails)
	}
	return &sqs.ListMessageMoveTasksOutput{Results: []types.ListMessageMoveTasksResultEntry{r}}, nil
}

func (e *elevator) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	all := map[string]string{
		"QueueArn":                              "arn:" + aws.ToString(in.QueueUrl),
		"ApproximateNumberOfMessages":           strconv.FormatInt(max(e.letters-e.held, 0), 10),
		"ApproximateNumberOfMessagesNotVisible": strconv.FormatInt(e.held, 10),
		"ApproximateNumberOfMessagesDelayed":    "0",
	}
	given := map[string]string{}
	for _, name := range in.AttributeNames {
		given[string(name)] = all[string(name)]
	}
	return &sqs.GetQueueAttributesOutput{Attributes: given}, nil
}

// move runs a move and returns what it printed.
func (e *elevator) move(ctx context.Context) (string, error) {
	var out bytes.Buffer
	w := surroundings{out: &out, sleep: func(ctx context.Context, d time.Duration) error {
		e.slept += d
		return ctx.Err()
	}}
	err := mover{surroundings: w, api: e, from: "letters", to: "undelivered"}.run(ctx)
	return out.String(), err
}

func TestAllLettersMoveInsideAWS(t *testing.T) {
	t.Parallel()

	e := &elevator{letters: 100_000, step: 1000, status: "COMPLETED", moved: 3} // an earlier move has ended
	said, err := e.move(t.Context())
	if err != nil || e.starts != 1 || !strings.Contains(said, "100000 letters moved to the dispatcher") || e.slept < 99*look {
		t.Errorf("%d starts, slept %v, %v: %s", e.starts, e.slept, err, said)
	}
}

func TestAMoveThatRunsAlreadyIsFollowed(t *testing.T) {
	t.Parallel()

	e := &elevator{letters: 10, step: 5, status: running}
	if said, err := e.move(t.Context()); err != nil || e.starts != 0 || !strings.Contains(said, "10 letters moved") {
		t.Errorf("%d starts, %v: %s", e.starts, err, said)
	}
}

func TestAnInterruptedMoveGoesOn(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := &elevator{letters: 10, step: 1}
	if said, err := e.move(ctx); !errors.Is(err, context.Canceled) || e.status != running || !strings.Contains(said, "goes on inside AWS") {
		t.Errorf("%s, %v: %s", e.status, err, said)
	}
}

func TestAFailedMoveSaysWhy(t *testing.T) {
	t.Parallel()

	e := &elevator{letters: 10, step: 1, fails: "AccessDenied"}
	if _, err := e.move(t.Context()); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("err = %v", err)
	}
}

func TestNoMoveIsStartedWithoutALetter(t *testing.T) {
	t.Parallel()

	e := &elevator{status: "COMPLETED", moved: 3} // an earlier move has ended
	if said, err := e.move(t.Context()); err != nil || e.starts != 0 || !strings.Contains(said, "No letter waits") {
		t.Errorf("%d starts, %v: %s", e.starts, err, said)
	}
	e = &elevator{letters: 2, held: 2, step: 2} // make letters shows both at this moment
	if said, err := e.move(t.Context()); err != nil || e.starts != 1 {
		t.Errorf("%d starts, %v: %s", e.starts, err, said)
	}
	e = &elevator{status: running} // the last letter of a move has left the queue
	if said, err := e.move(t.Context()); err != nil || e.starts != 0 || !strings.Contains(said, "moved to the dispatcher") {
		t.Errorf("%d starts, %v: %s", e.starts, err, said)
	}
}
