package definition_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
)

// doubling returns a schema that names the next level several times, in a form of
// its own at each level.
func doubling(levels int, form string) string {
	defs := make([]string, 0, levels+1)
	for i := range levels {
		defs = append(defs, fmt.Sprintf(`"l%d": %s`, i, strings.ReplaceAll(form, "NEXT", fmt.Sprintf(`{"$ref": "#/$defs/l%d"}`, i+1))))
	}
	defs = append(defs, fmt.Sprintf(`"l%d": {"type": "string", "minLength": 1}`, levels))
	return `{"$ref": "#/$defs/l0", "$defs": {` + strings.Join(defs, ", ") + `}}`
}

// within fails the test when f takes too long for a bounded amount of work, on a
// slow machine too. A machine that is busy with other work may need another try.
func within(t *testing.T, f func()) {
	t.Helper()
	const most, tries = 3 * time.Second, 5
	var took time.Duration
	for range tries {
		begun := time.Now()
		f()
		if took = time.Since(begun); took <= most {
			return
		}
	}
	t.Errorf("it took %v", took)
}

func TestASchemaWhoseWorkMultipliesIsRefused(t *testing.T) {
	t.Parallel()

	const many = "its references and combinators apply more than 1,000 subschemas to one value; split the schema"
	for name, tc := range map[string]struct{ schema, want string }{
		"allOf":            {doubling(23, `{"allOf": [NEXT, NEXT]}`), many},
		"anyOf":            {doubling(23, `{"anyOf": [NEXT, NEXT]}`), many},
		"oneOf":            {doubling(23, `{"oneOf": [NEXT, NEXT]}`), many},
		"not":              {doubling(23, `{"not": NEXT, "allOf": [NEXT]}`), many},
		"if":               {doubling(23, `{"if": NEXT, "then": NEXT, "else": NEXT}`), many},
		"dependentSchemas": {doubling(23, `{"dependentSchemas": {"a": NEXT, "b": NEXT}}`), many},
		"beside a $ref":    {doubling(23, `{"$ref": "#/$defs/l23", "anyOf": [NEXT, NEXT]}`), many},
		"in items":         {strings.Replace(doubling(23, `{"allOf": [NEXT, NEXT]}`), `{"$ref": "#/$defs/l0",`, `{"items": {"$ref": "#/$defs/l0"},`, 1), many},
		"a long chain":     {doubling(60, `{"allOf": [NEXT]}`), "its references and combinators lead through more than 50 subschemas for one value; shorten the chain"},
		"too many":         {`{"allOf": [` + strings.Repeat(`{"type": "string"}, `, 2000) + `{}]}`, "has more than 1,000 subschemas"},
		"a repetition":     {`{"pattern": "` + strings.Repeat(`.{1000}`, 11) + `"}`, "has regular expressions that repeat too much: written out, they may have 10,000 characters together"},
		"many patterns":    {`{"patternProperties": {"^` + strings.Repeat("a", 6000) + `": {}, "^` + strings.Repeat("b", 6000) + `": {}}}`, "has 12,002 bytes of regular expressions; 10,000 are allowed"},
		"a long number":    {`{"maximum": ` + strings.Repeat("9", 500) + `}`, "has the number 99999999"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within(t, func() {
				if got := schemaFaults(t, tc.schema); len(got) != 1 || !strings.HasPrefix(got[0], tc.want) {
					t.Errorf("it says %.300q, want %q", got, tc.want)
				}
			})
		})
	}
}

// circle returns schemas of which each applies all others to the same value.
func circle(n int) string {
	var all, defs []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"$ref": "#/$defs/d%d"}`, i))
	}
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d": {"anyOf": [%s]}`, i, strings.Join(all, ", ")))
	}
	return `{"$ref": "#/$defs/d0", "$defs": {` + strings.Join(defs, ", ") + `}}`
}

