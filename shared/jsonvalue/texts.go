package jsonvalue

import (
	"fmt"
	"maps"
	"slices"
)

// EachText calls f with every text in v, at any depth, and its path.
func EachText(path string, v any, f func(path, text string)) {
	switch v := v.(type) {
	case string:
		f(path, v)
	case []any:
		for i := range v {
			EachText(fmt.Sprintf("%s[%d]", path, i), v[i], f)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			EachText(path+"."+k, v[k], f)
		}
	}
}
