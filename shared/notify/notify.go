// Package notify sends messages: SMS through Amazon SNS, e-mail through Amazon
// SES, and chat and webhooks over HTTPS.
//
// A failed call has one of three results: the recipient cannot be reached, the
// message was certainly not sent, or it may have been sent. Only webhooks carry
// an idempotency key that the receiver can check, so only they are repeated in
// the third case.
package notify

import (
	"context"
	"errors"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	sestypes "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"theoneagents.app/agents/shared/httpcall"
	"theoneagents.app/agents/shared/step"
)

// Publisher is the part of the SNS client that is used.
type Publisher interface {
	Publish(ctx context.Context, in *sns.PublishInput, opts ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// maxSMS is SNS's limit for one call, in characters; SNS splits longer texts
// into parts.
const maxSMS = 1600

// SMS sends text messages. The client must not retry calls: SNS has no
// idempotency key.
type SMS struct {
	API Publisher
}

// Send implements step.Sender.
func (s SMS) Send(ctx context.Context, m step.Message) error {
	text := func(v string) snstypes.MessageAttributeValue {
		return snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	message := fit(plain(m.Body), maxSMS, units)
	_, err := s.API.Publish(ctx, &sns.PublishInput{
		PhoneNumber: &m.Recipient, Message: &message,
		MessageAttributes: map[string]snstypes.MessageAttributeValue{
			"org_id": text(string(m.Org)), "idempotency_key": text(m.Key),
		},
	})
	return classify("Amazon SNS", err)
}

// Mailer is the part of the SES client that is used.
type Mailer interface {
	SendEmail(ctx context.Context, in *sesv2.SendEmailInput, opts ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error)
}

// maxSubject limits the subject, in characters.
const maxSubject = 250

// Email sends e-mail with equal text and HTML parts. The client must not retry
// calls: SES has no idempotency key.
type Email struct {
	API  Mailer
	From string
}

// Send implements step.Sender.
func (e Email) Send(ctx context.Context, m step.Message) error {
	subject := fit(oneLine(m.Subject), maxSubject, units)
	html, err := pageOf(subject, m)
	if err != nil {
		return permanent("the message could not be encoded", err)
	}
	utf8 := func(s string) *sestypes.Content { return &sestypes.Content{Data: &s, Charset: aws.String("UTF-8")} }
	_, err = e.API.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: &e.From,
		Destination:      &sestypes.Destination{ToAddresses: []string{m.Recipient}},
		EmailTags:        []sestypes.MessageTag{{Name: aws.String("org_id"), Value: aws.String(string(m.Org))}},
		Content: &sestypes.EmailContent{Simple: &sestypes.Message{
			Subject: utf8(subject),
			Body:    &sestypes.Body{Text: utf8(m.Body), Html: utf8(html)},
			Headers: []sestypes.MessageHeader{
				{Name: aws.String("X-Org-Id"), Value: aws.String(string(m.Org))},
				{Name: aws.String("Idempotency-Key"), Value: &m.Key},
			},
		}},
	})
	return classify("Amazon SES", err)
}

// overloaded reports whether a code means too many calls. SNS has a code of its
// own.
func overloaded(code string) bool {
	_, usual := retry.DefaultThrottleErrorCodes[code]
	return usual || code == "Throttled"
}

// classify returns the failure for an AWS error. After an answer of the
// service, or without a connection, the message was not sent; otherwise its
// outcome is unknown.
func classify(service string, err error) error {
	if err == nil {
		return nil
	}
	api, answered := errors.AsType[smithy.APIError](err)
	switch {
	case !answered && httpcall.Unconnected(err):
		return httpcall.Failure{Text: service + " could not be reached", Cause: errors.Join(step.ErrAgain, err)}
	case !answered:
		return httpcall.Failure{Text: service + " gave no answer", Cause: err}
	case api.ErrorFault() == smithy.FaultServer, overloaded(api.ErrorCode()):
		return httpcall.Failure{Text: refusal(service, api.ErrorCode()), Cause: errors.Join(step.ErrAgain, err)}
	}
	return permanent(refusal(service, api.ErrorCode()), err)
}

// refusals returns the meaning of SES and SNS error codes.
func refusals() map[string]string {
	return map[string]string{
		"MessageRejected":                    "rejected the message; the address or the sender may not be verified",
		"MailFromDomainNotVerifiedException": "has not verified the sender's domain",
		"AccountSuspendedException":          "has suspended the platform's account",
		"SendingPausedException":             "has paused the platform's sending",
		"LimitExceededException":             "is at the platform's sending limit",
		"BadRequestException":                "cannot use the address or the message",
		"InvalidParameter":                   "cannot use the phone number or the message",
		"InvalidParameterValue":              "cannot use the phone number or the message",
		"ValidationException":                "cannot use the phone number or the message",
		"OptedOut":                           "may not send to the number, which has opted out",
		"OptedOutException":                  "may not send to the number, which has opted out",
		"AuthorizationError":                 "does not let the platform send",
		"AccessDenied":                       "does not let the platform send",
		"AccessDeniedException":              "does not let the platform send",
	}
}

var codes = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,60}$`)

// refusal returns why a service refused a message, with its code.
func refusal(service, code string) string {
	words, known := refusals()[code]
	switch {
	case known:
	case overloaded(code):
		words = "is limiting the rate of messages"
	default:
		words = "refused the message"
	}
	if !codes.MatchString(code) {
		return service + " " + words
	}
	return service + " " + words + " (" + code + ")"
}
