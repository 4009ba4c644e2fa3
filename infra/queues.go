package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	// visibilityFactor times the dispatcher's timeout is the visibility timeout
	// of a message. With less, Lambda's own retries deliver it twice.
	visibilityFactor = 6
	// maxReceives is the number of deliveries of a message, the maximum of SQS. A
	// delivery that Lambda throttles, or whose worker cannot start, counts too: at one
	// a visibility timeout they last for 16 hours. The dispatcher gives up earlier, by
	// the message's age.
	maxReceives = 1000
	batch       = 10
	keepDays    = 14 // the maximum of SQS
)

// queues are the path of a message: from Events to the dispatcher; if no worker can
// be started, or the bus cannot deliver, to Undelivered, raw, and from there to the
// dispatcher too. What the dispatcher gives up goes to DeadLetters with the reason,
// for operators. Unswept
// holds the scheduler's undelivered calls of the sweeper, which are not events.
type queues struct {
	Events, Undelivered, DeadLetters, Unswept awssqs.Queue
}

func newQueues(scope constructs.Construct) queues {
	hidden := awscdk.Duration_Seconds(jsii.Number(visibilityFactor * planned(dispatcher).timeout))
	letters := newQueue(scope, "DeadLetters", "dead-letters", &awssqs.QueueProps{})
	// SQS moves letters back only from the dead-letter queue of another queue.
	undelivered := newQueue(scope, "Undelivered", "undelivered", &awssqs.QueueProps{
		VisibilityTimeout: hidden,
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: letters, MaxReceiveCount: jsii.Number(maxReceives)},
	})
	return queues{
		Undelivered: undelivered,
		Events: newQueue(scope, "Events", "events", &awssqs.QueueProps{
			VisibilityTimeout: hidden,
			DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: undelivered, MaxReceiveCount: jsii.Number(maxReceives)},
		}),
		DeadLetters: letters,
		Unswept:     newQueue(scope, "Unswept", "unswept", &awssqs.QueueProps{}),
	}
}

func newQueue(scope constructs.Construct, id, name string, p *awssqs.QueueProps) awssqs.Queue {
	p.QueueName = named(scope, name)
	p.EnforceSSL = jsii.Bool(true)
	p.Encryption = awssqs.QueueEncryption_SQS_MANAGED
	p.RetentionPeriod = awscdk.Duration_Days(jsii.Number(keepDays))
	return awssqs.NewQueue(scope, jsii.String(id+"Queue"), p)
}

// feed connects the queues to the dispatcher. Without the flag for partial
// failures Lambda ignores the list of failed messages and deletes the whole
// batch.
func feed(dispatcher awslambda.IFunction, q queues, c concurrency) {
	events, undelivered := c.mappings()
	for _, from := range []struct {
		queue awssqs.Queue
		most  int // batches at a time
	}{{q.Events, events}, {q.Undelivered, undelivered}} {
		dispatcher.AddEventSource(awslambdaeventsources.NewSqsEventSource(from.queue, &awslambdaeventsources.SqsEventSourceProps{
			BatchSize:               jsii.Number(batch),
			MaxConcurrency:          jsii.Number(from.most),
			ReportBatchItemFailures: jsii.Bool(true),
		}))
	}
}
