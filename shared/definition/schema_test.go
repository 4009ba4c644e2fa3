package definition_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// schemaFaults returns the faults of a definition with this output_schema.
func schemaFaults(t *testing.T, schema string) []string {
	t.Helper()
	doc := object(t, `{"name": "n", "category": "security",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"},
		"steps": [{"id": "s", "type": "ai_reason", "model": "quick", "prompt": "p", "output_schema": `+schema+`}]}`)
	_, err := rules(t).Parse(doc)
	if err == nil {
		return nil
	}
	var said []string
	for _, d := range fault.From(err).Details {
		if d.Path != "steps[0].output_schema" {
			t.Errorf("the fault is at %s", d.Path)
		}
		said = append(said, d.Message)
	}
	return said
}

func TestASchemaThatWouldNotBeCheckedIsRefused(t *testing.T) {
	t.Parallel()

	const ignored = " is not a keyword of JSON Schema draft 2020-12, so it would not be checked; "
	for name, tc := range map[string]struct{ schema, want string }{
		"nullable":                        {`{"type": "string", "nullable": true}`, `"nullable"` + ignored + `write "type": ["string", "null"]`},
		"nullable below":                  {`{"properties": {"at": {"type": "integer", "nullable": true}}}`, `/properties/at: "nullable"` + ignored + `write "type": ["integer", "null"]`},
		"nullable without a type":         {`{"nullable": true}`, `"nullable"` + ignored + `add "null" to "type", such as "type": ["string", "null"]`},
		"nullable that is false":          {`{"type": "string", "nullable": false}`, `"nullable"` + ignored + `leave it out`},
		"in items":                        {`{"items": {"example": 1}}`, `/items: "example"` + ignored + `write "examples"`},
		"in a list of alternatives":       {`{"anyOf": [{"type": "string"}, {"discriminator": {}}]}`, `/anyOf/1: "discriminator"` + ignored + `leave it out`},
		"in a definition":                 {`{"$defs": {"a/b": {"xml": {}}}}`, `/$defs/a~1b: "xml"` + ignored + `leave it out`},
		"in additionalProperties":         {`{"additionalProperties": {"values": [1]}}`, `/additionalProperties: "values"` + ignored + `write "enum"`},
		"in a condition":                  {`{"if": {"x-y": 1}, "then": true}`, `/if: "x-y"` + ignored + `leave it out`},
		"misspelt":                        {`{"max_length": 3}`, `"max_length"` + ignored + `write "maxLength"`},
		"misspelt by one letter":          {`{"propertes": {}}`, `"propertes"` + ignored + `write "properties"`},
		"a format that is almost right":   {`{"format": "datetime"}`, `/format: "datetime" is not a supported format; did you mean date-time?`},
		"in capitals":                     {`{"Type": "string"}`, `"Type"` + ignored + `write "type"`},
		"of an older draft":               {`{"dependencies": {}}`, `"dependencies"` + ignored + `write "dependentRequired" or "dependentSchemas"`},
		"content":                         {`{"contentEncoding": "base64"}`, `"contentEncoding" is not checked; leave it out`},
		"an unknown format":               {`{"properties": {"n": {"format": "phone"}}}`, `/properties/n/format: "phone" is not a supported format; there are date-time, date, time, duration,`},
		"a format of OpenAPI":             {`{"type": "integer", "format": "int64"}`, `/format: "int64" is not a supported format`},
		"an unknown draft":                {`{"$schema": "https://example.com/x"}`, `/$schema: must be one of https://json-schema.org/draft/2020-12/schema,`},
		"an unknown type":                 {`{"properties": {"n": {"type": "text"}}}`, `is not a JSON Schema: /properties/n/type must be one of array, boolean, integer, null, number, object, string; it is "text"`},
		"required that is not a list":     {`{"required": true}`, `is not a JSON Schema: /required must be an array; it is true`},
		"a property that is not a schema": {`{"properties": {"n": "string"}}`, `is not a JSON Schema: /properties/n must be a boolean or an object; it is "string"`},
		"a negative length":               {`{"minLength": -1}`, `is not a JSON Schema: /minLength must be at least 0; it is -1`},
		"an expression with a lookahead":  {`{"pattern": "(?=a)"}`, `/pattern: is not a JSON Schema: "(?=a)" is not a regular expression of RE2, which has no lookaround and no backreferences`},
		"an expression as a name":         {`{"patternProperties": {"(": {}}}`, `/patternProperties: is not a JSON Schema: "(" is not a regular expression of RE2`},
		"a reference to a missing part":   {`{"$ref": "#/$defs/none"}`, `/$ref: is not a JSON Schema: "#/$defs/none" points to a missing part`},
		"a reference to another document": {`{"$ref": "https://example.com/x.json"}`, `/$ref: is not a JSON Schema: "https://example.com/x.json" is not a part of this schema; a $ref may be # or begin with #/`},
		"a missing anchor":                {`{"$ref": "#none"}`, `is not a JSON Schema: a $ref, an $id or an $anchor in it is unresolved or ambiguous`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := schemaFaults(t, tc.schema)
			if len(got) != 1 || !strings.HasPrefix(got[0], tc.want) {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}

func TestASchemaOfKnownKeywordsIsAccepted(t *testing.T) {
	t.Parallel()

	for name, schema := range map[string]string{
		"every format":                    `{"properties": {"a": {"format": "date-time"}, "b": {"format": "email"}, "c": {"format": "uuid"}, "d": {"format": "ipv6"}, "e": {"format": "hostname"}, "f": {"format": "uri"}, "g": {"format": "regex"}}}`,
		"properties called like keywords": `{"properties": {"nullable": {"type": "boolean"}, "example": true, "format": {"enum": ["phone"]}}}`,
		"values that look like schemas":   `{"enum": [{"nullable": true}], "default": {"x": 1}, "examples": [{"format": "phone"}], "const": {"nullable": true}}`,
		"definitions by their old name":   `{"definitions": {"a": {"type": "string"}}, "$ref": "#/definitions/a"}`,
		"an older draft":                  `{"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}], "additionalItems": false, "dependencies": {"a": ["b"]}}`,
		"a reference to itself":           `{"type": "object", "properties": {"child": {"$ref": "#"}}}`,
		"a reference by an anchor":        `{"$defs": {"a": {"$anchor": "x", "type": "string"}}, "$ref": "#x"}`,
		"no schema at all":                `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := schemaFaults(t, schema); got != nil {
				t.Errorf("it is refused: %q", got)
			}
		})
	}
}

func TestAViolationNamesItsPlaceAndNoValue(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ schema, answer, want string }{
		"it fits":                         {`{"type": "string", "format": "date-time"}`, `"2026-03-09T14:23:01Z"`, ``},
		"a choice":                        {`{"properties": {"priority": {"enum": ["p1", "p2"]}}}`, `{"priority": "urgent"}`, `/priority must be one of p1, p2`},
		"a choice of many":                {`{"enum": [1,2,3,4,5,6,7,8,9,10,11,12,13,14]}`, `0`, `the answer must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, … 2 more`},
		"a date-time":                     {`{"properties": {"at": {"format": "date-time"}}}`, `{"at": "tomorrow"}`, `/at must be a date-time such as 2026-03-09T14:23:01Z`},
		"a date-time without a zone":      {`{"format": "date-time"}`, `"2026-03-09T14:23:01"`, `the answer must be a date-time such as 2026-03-09T14:23:01Z`},
		"an address":                      {`{"format": "email"}`, `"John"`, `the answer must be an e-mail address`},
		"a type":                          {`{"type": ["string", "null"]}`, `5`, `the answer must be a string or null; it is a number`},
		"a missing property":              {`{"properties": {"a": {"required": ["b"]}}}`, `{"a": {}}`, `/a/b is missing`},
		"one too many":                    {`{"additionalProperties": false, "properties": {"a": true}}`, `{"a": 1, "x/y": 2}`, `/* is not allowed`},
		"an item of a list":               {`{"items": {"properties": {"n": {"type": "integer"}}}}`, `[{"n": 1}, {"n": "x"}]`, `/1/n must be an integer; it is a string`},
		"short":                           {`{"minLength": 3}`, `"ü"`, `the answer must have at least 3 characters; it has 1`},
		"small":                           {`{"minimum": 0.5}`, `0.25`, `the answer must be at least 0.5`},
		"large":                           {`{"exclusiveMaximum": 12345678901234567890}`, `12345678901234567890`, `the answer must be less than 12345678901234567890`},
		"a step":                          {`{"multipleOf": 0.1}`, `0.25`, `the answer must be a multiple of 0.1`},
		"a pattern":                       {`{"pattern": "^[a-z]+$"}`, `"A"`, `the answer must match the pattern ^[a-z]+$`},
		"too few items":                   {`{"minItems": 1}`, `[]`, `the answer must have at least 1 items; it has 0`},
		"the same item twice":             {`{"uniqueItems": true}`, `[1, 2, 1.0]`, `the answer must not repeat an item; items 0 and 2 are equal`},
		"no item of a kind":               {`{"contains": {"type": "string"}}`, `[1]`, `the answer must have an item that fits contains; it has none`},
		"the wrong kind for all":          {`{"anyOf": [{"type": "string"}, {"type": "null"}]}`, `5`, `the answer must be a string or null; it is a number`},
		"the nearest of alternatives":     {`{"anyOf": [{"type": "null"}, {"properties": {"p": {"enum": ["p1"]}}}]}`, `{"p": "x"}`, `/p must be one of p1`},
		"two alternatives":                {`{"oneOf": [{"type": "integer"}, {"minimum": 2}]}`, `5`, `the answer fits more than one of the alternatives in oneOf; it is a number`},
		"an excluded value":               {`{"not": {"type": "string"}}`, `"x"`, `the answer is excluded by not`},
		"behind a reference":              {`{"$defs": {"p": {"enum": ["p1"]}}, "properties": {"p": {"$ref": "#/$defs/p"}}}`, `{"p": "x"}`, `/p must be one of p1`},
		"more than three":                 {`{"required": ["a", "b", "c", "d", "e"]}`, `{}`, `/a is missing; /b is missing; /c is missing; and 2 more`},
		"a dependent property":            {`{"dependentRequired": {"a": ["b"]}}`, `{"a": 1}`, `/b is missing; it is required with a`},
		"a long value":                    {`{"type": "integer"}`, `"` + strings.Repeat("x", 100) + `"`, `the answer must be an integer; it is a string`},
		"never":                           {`{"properties": {"a": false}}`, `{"a": 1}`, `/a is not allowed`},
		"a number with all of its digits": {`{"const": 12345678901234567890.5}`, `12345678901234567890.25`, `the answer must be 12345678901234567890.5`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := jsonvalue.Decode([]byte(tc.answer))
			if err != nil {
				t.Fatal(err)
			}
			if got := (definition.AIStep{Schema: object(t, tc.schema)}).Misfit(t.Context(), answer); got != tc.want {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}

// A message of the JSON Schema library must never reach a user.
func FuzzMisfit(f *testing.F) {
	f.Add(`{"type": "object", "unevaluatedProperties": false, "propertyNames": {"maxLength": 1}}`, `{"ab": 1}`)
	f.Add(`{"allOf": [{"minProperties": 2}, {"maxProperties": 0}], "prefixItems": [false]}`, `{"a": 1}`)
	f.Add(`{"$ref": "#"}`, `1`)
	f.Fuzz(func(t *testing.T, schema, answer string) {
		doc, err := jsonvalue.Object([]byte(schema))
		if err != nil {
			return
		}
		v, err := jsonvalue.Decode([]byte(answer))
		if err != nil {
			return
		}
		compiled, err := definition.CompileSchema(doc)
		if err != nil {
			return
		}
		said := definition.AIStep{Schema: doc}.Misfit(t.Context(), v)
		invalid := compiled.Validate(v)
		// A check that would take too much work may refuse an answer that fits.
		if limited := []string{"the output_schema cannot be used", "the answer has the number ", "checking the answer takes too much work"}; slices.ContainsFunc(
			limited, func(s string) bool { return strings.HasPrefix(said, s) },
		) {
			return
		}
		if (invalid == nil) != (said == "") {
			t.Errorf("%s for %s: %q, but %v", answer, schema, said, invalid)
		}
		if foreign := []string{"jsonschema", "urn:", "got ", "kind."}; slices.ContainsFunc(foreign, func(s string) bool {
			return strings.Contains(said, s) && !strings.Contains(schema+answer, s)
		}) {
			t.Errorf("it says %q", said)
		}
	})
}

// An answer that costs nothing must not be read in the trace: no value and no name
// that the schema does not have is in a message.
func TestAViolationNeverQuotesTheAnswer(t *testing.T) {
	t.Parallel()

	schemas := []string{
		`{"type": "integer"}`, `{"enum": ["p1"]}`, `{"const": "p1"}`, `{"const": 7}`, `{"pattern": "^never$"}`, `{"format": "email"}`, `{"format": "date"}`,
		`{"maxLength": 0}`, `{"minLength": 100000}`, `{"not": {}}`, `{"not": {"type": ["string", "object", "array", "number"]}}`, `false`,
		`{"additionalProperties": false}`, `{"additionalProperties": {"type": "null"}}`, `{"propertyNames": {"maxLength": 1}}`,
		`{"patternProperties": {"": {"type": "null"}}}`, `{"required": ["missing"]}`, `{"dependentRequired": {"secret_name": ["b"]}}`,
		`{"anyOf": [{"type": "boolean"}, {"const": 1}]}`, `{"oneOf": [{}, {}]}`, `{"items": {"type": "null"}}`, `{"items": {"additionalProperties": {"enum": [1]}}}`,
		`{"contains": {"const": 1}}`, `{"uniqueItems": true}`, `{"maximum": -1}`, `{"multipleOf": 7919}`, `{"exclusiveMinimum": 1e30}`, `{"maxItems": 0}`,
		`{"maxProperties": 0}`, `{"unevaluatedProperties": false}`, `{"unevaluatedItems": false}`, `{"prefixItems": [{"type": "null"}], "items": false}`,
		`{"allOf": [{"properties": {"a": {"pattern": "^x$"}}}]}`, `{"if": {}, "then": false}`, `{"dependentSchemas": {"a": false}}`,
	}
	const secret = "31415926535"
	answers := []string{
		`"SECRET"`, secret, `[SECRETS]`, `["SECRET", "SECRET"]`, `{"SECRET": 1}`, `{"SECRET": {"SECRET": "SECRET"}}`, `{"a": "SECRET", "b": ["SECRET", ` + secret + `]}`,
		`[{"SECRET": "SECRET"}]`, `{"` + secret + `": {"` + secret + `": 1}}`, `{"a": {"SECRET": [{"SECRET": ` + secret + `}]}}`, `"SECRET ` + secret + `"`,
	}
	said := 0
	for _, schema := range schemas {
		for _, nested := range []string{"%s", `{"properties": {"a": %s}}`, `{"additionalProperties": %s}`, `{"items": %s}`, `{"anyOf": [%s, {"type": "null"}]}`} {
			text := fmt.Sprintf(nested, schema)
			if text == "false" {
				continue
			}
			for _, answer := range answers {
				v, err := jsonvalue.Decode([]byte(strings.ReplaceAll(answer, "SECRETS", `"SECRET"`)))
				if err != nil {
					t.Fatal(err)
				}
				got := (definition.AIStep{Schema: object(t, text)}).Misfit(t.Context(), v)
				if got != "" {
					said++
				}
				if strings.Contains(got, "SECRET") || strings.Contains(got, secret) {
					t.Errorf("%s refuses %s: %q", text, answer, got)
				}
			}
		}
	}
	if said < 300 {
		t.Errorf("only %d answers are refused", said)
	}
}
