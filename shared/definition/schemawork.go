package definition

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// Limits of an output_schema. References and combinators let a short schema ask
// for a work that doubles with every line, so its work is limited as well as its
// size.
const (
	maxSubschemas   = 1000    // in a schema
	maxApplied      = 1000    // subschemas that are applied to one value
	maxChain        = 50      // subschemas that lead from one to the next for one value
	maxPatternText  = 10_000  // bytes of all patterns
	maxPatternSize  = 10_000  // instructions of all patterns
	maxNumberLength = 400     // characters of a number
	maxCheck        = 300_000 // units of work of checking one answer; takes under half a second
	perApplication  = 4       // units, of applying a subschema to a value
	perRegexByte    = 64      // units: a repetition of 1,000 is written in seven bytes
	perPatternStep  = 16      // instructions times bytes in a unit
	perTextByte     = 64      // bytes in a unit
	perUniquePair   = 64      // pairs of equal hash in a unit
	contextInterval = 1000    // units between two looks at the deadline
)

// errWork ends a check.
var errWork = errors.New("checking the answer takes too much work")

// A workError says that a schema asks for too much work.
type workError string

func (e workError) Error() string { return string(e) }

// A meter counts the work of checking one answer, before each part of it is
// done, and ends the check with a panic when none is left. The validator calls it
// at every subschema that it applies.
type meter struct {
	ctx       context.Context //nolint:containedctx // it lives as long as one check
	left      int
	looked    int  // left at the last look at the deadline
	nested    int  // the depth of the answer: an error holds the path to its value
	remembers bool // the validator remembers which parts of a value were looked at
}

// spend deducts work that is about to be done.
func (m *meter) spend(units int) {
	if m.left -= units; m.left < 0 {
		panic(errWork)
	}
	if m.looked-m.left < contextInterval {
		return
	}
	m.looked = m.left
	if err := m.ctx.Err(); err != nil {
		panic(err)
	}
}

// A checker checks one answer against a schema.
type checker struct {
	schema *jsonschema.Schema
	meter  *meter
}

// newChecker returns a checker of answers, or an error that says why the schema
// cannot be used.
func newChecker(doc map[string]any) (*checker, error) {
	r := newSchemaReader(doc)
	r.read("", doc)
	if over := r.over(); over != "" {
		return nil, errors.New(over)
	}
	return r.checker()
}

// checker compiles the schema that was read.
func (r *schemaReader) checker() (*checker, error) {
	compiler, err := compilerOf(r.root)
	if err != nil {
		return nil, err
	}
	var all []*jsonschema.Schema
	for _, place := range slices.Concat([]string{""}, r.anchored) {
		s, err := compiler.Compile(schemaURL + "#" + place)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	graph, err := expand(all)
	if err != nil {
		return nil, err
	}
	m := &meter{}
	for s := range graph {
		m.remembers = m.remembers || s.UnevaluatedItems != nil || s.UnevaluatedProperties != nil
		m.attach(s)
	}
	return &checker{schema: all[0], meter: m}, nil
}

// check validates an answer. It returns the validator's error, errWork when the
// work is used up, or the error of the context.
func (c *checker) check(ctx context.Context, answer any) (err error) {
	c.meter.ctx, c.meter.left, c.meter.looked = ctx, maxCheck, maxCheck
	c.meter.nested = nesting(answer)
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			if !errors.Is(p, errWork) && ctx.Err() == nil {
				panic(p)
			}
			err = p
		default:
			panic(p)
		}
	}()
	c.meter.spend(scalarWork(answer) + constantWork(c.schema))
	return c.schema.Validate(answer)
}

// An applied is the work that a schema asks for one value.
type applied struct {
	schemas int  // subschemas that are applied
	chain   int  // the longest chain of them
	open    bool // it is being counted
}

// expand returns every schema that can be reached from some, with its work for
// one value, or an error when that is too much.
func expand(from []*jsonschema.Schema) (map[*jsonschema.Schema]*applied, error) {
	graph := map[*jsonschema.Schema]*applied{}
	for pending := slices.Clone(from); len(pending) > 0; {
		s := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if graph[s] != nil {
			continue
		}
		if !strings.HasPrefix(s.Location, schemaURL+"#") {
			return nil, errExternalRef
		}
		graph[s] = &applied{}
		pending = append(append(pending, beside(s)...), below(s)...)
	}
	anchored := dynamic(graph)
	byPlace := func(a, b *jsonschema.Schema) int { return strings.Compare(a.Location, b.Location) }
	for _, s := range slices.SortedFunc(maps.Keys(graph), byPlace) {
		if _, err := expanded(s, graph, anchored); err != nil {
			return nil, err
		}
	}
	return graph, nil
}

