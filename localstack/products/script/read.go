package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"theoneagents.app/agents/localstack/products/reply"
)

// Read returns the rules in the body of a PUT, {"rules": [{…}, …]}, or ErrCue with
// the number of the invalid rule and the reason.
func Read[R any](body []byte) ([]R, error) {
	whole, err := fields(body)
	if err != nil {
		return nil, fmt.Errorf("%w: the body %w", ErrCue, err)
	}
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		if name != "rules" {
			return nil, fmt.Errorf(`%w: the body has no field %q; it is {"rules": [{…}, …]}`, ErrCue, name)
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(whole["rules"], &list); err != nil || list == nil {
		return nil, fmt.Errorf(`%w: the body must be {"rules": [{…}, …]}`, ErrCue)
	}
	rules := make([]R, 0, len(list))
	for n, text := range list {
		r, err := rule[R](text)
		if err != nil {
			return nil, fmt.Errorf("%w: rule %d %w", ErrCue, n, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// rule reads one rule.
func rule[R any](text []byte) (R, error) {
	var r R
	given, err := fields(text)
	if err != nil {
		return r, err
	}
	known := names(reflect.TypeFor[R]())
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			return r, fmt.Errorf("has the unknown field %q; a rule has %s", name, strings.Join(known, ", "))
		}
	}
	r, err = reply.Decode[R](text)
	if mistyped, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		return r, fmt.Errorf("has a %s as %s, which must be %s", mistyped.Value, mistyped.Field[strings.LastIndexByte(mistyped.Field, '.')+1:], kind(mistyped.Type))
	}
	if err != nil {
		return r, errors.New("cannot be read")
	}
	return r, nil
}

// fields returns the fields of a JSON object undecoded.
func fields(text []byte) (map[string]json.RawMessage, error) {
	var object map[string]json.RawMessage
	switch err := json.Unmarshal(text, &object); {
	case !json.Valid(text):
		return nil, errors.New("is not JSON")
	case err != nil || object == nil:
		return nil, errors.New("is not a JSON object")
	}
	return object, nil
}

// names returns the names of the fields of a rule, sorted.
func names(t reflect.Type) []string {
	var all []string
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !f.Anonymous {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// kind returns the JSON name of a field's type.
func kind(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the kinds of the fields of rules.
	case reflect.Int, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	}
	return "a string"
}
