package meter

import (
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Namespace is where the metrics of the system are.
const Namespace = "OneAgents"

// Embedded returns counts as attributes of a log line from which CloudWatch
// makes metrics: its embedded metric format, specification of 2019
// (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring, "Specification:
// Embedded metric format"). Nothing is called, so it costs a line.
func Embedded(at time.Time, counts map[string]int) []slog.Attr {
	names := slices.Sorted(maps.Keys(counts))
	metrics := make([]map[string]string, 0, len(names))
	attrs := make([]slog.Attr, 0, len(names)+1)
	for _, name := range names {
		metrics = append(metrics, map[string]string{"Name": name, "Unit": "Count"})
		attrs = append(attrs, slog.Int(name, counts[name]))
	}
	return append(attrs, slog.Any("_aws", map[string]any{ //nolint:sloglint // the format wants this name.
		"Timestamp": at.UnixMilli(),
		"CloudWatchMetrics": []map[string]any{{
			"Namespace": Namespace, "Dimensions": [][]string{{}}, "Metrics": metrics,
		}},
	}))
}
