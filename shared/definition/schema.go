package definition

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// ErrRecipient refuses a recipient whose address is malformed for its channel.
var ErrRecipient = fault.New(fault.Invalid, "invalid_recipient", "The recipient cannot be reached.")

// errExternalRef refuses references to other documents.
var errExternalRef = errors.New("a schema may refer only to its own parts")

// noLoader refuses to load other documents: a tenant's schema must not make the
// service read files or URLs.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errExternalRef }

// CompileSchema compiles a JSON Schema, of draft 2020-12 unless its $schema names
// another draft. Formats are asserted.
func CompileSchema(doc map[string]any) (*jsonschema.Schema, error) {
	c, err := compilerOf(doc)
	if err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

// schemaURL is the name of the schema within the compiler.
const schemaURL = "urn:output"

func compilerOf(doc map[string]any) (*jsonschema.Compiler, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.AssertFormat()
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return c, nil
}

// Empty reports whether an answer has no content: it is blank text; null, unless the
// schema names null; or an object without properties, if the schema names any.
func (a AIStep) Empty(answer any) bool {
	switch v := answer.(type) {
	case nil:
		types, _ := a.Schema["type"].([]any)
		values, _ := a.Schema["enum"].([]any)
		constant, fixed := a.Schema["const"]
		asked := a.Schema["type"] == "null" || slices.Contains(types, any("null")) || fixed && constant == nil
		return !asked && !slices.ContainsFunc(values, func(v any) bool { return v == nil })
	case string:
		return strings.TrimSpace(v) == ""
	case map[string]any:
		names, _ := a.Schema["properties"].(map[string]any)
		return len(v) == 0 && len(names) > 0
	}
	return false
}

// Misfit says where and why an answer violates the step's output_schema. It
// returns "" for a valid answer. It ends when the context does, and takes a limited
// amount of work, whatever the schema and the answer are.
func (a AIStep) Misfit(ctx context.Context, answer any) string {
	if long := longNumber(answer); long != "" {
		return fmt.Sprintf("the answer has a number with %d characters; a number may have at most %d", len(long), maxNumberLength)
	}
	c, err := newChecker(a.Schema)
	if err != nil {
		return "the output_schema cannot be used"
	}
	err = c.check(ctx, answer)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errWork):
		return "checking the answer takes too much work; a simpler output_schema is needed, or a shorter answer"
	case ctx.Err() != nil:
		return "there was no time left to check the answer"
	}
	return misfit(document{whole: "the answer", value: answer, known: namesOf(map[string]any(a.Schema), map[string]bool{})}, err)
}

// namesOf adds every name and text in a schema: the names of a document that a
// message may show.
func namesOf(v any, names map[string]bool) map[string]bool {
	switch v := v.(type) {
	case string:
		names[v] = true
	case []any:
		for i := range v {
			namesOf(v[i], names)
		}
	case map[string]any:
		for name := range v {
			names[name] = true
			namesOf(v[name], names)
		}
	}
	return names
}

// schemaFaults returns the faults of an output_schema: keywords that would not be
// checked, and violations of the JSON Schema standard.
func schemaFaults(doc map[string]any) []string {
	r := newSchemaReader(doc)
	r.read("", doc)
	if len(r.faults) > 0 {
		return r.faults
	}
	if over := r.over(); over != "" {
		return []string{over}
	}
	_, err := r.checker()
	var over workError
	switch {
	case err == nil && acceptsNothing(doc):
		return []string{"accepts no value, so that every answer would be refused"}
	case err == nil:
		return nil
	case errors.As(err, &over):
		return []string{err.Error()}
	}
	if invalid, is := errors.AsType[*jsonschema.SchemaValidationError](err); is {
		return []string{"is not a JSON Schema: " + misfit(document{whole: "it", value: doc}, invalid.Err)}
	}
	return []string{"is not a JSON Schema: a $ref, an $id or an $anchor in it is unresolved or ambiguous"}
}

// A schemaReader finds the keywords of a schema that would not be checked.
type schemaReader struct {
	root     map[string]any
	keywords map[string]form
	older    map[string]form
	hasID    bool // the schema has an $id, to which references may be relative
	faults   []string

	subschemas  int
	patternText int      // bytes of its patterns
	patternSize int      // of its patterns
	longNumber  string   // a number with too many digits, or ""
	anchored    []string // the places of schemas that a dynamic reference may lead to
}

