package boot_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/correlation"
)

func TestACountIsAWholeNumberFromOne(t *testing.T) {
	t.Parallel()

	for value, want := range map[string]int{"1": 1, "6000": 6000, "0": -1, "-5": -1, "1.5": -1, "many": -1, "": -1} {
		env := boot.NewEnv(func(string) string { return value })
		got, err := env.Count(boot.EnvRateLimit), env.Err()
		if want > 0 && (got != want || err != nil) || want < 0 && (err == nil || !strings.Contains(err.Error(), "RATE_LIMIT")) {
			t.Errorf("%q: %d, %v", value, got, err)
		}
	}
}

func TestALineHasTheFieldsOfItsContextAndItsLevel(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := boot.NewLogger(&out, "runner", slog.LevelWarn)
	ctx := correlation.With(t.Context())
	correlation.Set(ctx, func(f *correlation.Fields) {
		*f = correlation.Fields{Request: "r", Org: "org_a", Event: "evt_1", Agent: "agent_1", Execution: "exec_1", Trace: "abc"}
	})
	log.InfoContext(ctx, "hidden")
	log.WarnContext(ctx, "seen", "org_id", "org_b") // a field of the line itself stays
	log.With("a", 1).WarnContext(t.Context(), "bare")
	var got []map[string]any
	for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "time")
		got = append(got, fields)
	}
	want := []map[string]any{
		{
			"level": "WARN", "msg": "seen", "function": "runner", "org_id": "org_b", "request_id": "r", "event_id": "evt_1", "agent_id": "agent_1",
			"execution_id": "exec_1", "trace_id": "abc",
		},
		{"level": "WARN", "msg": "bare", "function": "runner", "a": 1.0},
	}
	if diff := cmp.Diff(want, got); diff != "" || strings.Count(out.String(), "org_id") != 1 {
		t.Errorf("lines (-want +got)\n%s", diff)
	}
}

func TestALevelHasANameOfLambda(t *testing.T) {
	t.Parallel()
	last := slog.Level(-100)
	for _, name := range []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"} {
		env := boot.NewEnv(func(string) string { return name })
		if got := env.LogLevel(); got <= last || env.Err() != nil {
			t.Errorf("%s is %v, %v", name, got, env.Err())
		} else {
			last = got
		}
	}
	env := boot.NewEnv(func(string) string { return "loud" })
	if env.LogLevel(); env.Err() == nil || !strings.Contains(env.Err().Error(), boot.EnvLogLevel) {
		t.Errorf("err = %v", env.Err())
	}
	if none := boot.NewEnv(func(string) string { return "" }); none.LogLevel() != slog.LevelInfo || none.Err() != nil {
		t.Error("without a setting the level is not INFO")
	}
}

func TestARatioIsFromZeroToOne(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"": 1, "0": 0, "0.25": 0.25, "1": 1, "1.5": -1, "-1": -1, "NaN": -1, "much": -1} {
		env := boot.NewEnv(func(string) string { return text })
		if got := env.Ratio(boot.EnvTracesRatio); (env.Err() != nil) != (want < 0) || want >= 0 && got != want {
			t.Errorf("%q is %v, %v", text, got, env.Err())
		}
	}
}
