// Package schema names the table's keys and indexes. The CDK app declares them,
// and package dynamo uses them.
package schema

// The table's key.
const (
	PartitionKey = "pk"
	SortKey      = "sk"
	// Expires is the time, in seconds since 1970, after which DynamoDB may
	// delete an item. It only cleans up; no code depends on when that happens.
	Expires = "expires"
)

// ContributionAttribute holds what the last change of a run adds to the statistics of its
// agent, in the records that add something. The table's stream is filtered by it.
const ContributionAttribute = "cn"

// RunKey is the sort key of the record of a run, and EndedAttribute the time of its end.
// The table's stream is filtered by both.
const (
	RunKey         = "META"
	EndedAttribute = "e"
)

// StatsPartitions matches the partition keys of statistics, and OrgPartitions those of
// the records of organizations, as patterns of IAM.
const (
	StatsPartitions = "ORG#*#STATS"
	OrgPartitions   = "ORG#*"
)

// RatePartitions matches the partition keys of the counts of requests, as a
// pattern of IAM.
const RatePartitions = "ORG#*#RATE"

// JobPartitions matches the partition keys of jobs, as a pattern of IAM.
const JobPartitions = "ORG#*#JOBS"

// LedgerPartitions matches the partition keys of the ledgers of test runs, BalancePartitions
// those of balances, and OutboxPartitions those of events to be published, as patterns of
// IAM.
const (
	LedgerPartitions  = "ORG#*#EXEC#test_*"
	BalancePartitions = "ORG#*#CREDIT"
	OutboxPartitions  = "ORG#*#OUTBOX#*"
)

// RateAttributes returns every attribute that counting a request names.
func RateAttributes() []string {
	return []string{PartitionKey, SortKey, Expires, "taken", "w"}
}

// PartitionsOf matches the partition keys of the records of one organization, as
// patterns of IAM.
func PartitionsOf(org string) []string { return []string{"ORG#" + org, "ORG#" + org + "#*"} }

// KeyPartitions matches the partition keys of integration keys by their hash, as a
// pattern of IAM.
const KeyPartitions = "KEY#*"

// KeyUseAttributes returns every attribute that storing the last use of a key names.
func KeyUseAttributes() []string { return []string{PartitionKey, SortKey, "last_used", "w"} }

// An Index is a global secondary index that holds keys only.
type Index struct {
	Name         string
	PartitionKey string
	SortKey      string
}

// Indexes returns the table's indexes.
func Indexes() []Index {
	return []Index{ByOrg(), ByAgent(), ByStatus(), ByAgentStatus(), Open()}
}

// ByOrg lists the runs and the approvals of an organization by time.
func ByOrg() Index { return Index{Name: "by_org", PartitionKey: "org_list", SortKey: "at"} }

// ByAgent lists the runs of an agent by time.
func ByAgent() Index { return Index{Name: "by_agent", PartitionKey: "agent_list", SortKey: "at"} }

// ByStatus lists the runs and the approvals of an organization in one status,
// by time. It is sparse: a run that has just begun is not in it.
func ByStatus() Index { return Index{Name: "by_status", PartitionKey: "status_list", SortKey: "at"} }

// ByAgentStatus lists the runs of an agent that are also in ByStatus.
func ByAgentStatus() Index {
	return Index{Name: "by_agent_status", PartitionKey: "agent_status_list", SortKey: "at"}
}

// Open lists the open runs by the time at which they are due, and the
// unpublished platform events. It is sparse: an ended run leaves it.
func Open() Index { return Index{Name: "open", PartitionKey: "open_shard", SortKey: "due"} }
