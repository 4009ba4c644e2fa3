package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// moves is the part of the SQS client that moves the messages of a queue.
type moves interface {
	StartMessageMoveTask(ctx context.Context, in *sqs.StartMessageMoveTaskInput, opts ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error)
	ListMessageMoveTasks(ctx context.Context, in *sqs.ListMessageMoveTasksInput, opts ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error)
	GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, opts ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

const (
	// moveRate is the number of letters that SQS moves in a second, its maximum:
	// 100,000 letters take 200 s.
	moveRate = 500
	// look is the time between two looks at a move.
	look = 2 * time.Second
)

// A mover moves all dead letters to the queue of undelivered events, inside AWS. The
// dispatcher handles a letter there like the event that it is about: one that fails
// again becomes a letter again. The move goes on when the program is killed, and the
// next one follows it.
type mover struct {
	surroundings

	api  moves
	from string // URL of the queue of dead letters
	to   string // URL of the queue of undelivered events
	json bool
}

// A movement is the output of a move.
type movement struct {
	Moved   int64  `json:"moved"`
	Letters int64  `json:"letters"` // when the move began
	Status  string `json:"status"`
}

// run starts a move of the letters, or follows a move that is under way, and returns
// when the move has ended. Without a letter it starts no move.
func (m mover) run(ctx context.Context) error {
	source, letters, err := m.queue(ctx, m.from)
	if err != nil {
		return err
	}
	last, err := m.last(ctx, source)
	if err != nil {
		return err
	}
	if last.Status != running && letters == 0 {
		return m.tell(movement{Status: notStarted})
	}
	if last.Status != running {
		destination, _, err := m.queue(ctx, m.to)
		if err != nil {
			return err
		}
		if _, err := m.api.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{
			SourceArn: &source, DestinationArn: &destination, MaxNumberOfMessagesPerSecond: aws.Int32(moveRate),
		}); err != nil {
			return fmt.Errorf("start to move the letters of %s: %w", m.from, err)
		}
	}
	for {
		if last, err = m.last(ctx, source); err != nil {
			return err
		}
		if last.Status != running && last.Status != "CANCELLING" {
			return m.tell(last)
		}
		if !m.json {
			m.say("%d of %d letters moved", last.Moved, last.Letters)
		}
		if err := m.sleep(ctx, look); err != nil {
			m.say("The move goes on inside AWS; the same command follows it.")
			return err
		}
	}
}

const (
	// running is the status of a move that has not ended.
	running = "RUNNING"
	// notStarted is our status of a move that had nothing to move.
	notStarted = "NOT_STARTED"
)

// last returns the newest move; none has no status.
func (m mover) last(ctx context.Context, source string) (movement, error) {
	out, err := m.api.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &source, MaxResults: aws.Int32(1)})
	if err != nil {
		return movement{}, fmt.Errorf("list the moves of %s: %w", m.from, err)
	}
	if len(out.Results) == 0 {
		return movement{}, nil
	}
	r := out.Results[0]
	if r.FailureReason != nil {
		return movement{}, fmt.Errorf("the move of letters failed after %d: %s", r.ApproximateNumberOfMessagesMoved, *r.FailureReason)
	}
	return movement{
		Moved: r.ApproximateNumberOfMessagesMoved, Letters: aws.ToInt64(r.ApproximateNumberOfMessagesToMove), Status: aws.ToString(r.Status),
	}, nil
}

// counts are the attributes of a queue that count its messages, also those that another
// receiver has now. They may lag by a minute.
func counts() []types.QueueAttributeName {
	return []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
}

// queue returns the ARN of a queue and the number of its messages.
func (m mover) queue(ctx context.Context, url string) (arn string, messages int, err error) {
	out, err := m.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: append([]types.QueueAttributeName{types.QueueAttributeNameQueueArn}, counts()...),
	})
	if err != nil {
		return "", 0, fmt.Errorf("read the attributes of %s: %w", url, err)
	}
	for _, name := range counts() {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return "", 0, fmt.Errorf("read the attributes of %s: %s is not a number: %w", url, name, err)
		}
		messages += n
	}
	return out.Attributes[string(types.QueueAttributeNameQueueArn)], messages, nil
}

func (m mover) tell(last movement) error {
	switch {
	case m.json:
		return m.document(last)
	case last.Status == notStarted:
		m.say("No letter waits, so no move was started. The count of SQS may lag by a minute.")
	default:
		m.say("%d letters moved to the dispatcher. What fails again becomes a letter again: make letters lists them.", last.Moved)
	}
	return nil
}
