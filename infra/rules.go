package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Limits of EventBridge.
const (
	maxPattern = 2048 // characters of a rule's pattern
	maxRules   = 300  // rules of a bus
)

// A rule matches one product's events of known types.
type rule struct {
	Product string
	Types   []string
}

// pattern returns the rule's EventBridge pattern.
func (r rule) pattern() map[string][]string {
	return map[string][]string{"source": {r.Product}, "detail-type": r.Types}
}

// productRules returns a rule for each product of the catalogue. A rule for
// each agent would not scale: a bus holds 300.
func productRules(catalogue fs.FS) ([]rule, error) {
	files, err := fs.Glob(catalogue, "*/*.json")
	if err != nil {
		return nil, fmt.Errorf("list event types: %w", err)
	}
	var rules []rule
	for _, file := range files { // sorted, so the files of a product are adjacent
		product, name := path.Dir(file), strings.TrimSuffix(path.Base(file), ".json")
		if n := len(rules); n == 0 || rules[n-1].Product != product {
			rules = append(rules, rule{Product: product})
		}
		last := &rules[len(rules)-1]
		last.Types = append(last.Types, name)
	}
	return rules, check(rules)
}

// check refuses rules that EventBridge would refuse during a deployment.
func check(rules []rule) error {
	if len(rules) > maxRules {
		return fmt.Errorf("%d products: a bus holds %d rules", len(rules), maxRules)
	}
	for _, r := range rules {
		raw, err := json.Marshal(r.pattern())
		if err != nil {
			return fmt.Errorf("pattern of %s: %w", r.Product, err)
		}
		if len(raw) > maxPattern {
			return fmt.Errorf("the pattern of %s has %d characters, EventBridge takes %d: give it a second rule", r.Product, len(raw), maxPattern)
		}
	}
	return nil
}
