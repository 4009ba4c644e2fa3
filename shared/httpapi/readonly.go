package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// An acceptance reports whether an update may carry a value of a read-only field,
// given the agent's current view.
type acceptance func(sent any, now map[string]any) bool

// readOnly returns the read-only fields of an agent that an update accepts
// unchanged. Fields that the platform changes may also have an older value.
func readOnly() map[string]acceptance {
	equal := func(field string) acceptance {
		return func(sent any, now map[string]any) bool { return jsonvalue.Same(sent, now[field]) }
	}
	return map[string]acceptance{
		"id": equal("id"), "org_id": equal("org_id"), "type": equal("type"),
		"created_at": func(sent any, now map[string]any) bool {
			at, ok := timeIn(sent)
			created, _ := timeIn(now["created_at"])
			return ok && at.Equal(created)
		},
		"updated_at": func(sent any, now map[string]any) bool {
			at, ok := timeIn(sent)
			created, _ := timeIn(now["created_at"])
			updated, _ := timeIn(now["updated_at"])
			return ok && !at.Before(created) && !at.After(updated)
		},
		"version": func(sent any, now map[string]any) bool {
			n, ok := sent.(int64)
			current, _ := now["version"].(int64)
			return ok && n >= 1 && n <= current
		},
		"pinned_version": equal("pinned_version"),
		"created_by":     equal("created_by"),
		"updated_by":     func(sent any, _ map[string]any) bool { return isActor(sent) },
		"stats":          func(sent any, now map[string]any) bool { return olderStats(sent, now["stats"]) },
		"warnings":       func(sent any, _ map[string]any) bool { return areWarnings(sent) },
	}
}

// isActor reports whether v may be the author of an earlier change.
func isActor(v any) bool {
	text, _ := v.(string)
	return text == string(id.Platform) || id.Valid("key_", text) || strings.HasPrefix(text, "user_") && id.ValidExternal(text)
}

func timeIn(v any) (time.Time, bool) {
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

// olderStats reports whether the sent stats are the current or possible earlier
// ones: the number of runs only grows.
func olderStats(sent, now any) bool {
	old, ok := sent.(map[string]any)
	current, _ := now.(map[string]any)
	if !ok || !slices.Equal(slices.Sorted(maps.Keys(old)), slices.Sorted(maps.Keys(current))) {
		return false
	}
	for _, v := range old {
		if kind := jsonvalue.Kind(v); kind != "a number" && kind != "a string" && kind != "null" {
			return false
		}
	}
	order, ok := jsonvalue.Compare(old["total_runs"], current["total_runs"])
	if !ok || order != 0 {
		return ok && order < 0
	}
	// The credits are not compared: they restart at 0 each month.
	return !slices.ContainsFunc([]string{"success_rate", "avg_duration_ms", "last_run_at"}, func(field string) bool {
		return jsonvalue.Canonical(old[field]) != jsonvalue.Canonical(current[field])
	})
}

func areWarnings(sent any) bool {
	list, ok := sent.([]any)
	return ok && !slices.ContainsFunc(list, func(v any) bool {
		w, _ := v.(map[string]any)
		_, isPath := w["path"].(string)
		_, isMessage := w["message"].(string)
		return len(w) != 2 || !isPath || !isMessage
	})
}

// writable returns the fields of an update without the read-only ones, and with the
// agent's URLs in place of their digests, or ErrRequest when a read-only field differs from the agent. It leaves an update
// of a system agent to the service, which refuses every field but status and
// pinned_version.
func (g agents) writable(ctx context.Context, name id.Agent, body map[string]any) (map[string]any, error) {
	checks := readOnly()
	hidden := hasHidden(body)
	if !hidden && !slices.ContainsFunc(slices.Collect(maps.Keys(body)), func(field string) bool { return checks[field] != nil }) {
		return body, nil
	}
	a, err := g.svc.Get(ctx, callerIn(ctx), name)
	if err != nil {
		return nil, err
	}
	if a.Type == agent.System {
		return body, nil
	}
	if hidden {
		body = g.hider(callerIn(ctx), name).restored(body, a.Definition)
	}
	now, err := g.shown(ctx, a)
	if err != nil {
		return nil, err
	}
	fields := maps.Clone(body)
	var faults []fault.Detail
	for _, field := range slices.Sorted(maps.Keys(body)) {
		check, ok := checks[field]
		if !ok {
			continue
		}
		if v := body[field]; v != nil && !check(v, now) {
			faults = append(faults, fault.Detail{Path: field, Message: fmt.Sprintf("is read-only; it is %.200s", jsonvalue.Canonical(now[field]))})
		}
		delete(fields, field)
	}
	if len(faults) > 0 {
		return nil, ErrRequest.Naming(faults)
	}
	return fields, nil
}

// shown returns the API's view of an agent as a JSON object.
func (g agents) shown(ctx context.Context, a agent.Agent) (map[string]any, error) {
	data, err := json.Marshal(g.view(ctx, a))
	if err != nil {
		return nil, err
	}
	return jsonvalue.Object(data)
}
