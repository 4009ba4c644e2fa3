package render

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"theoneagents.app/agents/shared/jsonvalue"
)

// maxItems limits the list of a filter. A list in an event cannot have more
// items.
const maxItems = 512 << 10

// perItem is the cost of comparing an item with others, in bytes.
const perItem = 100

var errItems = errors.New("its result would have more than 524288 items")

func listFilters() []Filter {
	by := []Argument{optional("property", propertyKind)}
	return []Filter{
		{
			Name: "join", Arguments: []Argument{optional("separator", textKind)}, apply: join,
			Does:    "Joins the items of a list to a text, with a separator (default: a space).",
			Example: `{{ event_payload.tags | compact | join: ", " }}`, Shows: "vpn, mail, vpn",
		},
		{
			Name: "first", apply: end(0),
			Does:    "Returns the first item of a list.",
			Example: `{{ event_payload.tags | first }}`, Shows: "vpn",
		},
		{
			Name: "last", apply: end(-1),
			Does:    "Returns the last item of a list.",
			Example: `{{ "a b c" | split: " " | last }}`, Shows: "c",
		},
		{
			Name: "reverse", apply: onItems(func(list []any) []any { slices.Reverse(list); return list }),
			Does:    "Reverses a list.",
			Example: `{{ "a b c" | split: " " | reverse | join }}`, Shows: "c b a",
		},
		{
			Name: "concat", Arguments: []Argument{needed("list", listKind)}, apply: concat,
			Does:    "Appends another list.",
			Example: `{{ "a b" | split: " " | concat: event_payload.tags | join: "+" }}`, Shows: "a+b+vpn+mail++vpn",
		},
		{
			Name: "sort", Arguments: by, apply: sorted(strings.Clone),
			Does:    "Sorts a list, or a list of objects by a property: numbers by value, then texts by character with capital letters first, then other values; null is last.",
			Example: `{{ event_payload.tags | compact | sort | join }} {{ event_payload.devices | sort: "free_gb" | map: "name" | join }}`,
			Shows:   "mail vpn vpn pc-2 PC-1",
		},
		{
			Name: "sort_natural", Arguments: by, apply: sorted(downcase),
			Does:    "Sorts like sort, but ignores case.",
			Example: `{{ "b C a" | split: " " | sort_natural | join }}`, Shows: "a b C",
		},
	}
}

func selectingFilters() []Filter {
	by := []Argument{optional("property", propertyKind)}
	return []Filter{
		{
			Name: "uniq", Arguments: by, apply: uniq,
			Does:    "Removes duplicate items, or items with the same value of a property.",
			Example: `{{ event_payload.tags | uniq | join: "," }}`, Shows: "vpn,mail,",
		},
		{
			Name: "compact", Arguments: by, apply: compact,
			Does:    "Removes items that are null, or whose property is missing or null.",
			Example: `{{ event_payload.tags | compact | size }}`, Shows: "3",
		},
		{
			Name: "map", Arguments: []Argument{needed("property", propertyKind)}, apply: mapped,
			Does:    "Returns one property of each item.",
			Example: `{{ event_payload.devices | map: "name" | join: ", " }}`, Shows: "PC-1, pc-2",
		},
		{
			Name: "where", Arguments: []Argument{needed("property", propertyKind), optional("value", anyKind)}, apply: where,
			Does:    "Keeps the items whose property equals a value or, without a value, is neither missing, null nor false.",
			Example: `{{ event_payload.devices | where: "online" | map: "name" | first }} {{ event_payload.devices | where: "name", "pc-2" | size }}`, Shows: "PC-1 1",
		},
		{
			Name: "sum", Arguments: by, apply: sum,
			Does:    "Adds the numbers of a list, or of a property of its items. Null is skipped.",
			Example: `{{ event_payload.devices | sum: "free_gb" }}`, Shows: "16.5",
		},
	}
}

