package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// readStage reads the settings of a stage. A key of the context applies first, then
// the same key of the stage in stages: an object, stage → settings, which cdk.json
// holds.
func readStage(get func(key string) any, region string) (settings, error) {
	stages, _ := get("stages").(map[string]any)
	stage, _ := get("stage").(string)
	own, _ := stages[stage].(map[string]any)
	var known []string
	s, err := readSettings(func(key string) any {
		known = append(known, key)
		if v := get(key); v != nil {
			return v
		}
		return own[key]
	}, region)
	var unknown []error
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if !slices.Contains(known, key) {
			slices.Sort(known)
			unknown = append(unknown, fmt.Errorf("stages: %s: there is no setting %q, only %v", stage, key, slices.Compact(known)))
		}
	}
	return s, errors.Join(append(unknown, err)...)
}
