package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// An outline is the contract in the form that the page shows.
type outline struct {
	Title, Version, Summary, Description string

	Groups  []group
	Schemas []schema
}

// A group is the operations of a tag.
type group struct {
	Name, Description string

	Operations []operation
}

type operation struct {
	Method, Path, ID, Summary, Description string

	Who        callers
	Parameters []property
	Body       *content
	Answers    []answer
}

// callers are the callers that may call an operation: roles of people, and accesses of
// integration keys. An operation without either needs no credential.
type callers struct{ Roles, Keys []string }

// Sentence names the callers.
func (c callers) Sentence() string {
	switch {
	case len(c.Roles) == 0:
		return "Needs no credential."
	case len(c.Keys) == 0:
		return "For " + strings.Join(c.Roles, ", ") + "; not for integration keys."
	}
	return "For " + strings.Join(c.Roles, ", ") + "; for integration keys with " + strings.Join(c.Keys, " or ") + "."
}

// Good reports whether the answer is a success.
func (a answer) Good() bool { return strings.HasPrefix(a.Status, "2") }

// An answer is a response of an operation.
type answer struct {
	Status, Description string

	Content *content
}

// A content is a body: its type and an example.
type content struct {
	Type     []part
	Examples []example
}

type example struct{ Summary, Text string }

// A schema is a named type.
type schema struct {
	Name, Description string

	Type       []part
	Properties []property
}

// A property is a field of a schema or a parameter of an operation.
type property struct {
	Name, In, Description string

	Required bool
	Type     []part
}

// A part of the text of a type: plain text, or the name of a schema, which the
// page shows as a link.
type part struct{ Text, Schema string }

// A node is an object of the document with its names in the document's order.
type node struct {
	names  []string
	values map[string]json.RawMessage
}

// A contractReader reads the document for the page.
type contractReader struct {
	root   node
	shared map[string]node // the components by kind, the targets of references
}

// outlineOf reads a document.
func outlineOf(document []byte) (outline, error) {
	r := contractReader{root: nodeOf(document), shared: map[string]node{}}
	components := r.root.node("components")
	for _, kind := range components.names {
		r.shared[kind] = components.node(kind)
	}
	if len(r.root.names) == 0 {
		return outline{}, fmt.Errorf("the contract is not a JSON object: %.50q", document)
	}
	info := r.root.node("info")
	o := outline{info.text("title"), info.text("version"), info.text("summary"), info.text("description"), nil, nil}
	all := r.operations()
	for _, tag := range r.root.list("tags") {
		name := tag.text("name")
		o.Groups = append(o.Groups, group{name, tag.text("description"), all[name]})
	}
	schemas := r.shared["schemas"]
	for _, name := range slices.Sorted(slices.Values(schemas.names)) {
		s := schemas.node(name)
		o.Schemas = append(o.Schemas, schema{name, s.text("description"), r.typeOf(s), r.properties(s)})
	}
	return o, nil
}

// operations returns the operations by their tags.
func (r contractReader) operations() map[string][]operation {
	all := map[string][]operation{}
	paths := r.root.node("paths")
	for _, p := range paths.names {
		item := paths.node(p)
		for _, method := range item.names {
			if method == "parameters" {
				continue
			}
			n := item.node(method)
			for _, tag := range n.texts("tags") {
				all[tag] = append(all[tag], r.operation(strings.ToUpper(method), p, n, item.list("parameters")))
			}
		}
	}
	return all
}

func (r contractReader) operation(method, p string, n node, shared []node) operation {
	o := operation{
		Method: method, Path: p, ID: n.text("operationId"), Summary: n.text("summary"), Description: n.text("description"),
		Who: callers{n.texts("x-roles"), n.texts("x-key-access")}, Body: r.content(n.node("requestBody")),
	}
	for _, parameter := range slices.Concat(shared, n.list("parameters")) {
		v := r.follow(parameter)
		o.Parameters = append(o.Parameters, property{
			v.text("name"), v.text("in"), v.text("description"), v.is("required"), r.typeOf(v.node("schema")),
		})
	}
	responses := n.node("responses")
	for _, status := range responses.names {
		v := r.follow(responses.node(status))
		o.Answers = append(o.Answers, answer{status, v.text("description"), r.content(v)})
	}
	return o
}

// content returns the one body of a request or a response, or nil.
func (r contractReader) content(holder node) *content {
	bodies := holder.node("content")
	if len(bodies.names) == 0 {
		return nil
	}
	media := bodies.node(bodies.names[0])
	c := &content{Type: r.typeOf(media.node("schema"))}
	if one, ok := media.values["example"]; ok {
		c.Examples = append(c.Examples, example{"", indented(one)})
	}
	examples := media.node("examples")
	for _, name := range examples.names {
		e := r.follow(examples.node(name))
		c.Examples = append(c.Examples, example{e.text("summary"), indented(e.values["value"])})
	}
	return c
}

