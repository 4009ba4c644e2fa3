package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queue "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/logging"

	"theoneagents.app/agents/localstack/crash/audit"
	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
)

// A system gives access to the deployed system through its public interfaces.
type system struct {
	world

	outputs cloud.Outputs
	state   string // folder of its state
	aws     aws.Config
	key     *hub.Key
	bus     *cloud.Publisher
	queues  *sqs.Client
	logs    *cloudwatchlogs.Client

	nonce string // part of all ids of this test
	began time.Time
}

// open finds the system that the outputs describe.
func open(w world) (*system, error) {
	outputs, err := cloud.ReadOutputs(w.outputs)
	if err != nil {
		return nil, fmt.Errorf("%w: type make run first", err)
	}
	file, err := filepath.Abs(w.outputs)
	if err != nil {
		return nil, err
	}
	s := &system{world: w, outputs: outputs, state: filepath.Dir(file), began: w.now()}
	s.nonce = strings.ToUpper(strconv.FormatInt(s.began.UnixMilli(), 36))
	if s.key, err = hub.Open(filepath.Join(s.state, "hub.pem")); err != nil {
		return nil, err
	}
	cfg := cloud.Config(outputs.Endpoint)
	cfg.Logger = logging.Nop{} // cut answers of the bus are expected here
	s.aws = cfg
	s.bus, s.queues, s.logs = cloud.NewPublisher(cfg, "crash", outputs.Stack), sqs.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg)
	return s, nil
}

func split(event string) (product, kind string) {
	product, kind, _ = strings.Cut(event, ":")
	return product, kind
}

// put puts an event on the bus of its product. The SDK repeats it when the reply is lost.
func (s *system) put(ctx context.Context, name string, detail any) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	product, kind := split(name)
	if err := s.bus.Put(ctx, product, kind, string(text)); err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	return nil
}

// waiting returns the number of messages in the queues of events.
func (s *system) waiting(ctx context.Context) (int, error) {
	sum := 0
	for _, url := range []string{s.outputs.Events, s.outputs.Undelivered} {
		out, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []queue.QueueAttributeName{queue.QueueAttributeNameAll},
		})
		if err != nil {
			return 0, err
		}
		for _, name := range []queue.QueueAttributeName{
			queue.QueueAttributeNameApproximateNumberOfMessages, queue.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		} {
			n, err := strconv.Atoi(out.Attributes[string(name)])
			if err != nil {
				return 0, fmt.Errorf("%s of %s: %w", name, url, err)
			}
			sum += n
		}
	}
	return sum, nil
}

// letters returns this test's letters in the dead-letter queue and leaves them
// there.
func (s *system) letters(ctx context.Context) ([]audit.Letter, error) {
	var letters []audit.Letter
	seen := map[string]bool{}
	for empty := 0; empty < 2; {
		out, err := s.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &s.outputs.DeadLetters, MaxNumberOfMessages: 10, VisibilityTimeout: 20,
		})
		if err != nil {
			return nil, fmt.Errorf("read the dead letters: %w", err)
		}
		if len(out.Messages) == 0 {
			empty++
		}
		for _, m := range out.Messages {
			var l audit.Letter
			if err := json.Unmarshal([]byte(*m.Body), &l); err != nil {
				return nil, fmt.Errorf("a dead letter is not JSON: %w", err)
			}
			if !seen[*m.MessageId] && strings.Contains(string(l.Event), s.nonce) {
				letters = append(letters, l)
			}
			seen[*m.MessageId] = true
		}
	}
	return letters, nil
}

// lines returns the functions' log lines since the start of the test.
func (s *system) lines(ctx context.Context) ([]audit.Line, error) {
	var lines []audit.Line
	for name, function := range s.outputs.Stack {
		if !strings.HasSuffix(name, "FunctionName") {
			continue
		}
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.logs, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/aws/lambda/" + function), StartTime: aws.Int64(s.began.UnixMilli()),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			var missing interface{ ErrorCode() string }
			if errors.As(err, &missing) && missing.ErrorCode() == "ResourceNotFoundException" {
				break // the function was never called
			}
			if err != nil {
				return nil, fmt.Errorf("read the log of %s: %w", function, err)
			}
			for _, e := range page.Events {
				lines = append(lines, audit.Line{Function: function, Text: aws.ToString(e.Message)})
			}
		}
	}
	return lines, nil
}

