package condition

import (
	"fmt"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// An Operator compares the value of a field with the value of a definition.
type Operator string

// The operators. Each has one row in table.
const (
	Eq         Operator = "eq"
	Ne         Operator = "ne"
	Gt         Operator = "gt"
	Gte        Operator = "gte"
	Lt         Operator = "lt"
	Lte        Operator = "lte"
	Contains   Operator = "contains"
	In         Operator = "in"
	NotIn      Operator = "not_in"
	Exists     Operator = "exists"
	StartsWith Operator = "starts_with"
	EndsWith   Operator = "ends_with"
)

// An operator is the meaning of one Operator.
type operator struct {
	name Operator

	// takes returns the faults of the wanted value. Their paths are relative to the
	// value.
	takes func(o Operator, want any) []fault.Detail

	// fits returns the faults of a comparison that can never hold for a field of the
	// catalogue: of the operator (path "operator") or of the value (path "value").
	fits func(o Operator, field catalog.Field, want any) []fault.Detail

	// demand completes the sentence "<field> must …"; %s stands for the wanted value.
	demand string

	// holds reports whether a value satisfies the operator. Nothing is coerced: a
	// value of another type does not match. A missing field satisfies only ne,
	// not_in and exists false; a field that is null exists.
	holds func(found any, there bool, want any) bool

	// differs returns a note on a difference that is hard to see, such as another
	// type, capitals or invisible characters; or "".
	differs func(want, found any) string
}

// table has one row for each operator. It is an array, so that a comparison does
// not allocate.
func table() [12]operator {
	return [...]operator{
		{Eq, scalar, member, "be %s", equal, noteEqual},
		{Ne, scalar, member, "not be %s", unequal, noNote},
		{Gt, number, numeric, "be greater than %s", greater, otherType},
		{Gte, number, numeric, "be at least %s", atLeast, otherType},
		{Lt, number, numeric, "be less than %s", less, otherType},
		{Lte, number, numeric, "be at most %s", atMost, otherType},
		{Contains, text, textual, "contain %s", contains, noteContained},
		{In, scalars, members, "be one of %s", oneOf, noteListed},
		{NotIn, scalars, members, "not be one of %s", noneOf, noNote},
		{Exists, boolean, anyField, "exist", exists, noNote},
		{StartsWith, text, textual, "start with %s", startsWith, noteContained},
		{EndsWith, text, textual, "end with %s", endsWith, noteContained},
	}
}

// row returns the operator's row. An operator without a row, in a definition that a
// later release stored, never holds.
func (o Operator) row() operator {
	for _, r := range table() {
		if r.name == o {
			return r
		}
	}
	return operator{
		name: o, takes: func(Operator, any) []fault.Detail { return nil }, fits: anyField, demand: "be " + string(o) + " %s",
		holds: func(any, bool, any) bool { return false }, differs: noNote,
	}
}

// Operators returns all operators.
func Operators() []Operator {
	var names []Operator
	for _, r := range table() {
		names = append(names, r.name)
	}
	return names
}

// Takes returns the faults of the wanted value of a comparison. Their paths begin
// with path, the path of the value.
func (o Operator) Takes(path string, want any) []fault.Detail {
	return under(path, o.row().takes(o, want))
}

// Fits returns the faults of a comparison that can never hold for the field: of the
// operator or of the wanted value. Their paths begin with path, the path of the
// filter.
func (o Operator) Fits(path string, field catalog.Field, want any) []fault.Detail {
	return under(path+".", o.row().fits(o, field, want))
}

// under prefixes the paths of faults.
func under(path string, faults []fault.Detail) []fault.Detail {
	for i := range faults {
		faults[i].Path = path + faults[i].Path
	}
	return faults
}

func one(path, format string, args ...any) []fault.Detail {
	return []fault.Detail{{Path: path, Message: fmt.Sprintf(format, args...)}}
}

// ---- values that an operator accepts ----

func scalar(o Operator, want any) []fault.Detail {
	if k := jsonvalue.Kind(want); k == "an array" || k == "an object" {
		return one("", "%s takes a string, a number, a boolean or null, not %s", o, k)
	}
	return nil
}

func number(o Operator, want any) []fault.Detail { return ofKind(o, want, "a number", "a number") }
func text(o Operator, want any) []fault.Detail   { return ofKind(o, want, "a string", "a string") }
func boolean(o Operator, want any) []fault.Detail {
	return ofKind(o, want, "a boolean", "true or false")
}

func ofKind(o Operator, want any, kind, words string) []fault.Detail {
	if k := jsonvalue.Kind(want); k != kind {
		return one("", "%s takes %s, not %s", o, words, k)
	}
	return nil
}

// maxListed is the maximum number of values of in and not_in.
const maxListed = 200

func scalars(_ Operator, want any) []fault.Detail {
	list, ok := want.([]any)
	if !ok || len(list) == 0 || len(list) > maxListed {
		return one("", "must be an array of 1 to %d values", maxListed)
	}
	var faults []fault.Detail
	for i, v := range list {
		if k := jsonvalue.Kind(v); k == "an array" || k == "an object" {
			faults = append(faults, one(fmt.Sprintf("[%d]", i), "must be a string, a number, a boolean or null, not %s", k)...)
		}
	}
	return faults
}

// ---- fields to which an operator applies ----

func anyField(Operator, catalog.Field, any) []fault.Detail { return nil }

func numeric(o Operator, field catalog.Field, _ any) []fault.Detail {
	if field.Type != catalog.Number {
		return one("operator", "%s compares numbers, and %s is of type %s", o, field.Path, field.Type)
	}
	return nil
}

func textual(o Operator, field catalog.Field, _ any) []fault.Detail {
	if field.Type != catalog.String && field.Type != catalog.Enum {
		return one("operator", "%s compares strings, and %s is of type %s", o, field.Path, field.Type)
	}
	return nil
}

func member(_ Operator, field catalog.Field, want any) []fault.Detail {
	return memberAt("value", field, want)
}

func members(_ Operator, field catalog.Field, want any) []fault.Detail {
	var faults []fault.Detail
	list, _ := want.([]any)
	for i, v := range list {
		faults = append(faults, memberAt(fmt.Sprintf("value[%d]", i), field, v)...)
	}
	return faults
}

// memberAt reports a wanted value that the field can never have.
func memberAt(path string, field catalog.Field, v any) []fault.Detail {
	s, isText := v.(string)
	kind := jsonvalue.Kind(v)
	switch {
	case field.Type == catalog.Enum && (!isText || !slices.Contains(field.EnumValues, s)):
		return one(path, "%s is one of %s", field.Path, fault.Offer(s, field.EnumValues))
	case field.Type == catalog.String && !isText:
		return one(path, "%s is a string, not %s", field.Path, kind)
	case field.Type == catalog.Number && kind != "a number":
		return one(path, "%s is a number, not %s", field.Path, kind)
	case field.Type == catalog.Boolean && kind != "a boolean":
		return one(path, "%s is a boolean, not %s", field.Path, kind)
	}
	return nil
}

// ---- comparisons ----

func equal(found any, there bool, want any) bool { return there && jsonvalue.Same(found, want) }

func unequal(found any, there bool, want any) bool { return !equal(found, there, want) }

func oneOf(found any, there bool, want any) bool {
	list, ok := want.([]any)
	return there && ok && slices.ContainsFunc(list, func(v any) bool { return jsonvalue.Same(found, v) })
}

func noneOf(found any, there bool, want any) bool { return !oneOf(found, there, want) }

func exists(_ any, there bool, want any) bool { return want == there }

func greater(found any, there bool, want any) bool {
	n, ok := jsonvalue.Compare(found, want)
	return there && ok && n > 0
}

func atLeast(found any, there bool, want any) bool {
	n, ok := jsonvalue.Compare(found, want)
	return there && ok && n >= 0
}

func less(found any, there bool, want any) bool {
	n, ok := jsonvalue.Compare(found, want)
	return there && ok && n < 0
}

func atMost(found any, there bool, want any) bool {
	n, ok := jsonvalue.Compare(found, want)
	return there && ok && n <= 0
}

func contains(found any, there bool, want any) bool {
	f, w, ok := texts(found, want)
	return there && ok && strings.Contains(f, w)
}

func startsWith(found any, there bool, want any) bool {
	f, w, ok := texts(found, want)
	return there && ok && strings.HasPrefix(f, w)
}

func endsWith(found any, there bool, want any) bool {
	f, w, ok := texts(found, want)
	return there && ok && strings.HasSuffix(f, w)
}

func texts(found, want any) (f, w string, ok bool) {
	f, fOK := found.(string)
	w, wOK := want.(string)
	return f, w, fOK && wOK
}