// items returns the items of a list. Any other value counts as a list of one,
// because some products send a single item without the list.
func items(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// onItems makes a filter of a function that may modify its list.
func onItems(f func([]any) []any) func(*work, any, []any) (any, error) {
	return func(_ *work, v any, _ []any) (any, error) { return f(slices.Clone(items(v))), nil }
}

// property returns a field of an item by name or path, or null.
func property(item any, name string) any {
	object, ok := item.(map[string]any)
	if !ok {
		return nil
	}
	if v, ok := object[name]; ok {
		return v
	}
	v, _ := jsonvalue.Lookup(object, name)
	return v
}

// properties returns the items, or the given property of each.
func properties(list []any, args []any) []any {
	name := argument(args, 0, "")
	if name == "" {
		return list
	}
	out := make([]any, len(list))
	for i := range list {
		out[i] = property(list[i], name)
	}
	return out
}

func join(w *work, v any, args []any) (any, error) {
	list, by := items(v), argument(args, 0, " ")
	texts := make([]string, len(list))
	size := len(by) * max(len(list)-1, 0)
	for i := range list {
		texts[i] = String(list[i])
		size += len(texts[i])
	}
	if err := w.fits(size); err != nil {
		return nil, err
	}
	return strings.Join(texts, by), nil
}

func end(at int) func(*work, any, []any) (any, error) {
	return func(_ *work, v any, _ []any) (any, error) {
		list, ok := v.([]any)
		if !ok || len(list) == 0 {
			return nil, nil //nolint:nilnil // no such item
		}
		return list[(at+len(list))%len(list)], nil
	}
}

func size(_ *work, v any, _ []any) (any, error) {
	switch v := v.(type) {
	case []any:
		return int64(len(v)), nil
	case map[string]any:
		return int64(len(v)), nil
	}
	return int64(utf8.RuneCountInString(String(v))), nil
}

func concat(_ *work, v any, args []any) (any, error) {
	list, more := items(v), argument[[]any](args, 0, nil)
	if len(list)+len(more) > maxItems {
		return nil, errItems
	}
	return slices.Concat(list, more), nil
}

// A keyed item is an item with its sort key.
type keyed struct {
	item, key any
	text      string // compared if the keys have no natural order
}

// sorted makes a filter that sorts by the text that by returns for a key.
func sorted(by func(string) string) func(*work, any, []any) (any, error) {
	return func(w *work, v any, args []any) (any, error) {
		list := items(v)
		if err := w.spend(perItem * len(list)); err != nil {
			return nil, err
		}
		keys := properties(list, args)
		rows := make([]keyed, len(list))
		for i := range list {
			rows[i] = keyed{item: list[i], key: keys[i], text: by(String(keys[i]))}
		}
		slices.SortStableFunc(rows, compare)
		out := make([]any, len(rows))
		for i := range rows {
			out[i] = rows[i].item
		}
		return out, nil
	}
}

func compare(a, b keyed) int {
	if n, ok := jsonvalue.Compare(a.key, b.key); ok {
		return n
	}
	return cmp.Or(cmp.Compare(rank(a.key), rank(b.key)), cmp.Compare(a.text, b.text))
}

// rank orders values of different kinds.
func rank(v any) int {
	switch v.(type) {
	case int64, jsonvalue.Number:
		return 0
	case string:
		return 1
	case bool:
		return 2
	case []any:
		return 3
	case nil:
		return 5
	}
	return 4
}

func uniq(w *work, v any, args []any) (any, error) {
	list := items(v)
	if err := w.spend(perItem * len(list)); err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(list))
	out := []any{}
	for i, key := range properties(list, args) {
		if text := jsonText(key); !seen[text] {
			seen[text] = true
			out = append(out, list[i])
		}
	}
	return out, nil
}

func compact(_ *work, v any, args []any) (any, error) {
	list := items(v)
	out := []any{}
	for i, key := range properties(list, args) {
		if key != nil {
			out = append(out, list[i])
		}
	}
	return out, nil
}

func mapped(_ *work, v any, args []any) (any, error) { return properties(items(v), args), nil }

func where(_ *work, v any, args []any) (any, error) {
	list := items(v)
	var wanted any
	if len(args) > 1 {
		wanted = args[1]
	}
	text := jsonText(wanted)
	out := []any{}
	for i, found := range properties(list, args) {
		holds := found != nil && found != false
		if wanted != nil {
			holds = jsonText(found) == text
		}
		if holds {
			out = append(out, list[i])
		}
	}
	return out, nil
}

func sum(w *work, v any, args []any) (any, error) {
	total := whole(0)
	for _, found := range properties(items(v), args) {
		if found == nil {
			continue
		}
		n, err := numberOf(found)
		if err != nil {
			return nil, err
		}
		if err := w.spend(total.weight() + n.weight()); err != nil {
			return nil, err
		}
		if total, err = w.number(add(total, n)); err != nil {
			return nil, err
		}
	}
	return total, nil
}
