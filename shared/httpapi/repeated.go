package httpapi

import (
	"bytes"
	"encoding/json"
)

// repeated returns a name that an object in data has twice, at any depth. The
// decoder would keep the last one, and another reader the first.
func repeated(data []byte) (name string, found bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var open []map[string]bool // the names of each object that is open; nil for an array
	expectName := false
	for {
		token, err := d.Token()
		if err != nil {
			return "", false // the end, or what the real decoder complains about
		}
		switch token {
		case json.Delim('{'):
			open, expectName = append(open, map[string]bool{}), true
			continue
		case json.Delim('['):
			open, expectName = append(open, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			if name, ok := token.(string); ok && expectName {
				names := open[len(open)-1]
				if names[name] {
					return name, true
				}
				names[name], expectName = true, false
				continue
			}
		}
		// A value has ended: in an object a name comes next.
		expectName = len(open) > 0 && open[len(open)-1] != nil
	}
}