// Many placeholders ask a schema for many paths.
func TestLookingUpPathsTakesALimitedAmountOfWork(t *testing.T) {
	t.Parallel()

	var names []string
	for i := range 900 {
		names = append(names, fmt.Sprintf(`"name_%d": {"type": "string"}`, i))
	}
	wide := `{"type": "object", "additionalProperties": false, "properties": {` + strings.Join(names, ", ") + `}}`
	for name, schema := range map[string]string{
		"many names":    wide,
		"many patterns": `{"patternProperties": {"` + strings.Repeat(`[ab]*.{300}`, 9) + `": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}}`,
		"many choices":  doubling(9, `{"anyOf": [NEXT, NEXT], "properties": {"x": true}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var holes strings.Builder
			for i := range 900 {
				fmt.Fprintf(&holes, "{{ s.nam%d.b.c }}", i)
			}
			var steps []string
			for i := range 10 {
				steps = append(steps, fmt.Sprintf(`{"id": "t%d", "type": "ai_reason", "model": "quick", "prompt": %q}`, i, holes.String()))
			}
			doc := object(t, `{"name": "n", "category": "security",
				"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"},
				"steps": [{"id": "s", "type": "ai_reason", "model": "quick", "prompt": "p", "output_var": "s", "output_schema": `+schema+`}, `+strings.Join(steps, ", ")+`]}`)
			within(t, func() { _, _ = rules(t).Parse(doc) })
		})
	}
}

// hard returns schemas and answers that ask for much work in many ways.
func hard() map[string]struct{ schema, answer string } {
	const size = 32 << 10
	list := func(item string) string { return "[" + strings.Repeat(item+",", size/(len(item)+1)-1) + item + "]" }
	many := func(item string, n int) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	nested := func(open, inner, shut string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	names := func(n int) string {
		var b []string
		for i := range n {
			b = append(b, fmt.Sprintf(`"k%d": %d`, i, i))
		}
		return "{" + strings.Join(b, ", ") + "}"
	}
	distinct := make([]string, 0, 2000)
	for i := range 2000 {
		distinct = append(distinct, fmt.Sprintf(`["a%s"]`, strings.Repeat(`\u0004`, i%3)+strings.Repeat("x", 1+i/1000)+strconv.Itoa(i)))
	}
	return map[string]struct{ schema, answer string }{
		"doubling with the answer's depth": {`{"$defs": {"n": {"properties": {"a": {"allOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}]}}}}, "$ref": "#/$defs/n"}`, nested(`{"a":`, `1`, `}`, 60)},
		"doubling by two keywords":         {`{"items": {"$ref": "#"}, "contains": {"$ref": "#"}, "type": "array"}`, nested(`[`, `1`, `]`, 60)},
		"doubling at every level":          {`{"$dynamicAnchor": "n", "additionalProperties": {"allOf": [{"$dynamicRef": "#n"}, {"$dynamicRef": "#n"}]}}`, nested(`{"a":`, `1`, `}`, 60)},
		"in older drafts":                  {`{"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true, "items": {"allOf": [{"$recursiveRef": "#"}, {"$recursiveRef": "#"}]}}`, nested(`[`, `1`, `]`, 60)},
		"many alternatives for many items": {`{"items": {"anyOf": [` + many(`{"type": "string"}`, 900) + `]}}`, list(`1`)},
		"many faults":                      {`{"items": {"allOf": [` + many(`{"minimum": 5}`, 900) + `]}}`, list(`1`)},
		"many constants":                   {`{"items": {"enum": [` + many(`"x"`, 20000) + `]}}`, list(`"y"`)},
		"many numbers":                     {`{"items": {"anyOf": [` + many(`{"enum": [1.5, 2.5]}`, 400) + `]}}`, list(`3.25`)},
		"long numbers":                     {`{"items": {"allOf": [` + many(`{"multipleOf": 0.0000007}`, 400) + `]}}`, list(strings.Repeat("9", 390) + ".5")},
		"a long pattern":                   {`{"pattern": "` + strings.Repeat(`(a|b)*.{900}`, 9) + `"}`, `"` + strings.Repeat("ab", size/2-10) + `"`},
		"patterns for many names":          {`{"patternProperties": {"` + strings.Repeat(`[ab]*.{300}`, 9) + `": {}}}`, names(2000)},
		"regular expressions":              {`{"items": {"allOf": [` + many(`{"format": "regex"}`, 300) + `]}}`, list(`"` + strings.Repeat(`.{999}`, 50) + `"`)},
		"a deep answer":                    {`{"items": {"$ref": "#"}, "type": "array"}`, nested(`[`, `1`, `]`, 64)},
		"a deep answer in many ways":       {`{"items": {"$ref": "#"}, "not": {"items": {"$ref": "#"}}}`, nested(`[`, `1`, `]`, 64)},
		"unevaluated":                      {`{"allOf": [` + many(`{"properties": {"zz": true}}`, 900) + `], "unevaluatedProperties": {"type": "string"}}`, names(2000)},
		"unevaluated at every level":       {`{"unevaluatedItems": {"$ref": "#"}, "allOf": [` + many(`{"prefixItems": [true]}`, 300) + `]}`, list(`[1,[2,3]]`)},
		"unique":                           {`{"uniqueItems": true, "allOf": [` + many(`{"uniqueItems": true}`, 300) + `]}`, "[" + strings.Join(distinct, ",") + "]"},
		"a long name":                      {`{"additionalProperties": {"items": {"allOf": [` + many(`{"minimum": 5}`, 300) + `]}}}`, `{"` + strings.Repeat("n", size/2) + `": ` + list(`1`)[:size/2-1] + `1]}`},
		"a long text":                      {`{"allOf": [` + many(`{"const": "x"}`, 300) + `, ` + many(`{"maxLength": 3}`, 300) + `]}`, `"` + strings.Repeat("ä", size/2) + `"`},
		"names":                            {`{"propertyNames": {"allOf": [` + many(`{"maxLength": 1}`, 900) + `]}}`, names(2000)},
		"every way in a circle":            {circle(12), `1`},
		"required":                         {`{"items": {"required": [` + many(`"r"`, 1) + `]}}`, list(`{}`)},
		"a large object as a constant":     {`{"items": {"enum": [` + many(`[1,2,3,4,5,6,7,8,9]`, 900) + `]}}`, list(`[1,2,3,4,5,6,7,8,0]`)},
	}
}

func TestCheckingAnAnswerTakesALimitedAmountOfWork(t *testing.T) {
	t.Parallel()

	for name, tc := range hard() { //nolint:paralleltest // each is timed alone.
		t.Run(name, func(t *testing.T) {
			answer, err := jsonvalue.Decode([]byte(tc.answer))
			if err != nil {
				t.Fatal(err)
			}
			step := definition.AIStep{Schema: object(t, tc.schema)}
			within(t, func() {
				if said := step.Misfit(t.Context(), answer); len(said) > 2000 {
					t.Errorf("it says %.300q… in %d bytes", said, len(said))
				}
			})
		})
	}
}

// The deadline of a step ends the check of its answer.
func TestTheDeadlineEndsTheCheckOfAnAnswer(t *testing.T) {
	t.Parallel()

	over, cancel := context.WithCancel(t.Context())
	cancel()
	step := definition.AIStep{Schema: object(t, `{"items": {"anyOf": [`+strings.Repeat(`{"type": "string"},`, 20)+`{"type": "integer"}]}}`)}
	answer, _ := jsonvalue.Decode([]byte("[" + strings.Repeat("1,", 300) + "1]"))
	if said := step.Misfit(t.Context(), answer); said != "" {
		t.Errorf("it says %q", said)
	}
	if said := step.Misfit(over, answer); said != "there was no time left to check the answer" {
		t.Errorf("it says %q", said)
	}
}

// An answer of twice the size takes about twice the work, until the limit.
func TestTheWorkOfAnAnswerGrowsInProportion(t *testing.T) {
	t.Parallel()

	doc := object(t, `{"items": {"type": "object", "required": ["a"], "properties": {"a": {"enum": ["x", "y"]}, "b": {"pattern": "^[a-z]+$"}}}}`)
	work := func(items int) int {
		answer := make([]any, items)
		for i := range answer {
			answer[i] = map[string]any{"a": "x", "b": strings.Repeat("b", 1+rand.N(2))}
		}
		return definition.CheckWork(t.Context(), doc, answer)
	}
	once, twice := work(1000), work(2000)
	if twice < once*19/10 || twice > once*21/10 {
		t.Errorf("1,000 items take %d units, 2,000 items %d", once, twice)
	}
}

// Whatever a schema and an answer are, the check ends within its work: the schema's
// and the answer's text are the only input.
func FuzzTheWorkOfASchemaIsLimited(f *testing.F) {
	for _, tc := range hard() {
		if len(tc.schema)+len(tc.answer) < 4096 {
			f.Add(tc.schema, tc.answer)
		}
	}
	f.Fuzz(func(t *testing.T, schema, answer string) {
		doc, err := jsonvalue.Object([]byte(schema))
		if err != nil {
			return
		}
		v, err := jsonvalue.Decode([]byte(answer))
		if err != nil {
			return
		}
		within(t, func() {
			if said := (definition.AIStep{Schema: doc}).Misfit(t.Context(), v); len(said) > 4096 {
				t.Errorf("it says %d bytes", len(said))
			}
		})
	})
}
