package model_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"theoneagents.app/agents/shared/model"
	"theoneagents.app/agents/shared/step"
)

// A reply is a fixed answer of a provider.
type reply struct {
	status int
	kind   string
	body   string
}

func (r *reply) RoundTrip(in *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	if r.kind != "" {
		header.Set("X-Amzn-ErrorType", r.kind)
	}
	return &http.Response{
		StatusCode: r.status, Header: header, Request: in, Body: io.NopCloser(strings.NewReader(r.body)), ContentLength: int64(len(r.body)),
	}, nil
}

// FuzzReply checks that every reply of a provider becomes an answer or a
// failure with a text of this package.
func FuzzReply(f *testing.F) {
	f.Add(uint16(200), "", converse("end_turn", `[{"text": "fine"}]`), false)
	f.Add(uint16(200), "", converse("tool_use", `[{"toolUse": {"toolUseId": "1", "name": "answer", "input": {"n": 1e400}}}]`), true)
	f.Add(uint16(200), "", converse("tool_use", `[{"toolUse": null}, {"text": null}, null]`), true)
	f.Add(uint16(200), "", `{"output": {}, "usage": {"inputTokens": 1e300}}`, false)
	f.Add(uint16(166), "", `{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}`, false)
	f.Add(uint16(200), "", completion("stop", `{"role": "assistant", "content": "{}"}`), true)
	f.Add(uint16(200), "", `{"choices": [null], "usage": {"prompt_tokens": "x"}}`, false)
	f.Add(uint16(429), "ThrottlingException", `{"message": "sk-secret"}`, false)
	f.Add(uint16(500), "no:such/thing#at.all", "\xff", true)
	at := &reply{}
	client := &http.Client{Transport: at}
	url := "https://model.example"
	models := map[string]step.Model{
		"OpenAI": model.NewOpenAI(url+"/v1/", "sk-secret", client, names()),
		"Bedrock": model.Bedrock{Names: names(), API: bedrockruntime.New(bedrockruntime.Options{
			Region: "eu-central-1", BaseEndpoint: &url, RetryMaxAttempts: 1, HTTPClient: client,
			Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		})},
	}
	f.Fuzz(func(t *testing.T, status uint16, kind, body string, schema bool) {
		*at = reply{status: 200 + int(status)%400, kind: kind, body: body}
		if status == http.StatusOK {
			at.status = http.StatusOK
		}
		q := question()
		if schema {
			q = withSchema()
		}
		for name, m := range models {
			a, err := m.Ask(t.Context(), q)
			var why interface{ Reason() string }
			switch {
			case err == nil:
				if at.status >= http.StatusMultipleChoices {
					t.Errorf("%s answers %d with %+v", name, at.status, a)
				}
				if _, err := json.Marshal(a.Usage); err != nil {
					t.Errorf("%s has a usage without JSON: %v", name, err)
				}
			case !errors.As(err, &why) || !strings.HasPrefix(why.Reason(), "the ") && why.Reason() != "no answer in time" || len(why.Reason()) > 40:
				t.Errorf("%s fails without a reason of ours: %v", name, err)
			case a.Text != "":
				t.Errorf("%s fails and says %q", name, a.Text)
			}
		}
	})
}
