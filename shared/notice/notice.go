// Package notice reaches people: SMS through Amazon SNS, e-mail through Amazon
// SES, and chat and webhooks over HTTPS.
//
// A failed call is sorted into three: the recipient cannot be reached; the
// message was surely not sent; or nobody knows. Only webhooks carry a key by
// which the receiver recognizes a repetition, so only they are repeated when
// nobody knows.
package notice

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	sestypes "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"theoneagents.app/agents/shared/step"
)

// Publisher is the part of the SNS client that is used.
type Publisher interface {
	Publish(ctx context.Context, in *sns.PublishInput, opts ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// SMS sends text messages. The client must not repeat calls by itself: SNS has
// no idempotency key.
type SMS struct {
	API Publisher
}

// Send implements step.Sender.
func (s SMS) Send(ctx context.Context, m step.Message) error {
	text := func(v string) snstypes.MessageAttributeValue {
		return snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	_, err := s.API.Publish(ctx, &sns.PublishInput{
		PhoneNumber: &m.Recipient, Message: &m.Body,
		MessageAttributes: map[string]snstypes.MessageAttributeValue{
			"org_id": text(string(m.Org)), "idempotency_key": text(m.Key),
		},
	})
	return sorted("sms", err)
}

// Mailer is the part of the SES client that is used.
type Mailer interface {
	SendEmail(ctx context.Context, in *sesv2.SendEmailInput, opts ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error)
}

// Email sends e-mail. The client must not repeat calls by itself: SES has no
// idempotency key.
type Email struct {
	API  Mailer
	From string
}

// Send implements step.Sender.
func (e Email) Send(ctx context.Context, m step.Message) error {
	_, err := e.API.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: &e.From,
		Destination:      &sestypes.Destination{ToAddresses: []string{m.Recipient}},
		EmailTags:        []sestypes.MessageTag{{Name: aws.String("org_id"), Value: aws.String(string(m.Org))}},
		Content: &sestypes.EmailContent{Simple: &sestypes.Message{
			Subject: &sestypes.Content{Data: aws.String(oneLine(m.Subject))},
			Body:    &sestypes.Body{Text: &sestypes.Content{Data: &m.Body}},
			Headers: []sestypes.MessageHeader{
				{Name: aws.String("X-Org-Id"), Value: aws.String(string(m.Org))},
				{Name: aws.String("Idempotency-Key"), Value: &m.Key},
			},
		}},
	})
	return sorted("email", err)
}

// oneLine keeps what comes from an event from adding headers.
func oneLine(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r == '\r' || r == '\n' {
			out[i] = ' '
		}
	}
	return string(out)
}

// throttled reports whether a code means that there were too many calls. SNS has
// one of its own.
func throttled(code string) bool {
	_, usual := retry.DefaultThrottleErrorCodes[code]
	return usual || code == "Throttled"
}

// sorted sorts an AWS error: one that the service answered means that nothing
// was sent; without an answer nobody knows.
func sorted(channel string, err error) error {
	if err == nil {
		return nil
	}
	api, answered := errors.AsType[smithy.APIError](err)
	switch {
	case !answered:
		return fmt.Errorf("%s: %w", channel, err)
	case api.ErrorFault() == smithy.FaultServer, throttled(api.ErrorCode()):
		return fmt.Errorf("%s: %w", channel, errors.Join(step.ErrAgain, err))
	}
	return fmt.Errorf("%s: %w", channel, errors.Join(step.ErrNotification, err))
}