// calls returns the stand-ins' calls of the organizations.
func (s *system) calls(ctx context.Context, orgs []*org) ([]audit.Call, error) {
	var calls []audit.Call
	for _, o := range orgs {
		r := s.request(ctx, http.MethodGet, s.outputs.Products+"/_calls?org_id="+o.name, "", nil)
		var page struct {
			Calls []audit.Call `json:"calls"`
		}
		if err := r.into(&page); err != nil {
			return nil, err
		}
		calls = append(calls, page.Calls...)
	}
	return calls, nil
}

// rules sets the stand-ins' faults for the organizations; seed 0 removes them.
func (s *system) rules(ctx context.Context, orgs []*org, seed uint64) error {
	products, models := []doc{}, []doc{}
	for n, o := range orgs {
		if seed == 0 {
			break
		}
		pick := seed + uint64(n)*10
		products = append(products,
			doc{"org_id": o.name, "status": 503, "chance": 0.2, "seed": pick, "delay_ms": 50},
			// A fifth of all calls is a quarter of the remaining four fifths.
			doc{"org_id": o.name, "lost_reply": true, "chance": 0.25, "seed": pick + 1, "delay_ms": 50},
			doc{"org_id": o.name, "delay_ms": 150})
		models = append(models,
			doc{"org_id": o.name, "status": 503, "chance": 0.1, "seed": pick + 2},
			doc{"org_id": o.name, "delay_ms": 200})
	}
	for path, rules := range map[string][]doc{"/_products": products, "/_model": models} {
		if r := s.request(ctx, http.MethodPut, s.outputs.Products+path, "", doc{"rules": rules}); r.code != http.StatusOK {
			return fmt.Errorf("set the rules of the stand-ins: %s", r)
		}
	}
	return nil
}

// invokeAsync invokes a function asynchronously, as its schedule does.
func (s *system) invokeAsync(ctx context.Context, function string) {
	s.request(ctx, http.MethodPost, s.outputs.Endpoint+"/2015-03-31/functions/"+s.function(function)+"/invocations", "event", doc{})
}

// function returns the deployed name of a function.
func (s *system) function(name string) string {
	return s.outputs.Stack[strings.ToUpper(name[:1])+name[1:]+"FunctionName"]
}

// A reply is the answer to a request; the code is 0 when no answer came.
type reply struct {
	code int
	body []byte
	err  error
	to   string // method and URL of the request
}

func (r reply) String() string {
	return fmt.Sprintf("%s: status %d: %.500s %v", r.to, r.code, r.body, r.err)
}

// lost reports whether it is unknown if the request took effect.
func (r reply) lost() bool { return r.code == 0 || r.code >= http.StatusInternalServerError }

func (r reply) into(v any) error {
	if r.code != http.StatusOK {
		return errors.New(r.String())
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return fmt.Errorf("%s: %w", r.to, err)
	}
	return nil
}

func (r reply) text(name string) string {
	var v doc
	if json.Unmarshal(r.body, &v) != nil {
		return ""
	}
	text, _ := v[name].(string)
	return text
}

// request sends a request once. The token "event" makes it an asynchronous
// invocation.
func (s *system) request(ctx context.Context, method, address, token string, body any) reply {
	to := method + " " + address
	text, err := json.Marshal(body)
	if err != nil {
		return reply{err: err, to: to}
	}
	if body == nil {
		text = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return reply{err: err, to: to}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	switch token {
	case "":
	case "event":
		req.Header.Set("X-Amz-Invocation-Type", "Event")
	default:
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return reply{err: err, to: to}
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{err: err, to: to}
	}
	return reply{code: resp.StatusCode, body: answer, to: to}
}

// until repeats is until it returns true. It fails after limit.
func until(ctx context.Context, limit time.Duration, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