// expanded returns the work of a schema for one value.
func expanded(s *jsonschema.Schema, graph map[*jsonschema.Schema]*applied, anchored []*jsonschema.Schema) (*applied, error) {
	a := graph[s]
	switch {
	case a.open:
		return &applied{schemas: 1}, nil // the validator ends there; the work of checking is counted in any case
	case a.schemas > 0:
		return a, nil
	}
	a.open = true
	schemas, chain := 1, 0
	next := beside(s)
	if s.DynamicRef != nil || s.RecursiveRef != nil {
		next = append(next, anchored...)
	}
	for _, sub := range next {
		b, err := expanded(sub, graph, anchored)
		if err != nil {
			return nil, err
		}
		schemas, chain = min(schemas+b.schemas, maxApplied+1), max(chain, b.chain)
	}
	a.open, a.schemas, a.chain = false, schemas, chain+1
	switch {
	case a.schemas > maxApplied:
		return nil, workError(fmt.Sprintf("its references and combinators apply more than %s subschemas to one value; split the schema",
			render.Count(maxApplied)))
	case a.chain > maxChain:
		return nil, workError(fmt.Sprintf("its references and combinators lead through more than %d subschemas for one value; shorten the chain", maxChain))
	}
	return a, nil
}

// dynamic returns the schemas that a dynamic reference may lead to.
func dynamic(graph map[*jsonschema.Schema]*applied) []*jsonschema.Schema {
	var all []*jsonschema.Schema
	for s := range graph {
		if s.DynamicAnchor != "" || s.RecursiveAnchor {
			all = append(all, s)
		}
	}
	return all
}

