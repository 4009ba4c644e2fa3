// Package document writes the API document as it is served: JSON, made from its YAML.
// Only generators and tests use it.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// JSON returns the JSON of a YAML document. Names keep their order; aliases and
// merged mappings are written out.
func JSON(source []byte) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(source, &node); err != nil {
		return nil, err
	}
	data, err := jsonOf(&node)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", " "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func jsonOf(n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return jsonOf(n.Content[0])
	case yaml.AliasNode:
		return jsonOf(n.Alias)
	case yaml.SequenceNode:
		var items [][]byte
		for _, c := range n.Content {
			item, err := jsonOf(c)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return slices.Concat([]byte("["), bytes.Join(items, []byte(",")), []byte("]")), nil
	case yaml.MappingNode:
		fields, err := fieldsOf(n)
		return slices.Concat([]byte("{"), bytes.Join(fields, []byte(",")), []byte("}")), err
	case yaml.StreamNode:
	case yaml.ScalarNode:
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, err
		}
		return plain(v)
	}
	return nil, fmt.Errorf("line %d: a node of kind %v", n.Line, n.Kind)
}

// fieldsOf returns the names and values of a mapping, merged mappings included.
func fieldsOf(n *yaml.Node) ([][]byte, error) {
	var fields [][]byte
	for i := 0; i+1 < len(n.Content); i += 2 {
		if merged := n.Content[i+1]; n.Content[i].Value == "<<" {
			more, err := fieldsOf(merged.Alias)
			if err != nil {
				return nil, err
			}
			fields = append(fields, more...)
			continue
		}
		name, err := plain(n.Content[i].Value)
		if err != nil {
			return nil, err
		}
		value, err := jsonOf(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		fields = append(fields, slices.Concat(name, []byte(":"), value))
	}
	return fields, nil
}

// plain returns the JSON of v without escapes for HTML.
func plain(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(out.Bytes()), err
}
