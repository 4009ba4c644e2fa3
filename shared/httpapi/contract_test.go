package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	files "theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/template"
)

// loaded is the document that everything is held against.
var loaded = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

func theContract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheServedDocumentIsTheContract(t *testing.T) {
	t.Parallel()

	data, err := json.Marshal(theContract(t))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Indent(&want, data, "", " "); err != nil {
		t.Fatal(err)
	}
	want.WriteByte('\n')
	const file = "openapi.gen.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what openapi.yaml says; run go generate", file)
	}
}

func TestTheContractKnowsEveryWordOfTheDomain(t *testing.T) {
	t.Parallel()

	all, err := catalog.Load(files.Files)
	if err != nil {
		t.Fatal(err)
	}
	var products []string
	for _, e := range all.Events() {
		products = append(products, e.Product)
	}
	for schema, words := range map[string][]string{
		"AgentStatus":      texts(agent.Statuses()),
		"AgentType":        texts(agent.Types()),
		"Outcome":          texts(agent.Outcomes()),
		"Operator":         texts(agent.Operators()),
		"TemplateCategory": texts(template.Categories()),
		"ExecutionStatus":  texts(execution.Statuses()),
		"ApprovalStatus":   texts(approval.Statuses()),
		"OnExpiry":         texts([]agent.OnExpiry{agent.Deny, agent.Approve, agent.Escalate}),
		"ModelTier":        texts(credit.Tiers()),
		"Category":         catalog.Categories(),
		"Product":          products,
	} {
		known := theContract(t).Components.Schemas[schema].Value.Enum
		for _, word := range words {
			if !slices.Contains(known, any(word)) {
				t.Errorf("%s has no %q", schema, word)
			}
		}
		if schema != "Product" && len(known) != len(words) {
			t.Errorf("%s has %v, the domain %v", schema, known, words)
		}
	}
}

func texts[T ~string](values []T) []string {
	return each(values, func(v T) string { return string(v) })
}