func newSchemaReader(doc map[string]any) *schemaReader {
	return &schemaReader{
		root: doc, keywords: keywords(), older: older(), hasID: strings.Contains(jsonvalue.Canonical(doc), `"$id"`), longNumber: longNumber(doc),
	}
}

func (r *schemaReader) fault(pointer, format string, args ...any) {
	const most = 20 // reported faults
	if len(r.faults) >= most {
		return
	}
	place := ""
	if pointer != "" {
		place = pointer + ": "
	}
	r.faults = append(r.faults, place+fmt.Sprintf(format, args...))
}

// keywords returns the keywords of draft 2020-12 that are checked or are
// annotations, with the form of their values.
func keywords() map[string]form {
	return map[string]form{
		"$schema": aValue, "$id": aValue, "$anchor": aValue, "$dynamicAnchor": aValue, "$ref": aValue, "$dynamicRef": aValue, "$comment": aValue,
		"$defs": namedSchemas, "definitions": namedSchemas,
		"allOf": schemaList, "anyOf": schemaList, "oneOf": schemaList, "prefixItems": schemaList,
		"not": aSchema, "if": aSchema, "then": aSchema, "else": aSchema, "items": aSchema, "contains": aSchema, "additionalProperties": aSchema,
		"propertyNames": aSchema, "unevaluatedItems": aSchema, "unevaluatedProperties": aSchema,
		"properties": namedSchemas, "patternProperties": namedSchemas, "dependentSchemas": namedSchemas,
		"type": aValue, "enum": aValue, "const": aValue, "multipleOf": aValue, "maximum": aValue, "exclusiveMaximum": aValue, "minimum": aValue,
		"exclusiveMinimum": aValue, "maxLength": aValue, "minLength": aValue, "pattern": aValue, "maxItems": aValue, "minItems": aValue,
		"uniqueItems": aValue, "maxContains": aValue, "minContains": aValue, "maxProperties": aValue, "minProperties": aValue, "required": aValue,
		"dependentRequired": aValue, "format": aValue,
		"title": aValue, "description": aValue, "default": aValue, "deprecated": aValue, "readOnly": aValue, "writeOnly": aValue, "examples": aValue,
	}
}

// older returns the keywords that only earlier drafts have, or that have another
// form there.
func older() map[string]form {
	return map[string]form{
		"items": schemaOrList, "additionalItems": aSchema, "dependencies": namedSchemas, "$recursiveRef": aValue, "$recursiveAnchor": aValue,
	}
}

// A form is the form of a keyword's value: a plain value, a schema, or schemas in a list or by name.
type form int

const (
	aValue form = iota
	aSchema
	schemaList
	schemaOrList
	namedSchemas
)

const latest = "https://json-schema.org/draft/2020-12/schema"

// drafts returns the supported values of $schema, latest first.
func drafts() []string {
	return []string{
		latest, "https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema",
	}
}

// old reports whether the schema names an earlier draft.
func (r *schemaReader) old() bool {
	draft, named := r.root["$schema"].(string)
	return named && strings.TrimSuffix(draft, "#") != latest
}

// read reads the schema at a place.
func (r *schemaReader) read(pointer string, v any) {
	r.subschemas++
	s, ok := v.(map[string]any)
	if !ok || r.subschemas > maxSubschemas {
		return // true and false are schemas; the compiler reports other values
	}
	if s["$dynamicAnchor"] != nil || s["$recursiveAnchor"] != nil {
		r.anchored = append(r.anchored, fragment(pointer))
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		place := pointer + "/" + escaped(name)
		below, known := r.keywords[name]
		if other, is := r.older[name]; is && r.old() {
			below, known = other, true
		}
		if !known {
			r.fault(pointer, "%s", unknownKeyword(name, s))
			continue
		}
		r.keyword(place, name, s[name])
		r.below(place, below, s[name])
	}
}

