// Package schema names the table's keys and indexes: what the CDK app declares
// and package dynamo uses.
package schema

// The table's key.
const (
	PartitionKey = "pk"
	SortKey      = "sk"
	// Expires is the time, in seconds since 1970, after which an item may be
	// deleted. It only cleans up; nothing depends on when that happens.
	Expires = "expires"
)

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

// ByOrg lists the executions and the approvals of an organization by time.
func ByOrg() Index { return Index{Name: "by_org", PartitionKey: "org_list", SortKey: "at"} }

// ByAgent lists the executions of an agent by time.
func ByAgent() Index { return Index{Name: "by_agent", PartitionKey: "agent_list", SortKey: "at"} }

// ByStatus lists the executions and the approvals of an organization that are in
// a status by time. It is sparse: a run that has just begun is not in it.
func ByStatus() Index { return Index{Name: "by_status", PartitionKey: "status_list", SortKey: "at"} }

// ByAgentStatus lists the executions of an agent that ByStatus has.
func ByAgentStatus() Index {
	return Index{Name: "by_agent_status", PartitionKey: "agent_status_list", SortKey: "at"}
}

// Open holds what is not at its end, by the time at which somebody should look
// at it. It is sparse: what ends leaves it.
func Open() Index { return Index{Name: "open", PartitionKey: "open_shard", SortKey: "due"} }
