package definition

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// maxMisfits is the maximum number of violations in one message.
const maxMisfits = 3

// maxLeaves is how many violations of one document are put into words.
const maxLeaves = 200

// A document is what a schema refuses, for the words of its violations.
type document struct {
	whole string // the name of the document itself
	value any

	// known has the names that may be shown, of a document whose text must not be
	// shown; nil shows names and values of the document.
	known map[string]bool
}

// found returns the part of a sentence with the value at a place.
func (d document) found(location []string) string {
	v := value(d.value, location)
	if d.known != nil {
		if v == nil {
			return "null"
		}
		return jsonvalue.Kind(v)
	}
	return beginning(jsonvalue.Canonical(v))
}

// name returns a name of the document, or a star for a hidden one.
func (d document) name(name string) string {
	if d.known != nil && !d.known[name] {
		return "*"
	}
	return cut(escaped(name))
}

// misfit says where and why a document violates a schema, in sentences without a
// full stop: /priority must be one of p1, p2; it is "urgent".
func misfit(d document, err error) string {
	invalid, is := errors.AsType[*jsonschema.ValidationError](err)
	if !is {
		return d.whole + " does not fit the schema"
	}
	wrong, unread := leaves(invalid), 0
	if len(wrong) > maxLeaves {
		slices.SortFunc(wrong, func(a, b *jsonschema.ValidationError) int {
			return cmp.Or(slices.Compare(a.InstanceLocation, b.InstanceLocation), cmp.Compare(a.SchemaURL, b.SchemaURL))
		})
		wrong, unread = wrong[:maxLeaves], len(wrong)-maxLeaves
	}
	var all []string
	for _, e := range wrong {
		all = append(all, sentences(d, e)...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if more := len(all) - maxMisfits + unread; more > 0 && len(all) > maxMisfits {
		all = append(all[:maxMisfits], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, "; ")
}

// leaves returns the innermost violations. Of the alternatives of anyOf and oneOf
// it takes the nearest one.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		return nearest(e)
	case *kind.Contains, *kind.MinContains, *kind.MaxContains, *kind.PropertyNames, *kind.Not:
		return []*jsonschema.ValidationError{e}
	}
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var all []*jsonschema.ValidationError
	for _, c := range e.Causes {
		all = append(all, leaves(c)...)
	}
	return all
}

// nearest returns the violations of the alternative that fails deepest in the
// value. If the value has the wrong type for all alternatives, nearest returns one
// violation with all their types.
func nearest(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	var best []*jsonschema.ValidationError
	kinds := &kind.Type{}
	for _, c := range e.Causes {
		way := leaves(c)
		if t, is := way[0].ErrorKind.(*kind.Type); is && len(way[0].InstanceLocation) == len(e.InstanceLocation) {
			kinds.Want = append(kinds.Want, t.Want...)
			continue
		}
		if best == nil || depth(way) > depth(best) {
			best = way
		}
	}
	switch {
	case best != nil:
		return best
	case len(kinds.Want) > 0:
		return []*jsonschema.ValidationError{{InstanceLocation: e.InstanceLocation, ErrorKind: kinds}}
	}
	return []*jsonschema.ValidationError{e}
}

func depth(way []*jsonschema.ValidationError) int {
	deepest := slices.MaxFunc(way, func(a, b *jsonschema.ValidationError) int {
		return cmp.Compare(len(a.InstanceLocation), len(b.InstanceLocation))
	})
	return len(deepest.InstanceLocation)
}

// sentences returns the sentences about one violation.
func sentences(doc document, e *jsonschema.ValidationError) []string {
	at := doc.pointer(e.InstanceLocation)
	name := cmp.Or(at, doc.whole)
	one := func(format string, args ...any) []string { return []string{name + " " + fmt.Sprintf(format, args...)} }
	found := doc.found(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return doc.namedBelow(at, k.Missing, "is missing")
	case *kind.AdditionalProperties:
		return doc.namedBelow(at, k.Properties, "is not allowed")
	case *kind.DependentRequired:
		return doc.namedBelow(at, k.Missing, "is missing; it is required with "+cut(k.Prop))
	case *kind.Dependency:
		return doc.namedBelow(at, k.Missing, "is missing; it is required with "+cut(k.Prop))
	case *kind.PropertyNames:
		return doc.namedBelow(at, []string{k.Property}, "has a name that is not allowed")
	case *kind.Type:
		return one("must be %s; it is %s", kindsOf(k.Want), found)
	case *kind.Enum:
		return one("must be one of %s%s", choices(k.Want), doc.but(found))
	case *kind.Const:
		return one("must be %s%s", beginning(jsonvalue.Canonical(k.Want)), doc.but(found))
	case *kind.Format:
		return one("must be %s%s", formatOf(k.Want), doc.but(found))
	case *kind.Pattern:
		return one("must match the pattern %s%s", cut(k.Want), doc.but(found))
	case *kind.FalseSchema:
		return one("is not allowed")
	case *kind.Not:
		return one("is excluded by not%s", doc.but(found))
	case *kind.AnyOf:
		return one("fits none of the alternatives in anyOf; it is %s", found)
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return one("fits more than one of the alternatives in oneOf; it is %s", found)
		}
		return one("fits none of the alternatives in oneOf; it is %s", found)
	}
	if words := limitSentence(e.ErrorKind); words != "" {
		if before, got, _ := strings.Cut(words, "; it is "); got != "" && doc.known != nil {
			words = before // a number that the document has
		}
		return one("%s", words)
	}
	return one("does not fit the schema")
}

