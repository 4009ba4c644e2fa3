package dynamo

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"testing"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/limit"
)

// The policy of functions that only read names these attributes and partitions.
func TestCountingARequestStaysWithinThePolicyOfReaders(t *testing.T) {
	t.Parallel()

	who := caller.Caller{Org: "org_a", Key: "key_1"}
	pots := []limit.Pot{
		limit.Rates{}.Pot(who), limit.Rates{}.Reserve(who),
		limit.Rates{}.Pot(caller.Caller{Org: "org_a", User: "user_1"}), limit.Rates{}.Reserve(caller.Caller{Org: "org_a", User: "user_1"}),
	}
	keys := map[string]bool{}
	for _, p := range pots {
		w := lease(p, time.Unix(1_790_000_000, 0), 10, "nonce")
		if ok, err := path.Match(schema.RatePartitions, w.key.PK); err != nil || !ok || w.key.err != nil {
			t.Errorf("the partition %s does not match %s, %v, %v", w.key.PK, schema.RatePartitions, err, w.key.err)
		}
		keys[w.key.SK] = true
	}
	if len(keys) != len(pots) {
		t.Errorf("%d pots have the keys %v", len(pots), keys)
	}
	w := lease(pots[0], time.Unix(1_790_000_000, 0), 10, "nonce")
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
	for _, other := range []primary{tenantKey("org_a"), monthKey("org_a", "2026-03"), revokedUserKey("org_a", "user_1"), approvalKey("org_a", "appr_1")} {
		if ok, _ := path.Match(schema.RatePartitions, other.PK); ok {
			t.Errorf("the policy permits writes to %s", other.PK)
		}
	}
}

func TestMarkingAKeyStaysWithinThePolicyOfReaders(t *testing.T) {
	t.Parallel()

	hash, _ := key.HashOf("secret")
	w := use(key.Key{Hash: hash, Used: time.Unix(1_790_000_000, 0)})
	x, err := w.expressed("nonce")
	if err != nil {
		t.Fatal(err)
	}
	named := slices.Collect(maps.Values(x.names))
	for _, name := range regexp.MustCompile(`[:]?[a-z_]+`).FindAllString(w.cond, -1) {
		if !slices.Contains([]string{"attribute_not_exists", "attribute_exists"}, name) && name[0] != ':' {
			named = append(named, name)
		}
	}
	for _, name := range named {
		if !slices.Contains(schema.KeyUseAttributes(), name) {
			t.Errorf("marking names %s, which the policy refuses", name)
		}
	}
	if ok, err := path.Match(schema.KeyPartitions, w.key.PK); err != nil || !ok || len(named) == 0 {
		t.Errorf("the partition %s does not match %s, %v", w.key.PK, schema.KeyPartitions, err)
	}
}
