package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// inbox is the part of the SQS client that is used.
type inbox interface {
	ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, opts ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	ChangeMessageVisibilityBatch(
		ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, opts ...func(*sqs.Options),
	) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, opts ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	GetQueueAttributes(
		ctx context.Context, in *sqs.GetQueueAttributesInput, opts ...func(*sqs.Options),
	) (*sqs.GetQueueAttributesOutput, error)
}

const (
	// hold is the visibility timeout: SQS hides a received letter from other
	// receivers for this long, unless it is put back earlier.
	hold = 2 * time.Minute
	// patience limits the time of take. It is shorter than hold, so that no
	// received letter becomes visible again before take ends.
	patience = 100 * time.Second
	// wait is the time that a call waits for letters, in seconds. Such long
	// polling asks all of SQS's servers; short polling asks a few and can miss
	// letters.
	wait = 1
	// most is the maximum of messages per call.
	most = 10
)

// A deadLetters is the dead-letter queue. SQS cannot list the messages of a queue:
// it only delivers them, and hides each until its visibility timeout. So listing
// means receiving all letters and putting them back. No letter is lost when the
// program is killed: SQS makes it visible again after hold. The dead-letter queue
// has no redrive policy, so SQS moves no letter however often it is received, and
// its 14 days of retention go on.
type deadLetters struct {
	api inbox
	url string
	now func() time.Time
}

// take receives the letters and returns them oldest first; whole is false when
// patience ended before the queue was empty. The caller must put the letters
// back, after an error too.
func (p deadLetters) take(ctx context.Context) (found []letter, whole bool, err error) {
	taken := map[string]letter{}
	end := p.now().Add(patience)
	for p.now().Before(end) {
		out, err := p.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &p.url, MaxNumberOfMessages: most, WaitTimeSeconds: wait, VisibilityTimeout: int32(hold / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		})
		if err != nil {
			return inOrder(taken), false, fmt.Errorf("receive dead letters: %w", err)
		}
		if len(out.Messages) == 0 {
			return inOrder(taken), true, nil
		}
		for _, m := range out.Messages {
			l := read(aws.ToString(m.Body))
			l.ID, l.receipt, l.Sent = aws.ToString(m.MessageId), aws.ToString(m.ReceiptHandle), sentAt(m)
			taken[l.ID] = l // the newest receipt counts
		}
	}
	return inOrder(taken), false, nil
}

func inOrder(taken map[string]letter) []letter {
	all := make([]letter, 0, len(taken))
	for _, l := range taken {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b letter) int {
		return cmp.Or(a.Sent.Compare(b.Sent), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func sentAt(m types.Message) time.Time {
	ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// putBack makes the letters visible again, after an interruption too.
func (p deadLetters) putBack(ctx context.Context, letters []letter) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var left int
	var errs []error
	for some := range slices.Chunk(letters, most) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &p.url}
		for i, l := range some {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(l.receipt), VisibilityTimeout: 0,
			})
		}
		out, err := p.api.ChangeMessageVisibilityBatch(ctx, in)
		if err != nil {
			errs = append(errs, err)
			left += len(some)
			continue
		}
		left += len(out.Failed)
	}
	if left == 0 {
		return nil
	}
	return fmt.Errorf("%d dead letters were not put back; SQS makes them visible again within %v: %w",
		left, hold, errors.Join(append(errs, errStill)...))
}

var errStill = errors.New("SQS still hides them")

// throwAway deletes a letter.
func (p deadLetters) throwAway(ctx context.Context, l letter) error {
	_, err := p.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &p.url, ReceiptHandle: &l.receipt})
	if err != nil {
		return fmt.Errorf("delete the letter %s: %w", l.ID, err)
	}
	return nil
}

// A level is the approximate number of messages in a queue.
type level struct {
	Visible int `json:"visible"`
	Hidden  int `json:"hidden"` // delivered to a receiver and not deleted yet
}

func levelOf(ctx context.Context, api inbox, url string) (level, error) {
	out, err := api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}})
	if err != nil {
		return level{}, fmt.Errorf("count the messages of %s: %w", url, err)
	}
	number := func(name types.QueueAttributeName) int {
		n, _ := strconv.Atoi(out.Attributes[string(name)]) // SQS returns numbers
		return n
	}
	return level{
		Visible: number(types.QueueAttributeNameApproximateNumberOfMessages),
		Hidden:  number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
	}, nil
}

// levels are the levels of all queues that an event can pass.
type levels struct {
	Events      level `json:"events"`
	Undelivered level `json:"undelivered"`
	DeadLetters level `json:"dead_letters"`
}

func levelsOf(ctx context.Context, api inbox, at target) (l levels, err error) {
	var errs [3]error
	l.Events, errs[0] = levelOf(ctx, api, at.events)
	l.Undelivered, errs[1] = levelOf(ctx, api, at.undelivered)
	l.DeadLetters, errs[2] = levelOf(ctx, api, at.deadLetters)
	return l, errors.Join(errs[:]...)
}