// limitSentence returns the sentence about the violation of a limit, or "".
func limitSentence(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters; it has %d", k.Want, k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters; it has %d", k.Want, k.Got)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items; it has %d", k.Want, k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items; it has %d", k.Want, k.Got)
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %d items too many", k.Count)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d properties; it has %d", k.Want, k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d properties; it has %d", k.Want, k.Got)
	case *kind.UniqueItems:
		return fmt.Sprintf("must not repeat an item; items %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "must have an item that fits contains; it has none"
	case *kind.MinContains:
		return fmt.Sprintf("must have at least %d items that fit contains; it has %d", k.Want, len(k.Got))
	case *kind.MaxContains:
		return fmt.Sprintf("must have at most %d items that fit contains; it has %d", k.Want, len(k.Got))
	case *kind.Minimum:
		return fmt.Sprintf("must be at least %s; it is %s", decimal(k.Want), decimal(k.Got))
	case *kind.Maximum:
		return fmt.Sprintf("must be at most %s; it is %s", decimal(k.Want), decimal(k.Got))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("must be more than %s; it is %s", decimal(k.Want), decimal(k.Got))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("must be less than %s; it is %s", decimal(k.Want), decimal(k.Got))
	case *kind.MultipleOf:
		return fmt.Sprintf("must be a multiple of %s; it is %s", decimal(k.Want), decimal(k.Got))
	}
	return ""
}

// but returns the end of a sentence with the found value, or "" for a hidden one.
func (d document) but(found string) string {
	if d.known != nil {
		return ""
	}
	return "; it is " + found
}

// namedBelow returns one sentence for each name below a place.
func (d document) namedBelow(at string, names []string, says string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = at + "/" + d.name(name) + " " + says
	}
	return out
}

// pointer returns a place as a JSON pointer.
func (d document) pointer(location []string) string {
	var b strings.Builder
	v := d.value
	for _, name := range location {
		shown := name // an index
		if _, isList := v.([]any); !isList {
			shown = d.name(name)
		}
		b.WriteString("/" + shown)
		v, _ = child(v, name)
	}
	return b.String()
}

// escaped returns a name in the notation of a JSON pointer.
func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// value returns the value at a place of a document.
func value(doc any, location []string) any {
	for _, name := range location {
		doc, _ = child(doc, name)
	}
	return doc
}

// child returns the property or the item of a document, and whether it exists.
func child(doc any, name string) (any, bool) {
	switch v := doc.(type) {
	case map[string]any:
		next, found := v[name]
		return next, found
	case []any:
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(v) {
			return v[n], true
		}
	}
	return nil, false
}

// kindsOf returns the types with their articles: "a string or an array or null".
func kindsOf(types []string) string {
	words := make([]string, 0, len(types))
	for _, t := range types {
		word := "a " + t
		switch t {
		case "null":
			continue
		case "array", "integer", "object":
			word = "an " + t
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if slices.Contains(types, "null") {
		words = append(words, "null")
	}
	return strings.Join(words, " or ")
}

// choices returns the values of an enum, separated by commas.
func choices(values []any) string {
	const most = 12
	words := make([]string, 0, most+1)
	for i, v := range values {
		if i == most {
			words = append(words, fmt.Sprintf("… %d more", len(values)-most))
			break
		}
		text, isText := v.(string)
		if !isText || text == "" {
			text = jsonvalue.Canonical(v)
		}
		words = append(words, beginning(text))
	}
	return strings.Join(words, ", ")
}

// formatOf describes a format: "a date such as 2026-03-09".
func formatOf(name string) string {
	words, known := map[string]string{
		"date-time": "a date-time such as 2026-03-09T14:23:01Z", "date": "a date such as 2026-03-09", "time": "a time such as 14:23:01Z",
		"duration": "a duration such as PT15M", "email": "an e-mail address", "hostname": "a host name", "ipv4": "an IPv4 address",
		"ipv6": "an IPv6 address", "uri": "a URI such as https://example.com/x", "uuid": "a UUID", "regex": "a regular expression of RE2",
	}[name]
	if !known {
		return "of the format " + cut(name)
	}
	return words
}

// decimal returns a number in the notation of JSON.
func decimal(r *big.Rat) string {
	if r == nil {
		return "no number"
	}
	const most = 40
	places, _ := r.FloatPrec()
	return beginning(r.FloatString(min(places, most)))
}

// beginning returns a text, shortened to its first 80 characters for an error.
func beginning(text string) string {
	const most = 80
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return fmt.Sprintf("%s… (%s more characters)", string(runes[:most]), render.Count(len(runes)-most))
}

// cut returns a name, shortened to its first 60 characters.
func cut(name string) string {
	const most = 60
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	return string(runes[:most]) + "…"
}
