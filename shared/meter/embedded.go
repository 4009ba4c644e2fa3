package meter

import (
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Embedded returns counts as attributes of a log line that CloudWatch turns
// into metrics of a namespace, by its embedded metric format, specification of 2019
// (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring, "Specification:
// Embedded metric format"). It makes no call; a metric costs one log line.
func Embedded(namespace string, at time.Time, counts map[string]int) []slog.Attr {
	names := slices.Sorted(maps.Keys(counts))
	metrics := make([]map[string]string, 0, len(names))
	attrs := make([]slog.Attr, 0, len(names)+1)
	for _, name := range names {
		metrics = append(metrics, map[string]string{"Name": name, "Unit": "Count"})
		attrs = append(attrs, slog.Int(name, counts[name]))
	}
	return append(attrs, slog.Any("_aws", map[string]any{ //nolint:sloglint // the format requires this name.
		"Timestamp": at.UnixMilli(),
		"CloudWatchMetrics": []map[string]any{{
			"Namespace": namespace, "Dimensions": [][]string{{}}, "Metrics": metrics,
		}},
	}))
}
