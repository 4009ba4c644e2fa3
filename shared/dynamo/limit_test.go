package dynamo

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"testing"
	"time"

	"theoneagents.app/agents/shared/dynamo/schema"
)

// The policy of functions that only read names these attributes and partitions.
func TestCountingARequestStaysWithinThePolicyOfReaders(t *testing.T) {
	t.Parallel()

	w := lease("org_a", time.Unix(1_790_000_000, 0), 10, 100, "nonce")
	x, err := w.expressed("nonce")
	if err != nil {
		t.Fatal(err)
	}
	named := slices.Collect(maps.Values(x.names))
	for _, name := range regexp.MustCompile(`[:]?[a-z_]+`).FindAllString(w.cond, -1) {
		if name != "attribute_not_exists" && name[0] != ':' {
			named = append(named, name)
		}
	}
	named = append(named, schema.PartitionKey, schema.SortKey)
	if len(x.names) == 0 {
		t.Error("the update names no attribute")
	}
	for _, name := range named {
		if !slices.Contains(schema.RateAttributes(), name) {
			t.Errorf("counting names %s, which the policy refuses", name)
		}
	}
	if ok, err := path.Match(schema.RatePartitions, w.key.PK); err != nil || !ok {
		t.Errorf("the partition %s does not match %s, %v", w.key.PK, schema.RatePartitions, err)
	}
	for _, other := range []primary{tenantKey("org_a"), monthKey("org_a", "2026-03"), revokedUserKey("org_a", "user_1"), approvalKey("org_a", "appr_1")} {
		if ok, _ := path.Match(schema.RatePartitions, other.PK); ok {
			t.Errorf("the policy permits writes to %s", other.PK)
		}
	}
}
