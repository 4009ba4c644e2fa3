package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	files "theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/httpapi/spec/document"
	"theoneagents.app/agents/shared/template"
	"theoneagents.app/agents/shared/tenant"
)

// loaded returns the parsed and validated openapi.yaml.
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

	const file = "openapi.gen.json"
	source, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := document.JSON(source)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from openapi.yaml; run go generate", file)
	}
}

func TestTheContractHasEveryValueOfTheDomain(t *testing.T) {
	t.Parallel()

	all, err := catalog.Load(files.Files)
	if err != nil {
		t.Fatal(err)
	}
	var products []string
	for _, e := range all.Events() {
		products = append(products, e.Product)
	}
	for place, words := range map[string][]string{
		"AgentStatus":          texts(agent.Statuses()),
		"AgentType":            texts(agent.Types()),
		"Outcome":              texts(definition.Outcomes()),
		"Operator":             texts(condition.Operators()),
		"StepType":             texts(definition.Kinds()),
		"Channel":              texts(definition.Channels()),
		"OnError":              texts(definition.OnErrors()),
		"OnExpiry":             texts(definition.OnExpiries()),
		"ConditionContext":     texts(condition.Contexts()),
		"ConflictBehavior":     texts([]definition.Conflict{definition.Additive, definition.Override}),
		"TemplateCategory":     texts(template.Categories()),
		"ExecutionStatus":      texts(execution.Statuses()),
		"StepStatus":           texts(execution.StepStatuses()),
		"ApprovalStatus":       texts(approval.Statuses()),
		"ModelTier":            texts(credit.Tiers()),
		"AuditKind":            texts(audit.Kinds()),
		"AuditCredential.type": texts([]audit.CredentialKind{audit.Session, audit.Key}),
		"OpenRuns":             texts(tenant.OpenRunsChoices()),
		"Policy":               texts(tenant.Policies()), // its properties
		"SettingsPatch.policy": texts(tenant.Policies()),
		"KeyAccess":            texts([]caller.Access{caller.Read, caller.ReadWrite}),
		"Role":                 texts([]caller.Role{caller.Owner, caller.Admin, caller.Member, caller.Viewer}),
		"Right":                texts(caller.Acts()),
		"FilterableField.type": texts([]catalog.FieldType{catalog.String, catalog.Number, catalog.Boolean, catalog.Enum}),
		"ActionParam.type": texts([]catalog.FieldType{
			catalog.String, catalog.Number, catalog.Boolean, catalog.Enum, catalog.Object, catalog.Array,
		}),
		"ActionParam.role":  texts(catalog.Roles()),
		"ActionRisk":        texts(catalog.Risks()),
		"AgentPatch.status": texts(agent.Statuses()),
		"StartedBy.type":    {"event", "user", "key"},
		"Category":          catalog.Categories(),
		"Product":           unique(products),
		"CreditsByModel":    texts(credit.Tiers()),     // its properties
		"Step":              texts(definition.Kinds()), // its discriminator
	} {
		known := allowedValues(theContract(t), place)
		slices.Sort(known)
		words = slices.Sorted(slices.Values(words))
		if !slices.Equal(known, words) {
			t.Errorf("%s has %v, the domain %v", place, known, words)
		}
	}
}

func TestTheContractHasTheChoicesAndTheDefaultOfEveryPolicy(t *testing.T) {
	t.Parallel()

	fields := theContract(t).Components.Schemas["Policy"].Value.Properties
	for _, p := range tenant.Policies() {
		field, ok := fields[string(p)]
		if !ok {
			t.Errorf("the document does not have %s", p)
			continue
		}
		choices := p.Choices()
		if got := each(field.Value.Enum, func(v any) string { return fmt.Sprint(v) }); !slices.Equal(got, texts(choices)) {
			t.Errorf("%s has the values %v in the document, %v in package tenant", p, got, choices)
		}
		if got := field.Value.Default; got != string(choices[0]) {
			t.Errorf("the default of %s is %v in the document, %s in package tenant", p, got, choices[0])
		}
	}
}

// The schema of each kind of step has the fields of its row in package definition
// and the common fields.
func TestTheContractHasEveryFieldOfAStep(t *testing.T) {
	t.Parallel()

	doc := theContract(t)
	common := []string{"id", "type", "name", "if", "on_error", "retry", "timeout_seconds"}
	mapping := doc.Components.Schemas["Step"].Value.Discriminator.Mapping
	for _, k := range definition.Kinds() {
		ref, ok := mapping[string(k)]
		if !ok {
			t.Errorf("the discriminator of Step does not have %s", k)
			continue
		}
		name := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
		known := slices.Sorted(maps.Keys(doc.Components.Schemas[name].Value.Properties))
		fields := slices.DeleteFunc(slices.Clone(known), func(f string) bool { return slices.Contains(common, f) })
		if want := slices.Sorted(slices.Values(k.Fields())); !slices.Equal(fields, want) {
			t.Errorf("%s has the fields %v in the document, %v in package definition", k, fields, want)
		}
		if !slices.ContainsFunc(doc.Components.Schemas["Step"].Value.OneOf, func(s *openapi3.SchemaRef) bool { return s.Ref == ref.Ref }) {
			t.Errorf("%s is not among the forms of Step", name)
		}
	}
}

// allowedValues returns the words that a schema, or one of its properties, allows:
// its enum, the cases of its discriminator, or the names of its properties.
func allowedValues(doc *openapi3.T, place string) []string {
	name, property, _ := strings.Cut(place, ".")
	schema := doc.Components.Schemas[name].Value
	if property != "" {
		schema = schema.Properties[property].Value
	}
	switch {
	case schema.Discriminator != nil:
		return slices.Collect(maps.Keys(schema.Discriminator.Mapping))
	case len(schema.Enum) > 0:
		return each(schema.Enum, func(v any) string { return fmt.Sprint(v) })
	}
	return slices.Collect(maps.Keys(schema.Properties))
}

// unique returns the words without repetitions.
func unique(words []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(words)))
}

func texts[T ~string](values []T) []string {
	return each(values, func(v T) string { return string(v) })
}