// fragment returns a JSON pointer as the fragment of a URL, escaped as package
// net/url does, since the validator names its schemas so.
func fragment(pointer string) string {
	const plain = "-_.~$&+,/:;=?@!()*"
	var b strings.Builder
	for i := range len(pointer) {
		c := pointer[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// below reads the schemas in a keyword's value.
func (r *schemaReader) below(place string, below form, v any) {
	list, isList := v.([]any)
	named, isNamed := v.(map[string]any)
	switch {
	case below == namedSchemas && isNamed:
		for _, name := range slices.Sorted(maps.Keys(named)) {
			r.read(place+"/"+escaped(name), named[name])
		}
	case (below == schemaList || below == schemaOrList) && isList:
		for i := range list {
			r.read(fmt.Sprintf("%s/%d", place, i), list[i])
		}
	case below == aSchema || below == schemaOrList:
		r.read(place, v)
	}
}

// keyword reports a value of a keyword that is not supported.
func (r *schemaReader) keyword(place, name string, v any) {
	text, isText := v.(string)
	object, _ := v.(map[string]any)
	switch {
	case name == "$schema" && !slices.Contains(drafts(), strings.TrimSuffix(text, "#")):
		r.fault(place, "must be one of %s; it is %s", strings.Join(drafts(), ", "), beginning(jsonvalue.Canonical(v)))
	case name == "format" && isText && !slices.Contains(formats(), text):
		r.fault(place, "%q is not a supported format; %s", cut(text), fault.Suggest(text, formats()))
	case name == "pattern" && isText:
		r.pattern(place, text)
	case name == "patternProperties":
		for _, p := range slices.Sorted(maps.Keys(object)) {
			r.pattern(place, p)
		}
	case name == "$ref" && isText && !r.hasID:
		r.reference(place, text)
	}
}

func (r *schemaReader) pattern(place, text string) {
	if r.patternText += len(text); r.patternText > maxPatternText {
		return
	}
	if r.patternSize += patternSize(text); r.patternSize > maxPatternSize {
		return
	}
	if _, err := regexp.Compile(text); err != nil {
		r.fault(place, "is not a JSON Schema: %q is not a regular expression of RE2, which has no lookaround and no backreferences", cut(text))
	}
}

// reference reports a $ref that leads out of the schema or to a missing part.
func (r *schemaReader) reference(place, ref string) {
	pointer, own := strings.CutPrefix(ref, "#")
	if !own {
		r.fault(place, "is not a JSON Schema: %q is not a part of this schema; a $ref may be # or begin with #/", cut(ref))
		return
	}
	if !strings.HasPrefix(pointer, "/") {
		return // the root or an anchor: the compiler checks it
	}
	var at any = r.root
	for token := range strings.SplitSeq(pointer[1:], "/") {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		next, found := child(at, name)
		if !found && !strings.Contains(pointer, "%") {
			r.fault(place, "is not a JSON Schema: %q points to a missing part", cut(ref))
			return
		}
		at = next
	}
}

// formats returns the formats that are checked.
func formats() []string {
	return []string{
		"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uri-template", "iri",
		"iri-reference", "uuid", "json-pointer", "relative-json-pointer", "regex",
	}
}

// unknownKeyword returns the message about an unknown keyword, with a replacement.
func unknownKeyword(name string, s map[string]any) string {
	said := fmt.Sprintf("%q is not a keyword of JSON Schema draft 2020-12, so it would not be checked; ", cut(name))
	kind, _ := s["type"].(string)
	switch {
	case name == "nullable" && s[name] == true && kind != "":
		return said + fmt.Sprintf(`write "type": [%q, "null"]`, kind)
	case name == "nullable" && s[name] == true:
		return said + `add "null" to "type", such as "type": ["string", "null"]`
	case name == "contentEncoding", name == "contentMediaType", name == "contentSchema":
		return fmt.Sprintf("%q is not checked; leave it out", name)
	}
	if instead, is := replacements()[name]; is {
		return said + "write " + instead
	}
	plain := strings.NewReplacer("_", "", "-", "", " ", "").Replace(name)
	if near := fault.Nearest(plain, slices.Sorted(maps.Keys(keywords()))); near != "" && name != "nullable" {
		return said + fmt.Sprintf("write %q", near)
	}
	return said + "leave it out"
}

// replacements returns the replacements for keywords of other languages and older
// drafts.
func replacements() map[string]string {
	return map[string]string{
		"id": `"$id"`, "optional": `the other names in "required" of the object`, "values": `"enum"`, "options": `"enum"`, "choices": `"enum"`,
		"min": `"minimum", "minLength" or "minItems"`, "max": `"maximum", "maxLength" or "maxItems"`, "length": `"minLength" and "maxLength"`,
		"regex": `"pattern"`, "divisibleBy": `"multipleOf"`, "extends": `"allOf"`, "disallow": `"not"`, "additionalItems": `"prefixItems" and "items"`,
		"dependencies": `"dependentRequired" or "dependentSchemas"`, "$recursiveRef": `"$dynamicRef"`, "$recursiveAnchor": `"$dynamicAnchor"`,
	}
}

// faultMessage returns the message of a fault, without its code.
func faultMessage(err error) string { return fault.From(err).Message }
