package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tiers returns the model tiers of the definition language.
func tiers() []string { return []string{"expert", "premium", "quick", "standard"} }

// geographies returns the prefixes of inference profiles, and of the regions from
// which Bedrock accepts a call of them. A profile of no geography listed here has no
// prefix.
func geographies() map[string][]string {
	return map[string][]string{
		"us": {"us-", "ca-", "mx-", "sa-"}, "eu": {"eu-", "il-", "me-", "af-"}, "ca": {"ca-"},
		"apac": {"ap-", "me-"}, "jp": {"ap-"}, "au": {"ap-"}, "us-gov": {"us-gov-"},
		"global": {"us-", "ca-", "mx-", "sa-", "eu-", "il-", "me-", "af-", "ap-"},
	}
}

// geographyOf returns the geography of an inference profile, and the model behind it.
// The id of a model itself has none.
func geographyOf(id string) (geography, model string, ok bool) {
	geography, model, _ = strings.Cut(id, ".")
	_, ok = geographies()[geography]
	return geography, model, ok
}

// foundationModels returns the model of each tier and its fallback model.
func foundationModels() map[string][]string {
	return map[string][]string{
		"quick":    {"amazon.nova-lite-v1:0", "amazon.nova-micro-v1:0"},
		"standard": {"anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-pro-v1:0"},
		"premium":  {"anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-6"},
		"expert":   {"anthropic.claude-opus-4-5-20251101-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"},
	}
}

// defaultModels returns the inference profiles of the models in the geography of the
// region: newer models cannot be called on demand without one. A region elsewhere has
// no defaults, because no geography there has a profile of each model.
func (s settings) defaultModels() (map[string][]string, error) {
	geography, _, _ := strings.Cut(s.Region, "-")
	if geography != "us" && geography != "eu" || strings.HasPrefix(s.Region, "us-gov-") {
		return nil, fmt.Errorf("models: there are no defaults for the region %s: set models to a model for each of %v, "+
			"as aws bedrock list-inference-profiles --region %s lists them", s.Region, tiers(), s.Region)
	}
	models := foundationModels()
	for _, some := range models {
		for i := range some {
			some[i] = geography + "." + some[i]
		}
	}
	return models, nil
}

// checkRegion refuses inference profiles of a geography in which the region is not.
// Models at another endpoint than Bedrock's are not checked.
func (s settings) checkRegion(models map[string][]string) error {
	if s.Provider != bedrock || s.ModelURL != "" {
		return nil
	}
	var faults []error
	for _, tier := range slices.Sorted(maps.Keys(models)) {
		for _, id := range models[tier] {
			geography, model, ok := geographyOf(id)
			in := slices.ContainsFunc(geographies()[geography], func(of string) bool { return strings.HasPrefix(s.Region, of) })
			if ok && (!in || geography != "us-gov" && strings.HasPrefix(s.Region, "us-gov-")) {
				faults = append(faults, fmt.Errorf("models: %s: %s is an inference profile of %s and cannot be called from %s: "+
					"set models to a profile of %s there, as aws bedrock list-inference-profiles --region %s lists them",
					tier, id, geography, s.Region, model, s.Region))
			}
		}
	}
	return errors.Join(faults...)
}

// readModels returns the models as JSON. They are an object in a file and a
// string on the command line.
func (s settings) readModels(v any) (string, error) {
	text, isText := v.(string)
	switch {
	case v == nil:
		models, err := s.defaultModels()
		if err != nil {
			return "", err
		}
		v = models
	case isText:
		v = json.RawMessage(text)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("models: %w", err)
	}
	models, err := parseModels(string(raw))
	if err != nil {
		return "", err
	}
	if got := slices.Sorted(maps.Keys(models)); !slices.Equal(got, tiers()) {
		return "", fmt.Errorf("models: want one for each of %v, got %v", tiers(), got)
	}
	return string(raw), s.checkRegion(models)
}

// parseModels returns the models of each tier: one, or one and its fallback.
func parseModels(raw string) (map[string][]string, error) {
	var tiers map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &tiers); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	models := make(map[string][]string, len(tiers))
	for tier, text := range tiers {
		var one string
		if json.Unmarshal(text, &one) == nil {
			models[tier] = []string{one}
			continue
		}
		var some []string
		if err := json.Unmarshal(text, &some); err != nil || len(some) == 0 || len(some) > 2 {
			return nil, fmt.Errorf("models: %s: want a model or a list of two, got %s", tier, text)
		}
		models[tier] = some
	}
	return models, nil
}
