package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/step"
)

// Converser is the part of the Bedrock client that is used.
type Converser interface {
	Converse(
		ctx context.Context, in *bedrockruntime.ConverseInput, opts ...func(*bedrockruntime.Options),
	) (*bedrockruntime.ConverseOutput, error)
}

// Bedrock calls Amazon Bedrock's Converse API. The client must not retry calls,
// because each is billed.
type Bedrock struct {
	API   Converser
	Names Names
}

// Ask implements step.Model.
func (b Bedrock) Ask(ctx context.Context, q step.Question) (step.Answer, error) {
	in, err := b.input(q)
	if err != nil {
		return step.Answer{}, permanent("the question could not be encoded", err)
	}
	out, err := b.API.Converse(ctx, in)
	if err != nil {
		return step.Answer{Usage: execution.Usage{Model: *in.ModelId}}, bedrockFailure(err)
	}
	return answer(*in.ModelId, out)
}

func (b Bedrock) input(q step.Question) (*bedrockruntime.ConverseInput, error) {
	parts, err := prompt(q)
	if err != nil {
		return nil, err
	}
	content := make([]types.ContentBlock, 0, len(parts))
	for _, p := range parts {
		content = append(content, &types.ContentBlockMemberText{Value: p})
	}
	in := &bedrockruntime.ConverseInput{
		ModelId:  aws.String(b.Names.of(q)),
		System:   []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: system(q)}},
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: content}},
		InferenceConfig: &types.InferenceConfiguration{
			MaxTokens: aws.Int32(int32(q.Tier.MaxTokens())), //nolint:gosec // a few thousand.
		},
		RequestMetadata: map[string]string{
			"org_id": string(q.Org), "execution_id": string(q.Execution), "step_id": string(q.Step),
		},
	}
	if q.Schema != nil {
		in.ToolConfig = forced(q.Schema)
	}
	return in, nil
}

// forced makes the model answer with a tool whose input has the schema.
func forced(schema map[string]any) *types.ToolConfiguration {
	return &types.ToolConfiguration{
		Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
			Name: aws.String(toolName), Description: aws.String(toolDescription),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(schema)},
		}}},
		ToolChoice: &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(toolName)}},
	}
}

func answer(name string, out *bedrockruntime.ConverseOutput) (step.Answer, error) {
	a := step.Answer{Usage: execution.Usage{Model: name}}
	if u := out.Usage; u != nil {
		a.Usage.InputTokens, a.Usage.OutputTokens = int64(aws.ToInt32(u.InputTokens)), int64(aws.ToInt32(u.OutputTokens))
	}
	if err := stopped(out.StopReason); err != nil {
		return a, err
	}
	message, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok {
		return a, permanent("the model's answer is empty", errNothing)
	}
	for _, block := range message.Value.Content {
		switch block := block.(type) {
		case *types.ContentBlockMemberToolUse:
			text, err := toolInput(block.Value.Input)
			a.Text = text
			return a, err
		case *types.ContentBlockMemberText:
			a.Text += block.Value
		}
	}
	return a, nil
}

// stopped returns why the answer cannot be used, or nil.
func stopped(why types.StopReason) error {
	switch why {
	case types.StopReasonMaxTokens, types.StopReasonModelContextWindowExceeded:
		return cut()
	case types.StopReasonContentFiltered, types.StopReasonGuardrailIntervened:
		return permanent("the model refused", errRefused)
	case types.StopReasonEndTurn, types.StopReasonToolUse, types.StopReasonStopSequence,
		types.StopReasonMalformedModelOutput, types.StopReasonMalformedToolUse:
	}
	return nil // step.Service validates the answer
}

func toolInput(in document.Interface) (string, error) {
	if in == nil {
		return "", nil
	}
	text, err := in.MarshalSmithyDocument()
	if err != nil {
		return "", permanent("the answer could not be read", err)
	}
	if !json.Valid(text) {
		return "", permanent("the answer could not be read", errNothing)
	}
	return string(text), nil
}

// throttledFor returns the pause that the answer behind err requests.
func throttledFor(err error) time.Duration {
	answer, is := errors.AsType[*smithyhttp.ResponseError](err)
	if !is || answer.Response == nil || answer.Response.Response == nil {
		return 0
	}
	return retryAfter(answer.Response.Header)
}

// bedrockFailure classifies errors by the required reaction; see
// step.ErrElsewhere.
func bedrockFailure(err error) error {
	var (
		throttled   *types.ThrottlingException
		unavailable *types.ServiceUnavailableException
		slow        *types.ModelTimeoutException
		notReady    *types.ModelNotReadyException
		internal    *types.InternalServerException
		invalid     *types.ValidationException
		denied      *types.AccessDeniedException
		missing     *types.ResourceNotFoundException
		broken      *types.ModelErrorException
	)
	switch {
	case errors.As(err, &throttled):
		return busy(err, throttledFor(err))
	case errors.As(err, &unavailable), errors.As(err, &internal), errors.As(err, &notReady):
		return tryFallback("the model is down", err)
	case errors.As(err, &slow):
		return tryFallback("the model took too long", err)
	case errors.As(err, &invalid), errors.As(err, &denied), errors.As(err, &missing), errors.As(err, &broken):
		return permanent("the model refused the question", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return permanent("no answer in time", err)
	}
	return tryFallback("the model could not be reached", fmt.Errorf("converse: %w", err))
}