// indented returns indented JSON; a JSON string as plain text.
func indented(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var out bytes.Buffer
	if err := json.Indent(&out, value, "", "  "); err != nil {
		return string(value)
	}
	return out.String()
}

func (r contractReader) properties(s node) []property {
	required := s.texts("required")
	properties := s.node("properties")
	var all []property
	for _, name := range properties.names {
		p := properties.node(name)
		text := p.text("description")
		if text == "" {
			text, _, _ = strings.Cut(r.follow(p).text("description"), "\n\n") // of its type
		}
		all = append(all, property{
			Name: name, Description: text, Required: slices.Contains(required, name), Type: r.typeOf(p),
		})
	}
	return all
}

// typeOf returns the text of a type: the kinds or values it allows, and its limits.
func (r contractReader) typeOf(s node) []part {
	if ref := s.text("$ref"); ref != "" {
		return []part{{Schema: path.Base(ref)}}
	}
	for _, group := range []string{"oneOf", "anyOf", "allOf"} {
		if alternatives := s.list(group); len(alternatives) > 0 {
			var all []part
			for i, a := range alternatives {
				if i > 0 {
					all = append(all, part{Text: " or "})
				}
				all = append(all, r.typeOf(a)...)
			}
			return all
		}
	}
	if words := s.texts("enum"); len(words) > 0 {
		return []part{{Text: strings.Join(words, ", ") + bounds(s)}}
	}
	types := s.texts("type")
	switch {
	case len(types) == 0:
		return []part{{Text: "anything"}}
	case types[0] == "array" && len(types) == 1:
		return append([]part{{Text: "array" + bounds(s) + " of "}}, r.typeOf(s.node("items"))...)
	case types[0] == "object" && len(types) == 1 && len(s.node("additionalProperties").names) > 0:
		return append([]part{{Text: "object of "}}, r.typeOf(s.node("additionalProperties"))...)
	}
	return []part{{Text: strings.Join(types, " or ") + bounds(s)}}
}

// bounds returns the limits of a value: " (1 to 200, default 50)".
func bounds(s node) string {
	var all []string
	if format := s.text("format"); format == "date-time" {
		all = append(all, format)
	}
	for _, b := range []struct{ low, high, unit string }{
		{"minimum", "maximum", ""}, {"minLength", "maxLength", " characters"}, {"minItems", "maxItems", " items"},
	} {
		low, high := s.number(b.low), s.number(b.high)
		switch {
		case low != "" && high != "":
			all = append(all, low+" to "+high+b.unit)
		case low != "":
			all = append(all, "at least "+low+b.unit)
		case high != "":
			all = append(all, "at most "+high+b.unit)
		}
	}
	if v, ok := s.values["default"]; ok {
		all = append(all, "default "+strings.Trim(string(v), `"`))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// follow returns the target of a reference, or the node itself.
func (r contractReader) follow(n node) node {
	ref := n.text("$ref")
	if ref == "" {
		return n
	}
	return r.shared[path.Base(path.Dir(ref))].node(path.Base(ref))
}

// nodeOf reads an object. Any other value gives a node without names.
func nodeOf(data json.RawMessage) node {
	n := node{values: map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(data))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return n
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return n
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return n
		}
		key := fmt.Sprint(name)
		n.names = append(n.names, key)
		n.values[key] = value
	}
	return n
}

func (n node) node(name string) node { return nodeOf(n.values[name]) }

func (n node) text(name string) string {
	var s string
	if json.Unmarshal(n.values[name], &s) != nil {
		return ""
	}
	return s
}

// texts returns a list of texts, or the one text.
func (n node) texts(name string) []string {
	if s := n.text(name); s != "" {
		return []string{s}
	}
	var all []string
	if json.Unmarshal(n.values[name], &all) != nil {
		return nil
	}
	return all
}

func (n node) is(name string) bool { return string(n.values[name]) == "true" }

// number returns a number as text, or "".
func (n node) number(name string) string {
	text := string(n.values[name])
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return ""
	}
	return text
}

func (n node) list(name string) []node {
	var all []json.RawMessage
	if json.Unmarshal(n.values[name], &all) != nil {
		return nil
	}
	nodes := make([]node, len(all))
	for i, data := range all {
		nodes[i] = nodeOf(data)
	}
	return nodes
}
