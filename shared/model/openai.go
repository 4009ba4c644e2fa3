package model

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/step"
)

// OpenAI calls an endpoint with OpenAI's chat completions API.
type OpenAI struct {
	client openai.Client
	names  Names
}

// NewOpenAI returns a client of the endpoint at base, such as
// https://api.openai.com/v1/.
func NewOpenAI(base, key string, client *http.Client, names Names) OpenAI {
	return OpenAI{
		client: openai.NewClient(
			option.WithBaseURL(base), option.WithAPIKey(key), option.WithHTTPClient(client),
			option.WithMaxRetries(0), // each call is billed; the step decides on retries
		),
		names: names,
	}
}

// Ask implements step.Model.
func (o OpenAI) Ask(ctx context.Context, q step.Question) (step.Answer, error) {
	params, err := o.params(q)
	if err != nil {
		return step.Answer{}, permanent("the question could not be encoded", err)
	}
	var raw *http.Response
	out, err := o.client.Chat.Completions.New(ctx, params,
		option.WithResponseInto(&raw),
		option.WithHeader("X-Org-Id", string(q.Org)),
		option.WithHeader("X-One-Agents-Execution", string(q.Execution)),
		option.WithHeader("X-One-Agents-Step", string(q.Step)),
	)
	if err != nil {
		return step.Answer{Usage: execution.Usage{Model: o.names.of(q)}}, openAIFailure(err)
	}
	if raw != nil && raw.StatusCode >= http.StatusMultipleChoices { // the client treats a redirect as an answer
		return step.Answer{}, permanent("the model refused the question", errNothing)
	}
	if out == nil { // the answer was null
		return step.Answer{}, permanent("the model's answer is empty", errNothing)
	}
	a := step.Answer{Usage: execution.Usage{
		Model: out.Model, InputTokens: out.Usage.PromptTokens, OutputTokens: out.Usage.CompletionTokens,
	}}
	if len(out.Choices) == 0 {
		return a, permanent("the model's answer is empty", errNothing)
	}
	choice := out.Choices[0]
	switch {
	case choice.FinishReason == "length":
		a.Text = choice.Message.Content
		return a, cut()
	case choice.FinishReason == "content_filter", choice.Message.Refusal != "":
		return a, permanent("the model refused", errRefused)
	}
	a.Text = choice.Message.Content
	return a, nil
}

func (o OpenAI) params(q step.Question) (openai.ChatCompletionNewParams, error) {
	parts, err := prompt(q)
	if err != nil {
		return openai.ChatCompletionNewParams{}, err
	}
	content := make([]openai.ChatCompletionContentPartUnionParam, 0, len(parts))
	for _, p := range parts {
		content = append(content, openai.TextContentPart(p))
	}
	params := openai.ChatCompletionNewParams{
		Model:               o.names.of(q),
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(system(q)), openai.UserMessage(content)},
		MaxCompletionTokens: openai.Int(int64(q.Tier.MaxTokens())),
	}
	if q.Schema != nil {
		params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{
			OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
				JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: toolName, Schema: q.Schema},
			},
		}
	}
	return params, nil
}

// waitOf returns the pause that an answer, if there is one, requests.
func waitOf(r *http.Response) time.Duration {
	if r == nil {
		return 0
	}
	return retryAfter(r.Header)
}

// openAIFailure classifies errors by the required reaction; see
// step.ErrElsewhere.
func openAIFailure(err error) error {
	var api *openai.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return permanent("no answer in time", err)
	case !errors.As(err, &api):
		return tryFallback("the model could not be reached", err)
	case api.StatusCode == http.StatusTooManyRequests:
		return busy(err, waitOf(api.Response))
	case api.StatusCode == http.StatusRequestTimeout:
		return tryFallback("the model took too long", err)
	case api.StatusCode >= http.StatusInternalServerError:
		return tryFallback("the model is down", err)
	}
	return permanent("the model refused the question", err)
}
