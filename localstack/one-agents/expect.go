package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/rehearsal"
)

// plain returns a result as the JSON document that the API would answer.
func plain(r rehearsal.Result) any {
	text, err := json.Marshal(r)
	if err != nil {
		return nil
	}
	v, err := jsonvalue.Decode(text)
	if err != nil {
		return nil
	}
	return v
}

// differences adds the places where got is not as wanted. Fields that the wanted
// document does not name may be anything; a list has exactly the wanted entries.
func differences(all []fault.Detail, path string, want, got any) []fault.Detail {
	differ := func(format string, args ...any) []fault.Detail {
		return append(all, fault.Detail{Path: path, Message: fault.Sentencef(format, args...)})
	}
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return differ("want an object, got %s", jsonvalue.Canonical(got))
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			inner := name
			if path != "" {
				inner = path + "." + name
			}
			v, ok := object[name]
			if !ok {
				all = append(all, fault.Detail{Path: inner, Message: fmt.Sprintf("want %s, got nothing", jsonvalue.Canonical(want[name]))})
				continue
			}
			all = differences(all, inner, want[name], v)
		}
		return all
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return differ("want %d entries, got %s", len(want), jsonvalue.Canonical(got))
		}
		for i := range want {
			all = differences(all, input.Index(path, i), want[i], list[i])
		}
		return all
	}
	if jsonvalue.Canonical(want) != jsonvalue.Canonical(got) {
		return differ("want %s, got %s", jsonvalue.Canonical(want), jsonvalue.Canonical(got))
	}
	return all
}
