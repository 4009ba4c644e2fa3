package step

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// bounded returns a question with at most the input of its tier, and how many bytes
// were left out. System prompt and schema stay whole, then comes the prompt, and the
// values share the rest: a value that needs less than an equal share leaves the rest
// to the others. A list or an object that is cut becomes the beginning of its JSON.
func bounded(q Question) (Question, int) {
	left, out := q.Tier.MaxInput(), 0
	system := prefix(q.System, left)
	out += len(q.System) - len(system)
	left -= len(system)
	if q.Schema != nil {
		left = max(left-len(jsonvalue.Canonical(q.Schema)), 0)
	}
	prompt := prefix(q.Prompt, left)
	out += len(q.Prompt) - len(prompt)
	left -= len(prompt)
	q.System, q.Prompt = system, prompt
	data, cut := boundedData(q.Data, left)
	q.Data = data
	return q, out + cut
}

// boundedData returns values that have at most a number of bytes together with their
// names, as JSON, and how many bytes were left out.
func boundedData(data map[string]any, left int) (map[string]any, int) {
	const punctuation = 2 // a colon and a comma
	head, size, all := map[string]int{}, map[string]int{}, 0
	for name, v := range data {
		head[name] = written(name) + punctuation
		size[name] = head[name] + written(v)
		all += size[name]
	}
	if all <= left {
		return data, 0
	}
	out, cut := make(map[string]any, len(data)), 0
	names := slices.SortedFunc(maps.Keys(data), func(a, b string) int {
		return cmp.Or(cmp.Compare(size[a], size[b]), cmp.Compare(a, b))
	})
	for i, name := range names {
		share := left / (len(names) - i)
		used := 0
		switch {
		case size[name] <= share:
			out[name], used = data[name], size[name]
		case head[name] < share:
			text := writtenPrefix(render.String(data[name]), share-head[name])
			out[name], used = text, head[name]+written(text)
		}
		left -= used
		cut += size[name] - used
	}
	return out, cut
}

// written returns the size of a value as a model reads it: as JSON.
func written(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return len(render.String(v))
	}
	return len(b)
}

// writtenPrefix returns the beginning of a text that has at most a number of bytes as
// JSON, in whole characters.
func writtenPrefix(text string, most int) string {
	const quotes = 2
	most -= quotes
	for i, r := range text {
		if most -= written(string(r)) - quotes; most < 0 {
			return text[:i]
		}
	}
	return text
}

// prefix returns the beginning of a text with at most a number of bytes, in whole
// characters.
func prefix(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// cutNote says in the trace that the input of a model was cut.
func cutNote(bytes int, t credit.Tier) string {
	return fmt.Sprintf("%s bytes of the input were left out: a model of the class %s reads at most %s.",
		render.Count(bytes), t, render.Count(t.MaxInput()))
}