// beside returns the subschemas that are applied to the same value as a schema.
func beside(s *jsonschema.Schema) []*jsonschema.Schema {
	all := present(s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else)
	if s.DynamicRef != nil {
		all = append(all, present(s.DynamicRef.Ref)...)
	}
	all = append(append(append(all, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, sub := range s.DependentSchemas {
		all = append(all, sub)
	}
	for _, dependency := range s.Dependencies {
		if sub, is := dependency.(*jsonschema.Schema); is {
			all = append(all, sub)
		}
	}
	return all
}

// below returns the subschemas that are applied to parts of a schema's value.
func below(s *jsonschema.Schema) []*jsonschema.Schema {
	all := append(eachOf(s), s.PrefixItems...)
	if list, is := s.Items.([]*jsonschema.Schema); is {
		all = append(all, list...)
	}
	for _, sub := range s.Properties {
		all = append(all, sub)
	}
	for _, sub := range s.PatternProperties {
		all = append(all, sub)
	}
	return append(all, present(s.ContentSchema)...)
}

// eachOf returns the subschemas that may be applied to every part of a value.
func eachOf(s *jsonschema.Schema) []*jsonschema.Schema {
	all := present(s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems)
	for _, v := range []any{s.AdditionalProperties, s.AdditionalItems, s.Items} {
		if sub, is := v.(*jsonschema.Schema); is {
			all = append(all, sub)
		}
	}
	return all
}

func present(all ...*jsonschema.Schema) []*jsonschema.Schema {
	var some []*jsonschema.Schema
	for _, s := range all {
		if s != nil {
			some = append(some, s)
		}
	}
	return some
}

// A demand is the work that a schema asks by itself, in units.
type demand struct {
	same     int // for every value
	ways     int // for every part of a value
	others   int // subschemas that look at the value again
	pattern  int // instructions that a text is held against
	patterns int // instructions that the name of every part is held against
}

func demandOf(s *jsonschema.Schema) demand {
	others := beside(s)
	d := demand{others: len(others), ways: 1 + len(s.PatternProperties)}
	d.same = len(others) + len(s.Required) + len(s.DependentRequired) + len(s.DependentSchemas) + len(s.Dependencies) + numberWork(s)
	for _, sub := range others {
		d.same += constantWork(sub)
	}
	for _, names := range s.DependentRequired {
		d.same += len(names)
	}
	for _, sub := range eachOf(s) {
		d.ways += 1 + constantWork(sub)
	}
	for p, sub := range s.PatternProperties {
		d.patterns += patternSize(p.String())
		d.ways += constantWork(sub)
	}
	if s.Pattern != nil {
		d.pattern = patternSize(s.Pattern.String())
	}
	if s.Format != nil && s.Format.Name == "regex" {
		d.pattern += perRegexByte * perPatternStep
	}
	return d
}

// attach makes the validator report to the meter each time it applies a schema.
// It does so where formats are checked: before the schema's own keywords, except
// for type, const and enum, and before all of its subschemas. These three are part
// of the work of the schema that applies it.
func (m *meter) attach(s *jsonschema.Schema) {
	d, format := demandOf(s), s.Format
	metered := &jsonschema.Format{Validate: func(v any) error {
		m.spend(perApplication + m.nested/8 + d.same + m.partsWork(s, d, v))
		if format == nil {
			return nil
		}
		return format.Validate(v)
	}}
	if format != nil {
		metered.Name = format.Name
	}
	s.Format = metered
}

// partsWork returns the work that a schema asks for a value and its parts.
func (m *meter) partsWork(s *jsonschema.Schema, d demand, v any) int {
	switch v := v.(type) {
	case string:
		return scalarWork(v)*(1+d.others) + d.pattern*len(v)/perPatternStep
	case map[string]any:
		units := len(v) * d.ways
		for name, part := range v {
			units += scalarWork(part)*d.ways + len(name)/perTextByte + d.patterns*(1+len(name))/perPatternStep
			if sub := s.Properties[name]; sub != nil {
				units += 1 + constantWork(sub)
			}
		}
		return units + m.memory(len(v))
	case []any:
		units := len(v) * d.ways
		for i, part := range v {
			units += scalarWork(part) * d.ways
			if i < len(s.PrefixItems) {
				units += constantWork(s.PrefixItems[i])
			}
		}
		if s.UniqueItems {
			units += 2*treeWork(v) + len(v)*len(v)/perUniquePair
		}
		return units + m.memory(len(v))
	}
	return scalarWork(v) * (1 + d.others)
}

// memory returns the work of remembering which parts of a value were looked at.
func (m *meter) memory(parts int) int {
	if m.remembers {
		return 4 * parts
	}
	return 0
}

// constantWork returns the work of comparing a value with a schema's const and
// enum.
func constantWork(s *jsonschema.Schema) int {
	units := 1
	if s.Const != nil {
		units += treeWork(*s.Const)
	}
	if s.Enum != nil {
		units += treeWork(s.Enum.Values)
	}
	return units
}

// numberWork returns the work of comparing a value with the limits of numbers.
func numberWork(s *jsonschema.Schema) int {
	units := 0
	for _, given := range []bool{s.Minimum != nil, s.Maximum != nil, s.ExclusiveMinimum != nil, s.ExclusiveMaximum != nil} {
		if given {
			units++
		}
	}
	if s.MultipleOf != nil {
		units += perApplication
	}
	return units
}

// scalarWork returns the work of reading a value, without its parts.
func scalarWork(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)/perTextByte
	case jsonvalue.Number:
		return perApplication + len(v)/4
	case int64:
		return perApplication
	}
	return 1
}

// treeWork returns the work of reading a value with all of its parts.
func treeWork(v any) int {
	units := scalarWork(v)
	switch v := v.(type) {
	case []any:
		for _, part := range v {
			units += treeWork(part)
		}
	case map[string]any:
		for name, part := range v {
			units += 1 + len(name)/perTextByte + treeWork(part)
		}
	}
	return units
}

// nesting returns how deep lists and objects nest in a value.
func nesting(v any) int {
	deepest := 0
	switch v := v.(type) {
	case []any:
		for _, part := range v {
			deepest = max(deepest, 1+nesting(part))
		}
	case map[string]any:
		for _, part := range v {
			deepest = max(deepest, 1+nesting(part))
		}
	}
	return deepest
}

// longNumber returns a number in a value that has more characters than are
// allowed, or "".
func longNumber(v any) string {
	switch v := v.(type) {
	case jsonvalue.Number:
		if len(v) > maxNumberLength {
			return string(v)
		}
	case []any:
		for _, part := range v {
			if long := longNumber(part); long != "" {
				return long
			}
		}
	case map[string]any:
		for _, part := range v {
			if long := longNumber(part); long != "" {
				return long
			}
		}
	}
	return ""
}

// patternSize returns about how many instructions a regular expression has. The
// time to match a text grows with it.
func patternSize(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	return expressionSize(re)
}

func expressionSize(re *syntax.Regexp) int {
	const most = maxPatternSize + 1
	size := 1
	if re.Op == syntax.OpLiteral {
		size = utf8.RuneCountInString(string(re.Rune))
	}
	if re.Op == syntax.OpCharClass {
		size += len(re.Rune) / 32
	}
	for _, sub := range re.Sub {
		size = min(size+expressionSize(sub), most)
	}
	if re.Op == syntax.OpRepeat {
		size = min(size*max(re.Min, re.Max, 1), most)
	}
	return size
}

// over returns the limit of size that the schema exceeds, or "".
func (r *schemaReader) over() string {
	switch {
	case r.subschemas > maxSubschemas:
		return "has more than " + render.Count(maxSubschemas) + " subschemas"
	case r.patternText > maxPatternText:
		return fmt.Sprintf("has %s bytes of regular expressions; %s are allowed", render.Count(r.patternText), render.Count(maxPatternText))
	case r.patternSize > maxPatternSize:
		return "has regular expressions that repeat too much: written out, they may have " + render.Count(maxPatternSize) + " characters together"
	case r.longNumber != "":
		return fmt.Sprintf("has the number %s; a number may have at most %d characters", strings.TrimSpace(beginning(r.longNumber)), maxNumberLength)
	}
	return ""
}
