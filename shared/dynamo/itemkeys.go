package dynamo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/quota"
)

// errKey says that a text cannot be part of a key.
var errKey = errors.New("dynamo: a part of a key is empty or has a '#' or a control character")

// A primary is the primary key of an item, or the reason why the key is
// invalid.
type primary struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`

	err error
}

// errOf returns why the item's key is invalid.
func (p primary) errOf() error { return p.err }

// join is the only function that makes a key out of parts. No part may be empty
// or hold the separator or a control character.
func join(parts ...string) (string, error) {
	for _, p := range parts {
		if p == "" || strings.ContainsFunc(p, func(r rune) bool { return r == '#' || r < 0x20 || r == 0x7f }) {
			return "", fmt.Errorf("%w: %q", errKey, parts)
		}
	}
	return strings.Join(parts, "#"), nil
}

// in returns the key with the partition key pk and the parts of a sort key.
func in(pk string, err error, sk ...string) primary {
	s, skErr := join(sk...)
	return primary{PK: pk, SK: s, err: errors.Join(err, skErr)}
}

func orgPartition(o id.Org) (string, error) { return join("ORG", string(o)) }

// inOrg returns the key of an item of an organization's own partition.
func inOrg(o id.Org, sk ...string) primary {
	pk, err := orgPartition(o)
	return in(pk, err, sk...)
}

func tenantKey(o id.Org) primary { return inOrg(o, "ORG") }

func headKey(o id.Org, a id.Agent) primary { return inOrg(o, "AGENT", string(a)) }

// countKey is named after the first of its counts.
func countKey(o id.Org) primary { return inOrg(o, "ACTIVE") }

func listenKey(o id.Org, event string, a id.Agent) primary {
	return inOrg(o, "LISTEN", event, string(a))
}

// requestKey holds a digest, because a caller may use any character in an
// idempotency key.
func requestKey(o id.Org, key string) primary { return inOrg(o, "REQUEST", id.Digest(key)) }

func pauseKey(o id.Org, a id.Agent) primary { return inOrg(o, "PAUSE", string(a)) }

func keyKey(o id.Org, k id.Key) primary { return inOrg(o, "KEY", string(k)) }

// deliveryKey holds a digest, because the id of a message comes from the queue.
func deliveryKey(o id.Org, message string) primary { return inOrg(o, "DELIVERY", id.Digest(message)) }

// hashKey is the only key that does not begin with the organization: a request
// shows its secret before its organization is known.
func hashKey(h key.Hash) primary {
	pk, err := join("KEY", string(h))
	return in(pk, err, "KEY")
}

func agentPartition(o id.Org, a id.Agent) (string, error) {
	return join("ORG", string(o), "AGENT", string(a))
}

func versionKey(o id.Org, a id.Agent, version int) primary {
	pk, err := agentPartition(o, a)
	return in(pk, err, "VERSION", fmt.Sprintf("%06d", version))
}

func limitKey(o id.Org, a id.Agent) primary {
	pk, err := agentPartition(o, a)
	return in(pk, err, "LIMIT")
}

// refusalKey returns the key of a refusal's entry at a time: the time of its
// event, or that of the decision.
func refusalKey(o id.Org, a id.Agent, e id.Activity, at time.Time) primary {
	pk, err := agentPartition(o, a)
	return in(pk, err, "ACT", second(at), string(e))
}

// refusalTime returns the time in the sort key of a refusal.
func refusalTime(sk string) time.Time {
	parts := strings.Split(sk, "#")
	if len(parts) != 3 {
		return time.Time{}
	}
	t, err := time.Parse(secondFormat, parts[1])
	if err != nil {
		return time.Time{} // a year of five digits
	}
	return t
}

// refusalsIn returns the bounds of the sort keys of the refusals from one
// second to another, both included; zero for no bound.
func refusalsIn(from, to time.Time) (first, last string) {
	first, last = begins("ACT#")
	if !from.IsZero() {
		first = "ACT#" + second(from)
	}
	if !to.IsZero() {
		_, last = begins("ACT#" + second(to) + "#")
	}
	return first, last
}

func runPartition(o id.Org, x id.Execution) (string, error) {
	return join("ORG", string(o), "EXEC", string(x))
}

func metaKey(o id.Org, x id.Execution) primary {
	pk, err := runPartition(o, x)
	return in(pk, err, schema.RunKey)
}

func stepKey(o id.Org, x id.Execution, step id.Step) primary {
	pk, err := runPartition(o, x)
	return in(pk, err, "STEP", string(step))
}

// runOf returns the run that a partition belongs to.
func runOf(pk string) (o id.Org, x id.Execution, ok bool) {
	p := strings.Split(pk, "#")
	if len(p) != 4 || p[0] != "ORG" || p[2] != "EXEC" {
		return "", "", false
	}
	return id.Org(p[1]), id.Execution(p[3]), true
}

func payloadPartition(o id.Org, digest string) (string, error) {
	return join("ORG", string(o), "SEEN", digest)
}

func payloadKey(o id.Org, digest string) primary {
	pk, err := payloadPartition(o, digest)
	return in(pk, err, "SEEN")
}

// treeKey is the key of the runs below a root event.
func treeKey(o id.Org, root id.Event) primary {
	pk, err := join("ORG", string(o), "ROOT", string(root))
	return in(pk, err, "TREE")
}

// makerKey holds a digest, because the id of an object may have any character.
func makerKey(o id.Org, made catalog.ObjectID) primary {
	pk, err := join("ORG", string(o), "MADE", id.Digest(made.Kind, made.ID))
	return in(pk, err, "MAKER")
}

// notedClientKey is the key of the note that a client has facts.
func notedClientKey(o id.Org, c id.Client) primary { return inOrg(o, "CLIENT", string(c)) }

func clientPartition(o id.Org, c id.Client) (string, error) {
	return join("ORG", string(o), "CLIENT", string(c))
}

// factKey is the key of a fact. It holds a digest, because the name of a device
// or a ticket may have any character.
func factKey(o id.Org, c id.Client, f client.Fact) primary {
	pk, err := clientPartition(o, c)
	kind := strings.ToUpper(string(f.Kind))
	if f.Name == "" {
		return in(pk, err, kind)
	}
	return in(pk, err, kind, id.Digest(f.Name))
}

// kindOf returns the kind of the fact at a sort key.
func kindOf(sk string) client.Kind {
	kind, _, _ := strings.Cut(sk, "#")
	return client.Kind(strings.ToLower(kind))
}

// logPartition has the events of a type that were published on a day.
func logPartition(o id.Org, day journal.Day, name string) (string, error) {
	return join("ORG", string(o), "LOG", name, string(day))
}

func receivedKey(o id.Org, e journal.Entry) primary {
	pk, err := logPartition(o, journal.DayOf(e.Event.Published), e.Event.Name())
	return in(pk, err, string(journal.PlaceAt(e.Event.Published)), string(e.Event.ID))
}

// letterKey is the key of the note that an event became a dead letter.
func letterKey(o id.Org, e id.Event) primary { return inOrg(o, "LETTER", string(e)) }

// typeKey is the key of the note that events of a type were received on a day.
func typeKey(o id.Org, day journal.Day, name string) primary {
	return inOrg(o, "LOG", string(day), name)
}

// A soleKind is a kind of items that share one partition of the organization.
type soleKind string

// The sole kinds.
const (
	ofMonths soleKind = "CREDIT"
	ofStats  soleKind = "STATS"
	ofQuotas soleKind = "QUOTA"
	ofRates  soleKind = "RATE"
	ofActs   soleKind = "AUDIT"
	ofJobs   soleKind = "JOBS"
)

// soleParts returns all sole kinds.
func soleParts() []soleKind {
	return []soleKind{ofMonths, ofStats, ofQuotas, ofRates, ofActs, ofJobs}
}

func solePart(o id.Org, kind soleKind) (string, error) { return join("ORG", string(o), string(kind)) }

func approvalKey(o id.Org, a id.Approval) primary {
	pk, err := join("ORG", string(o), "APPR", string(a))
	return in(pk, err, "APPROVAL")
}

func monthKey(o id.Org, m credit.Month) primary {
	pk, err := solePart(o, ofMonths)
	return in(pk, err, "MONTH", string(m))
}

// revokedKey holds a digest, because the id of a session may have any
// character.
func revokedKey(o id.Org, jti string) primary { return inOrg(o, "REVOKED", id.Digest(jti)) }

// revokedUserKey is the key of the revocation of a user's sessions.
func revokedUserKey(o id.Org, u id.User) primary {
	pk, err := join("ORG", string(o), "USER", string(u))
	return in(pk, err, "REVOKED")
}

// tallyKey is the key of the count of an organization's runs. It has a partition of
// its own, because every event that starts runs writes it.
func tallyKey(o id.Org) primary {
	pk, err := solePart(o, ofQuotas)
	return in(pk, err, "RUNS")
}

// messagesKey is the key of the count of one quota of messages on a day.
func messagesKey(o id.Org, day quota.Day, name quota.Name) primary {
	pk, err := solePart(o, ofQuotas)
	return in(pk, err, "DAY", string(day), string(name))
}

// rateKey is the key of the permits that were leased from a pot in one minute. The
// pots of an organization share its partition.
func rateKey(p limit.Pot, minute time.Time) primary {
	pk, err := solePart(p.Org, ofRates)
	sk := []string{"MINUTE", minute.UTC().Format("2006-01-02T15:04Z")}
	if p.Spare {
		sk = append(sk, "RESERVE")
	}
	switch {
	case p.User != "":
		sk = append(sk, "USER", string(p.User))
	case p.Key != "":
		sk = append(sk, "KEY", string(p.Key))
	default:
		sk = append(sk, "KEYS")
	}
	return in(pk, err, sk...)
}

// alertsKey is the key of the alerts sent to an organization's owners.
func alertsKey(o id.Org) primary { return inOrg(o, "ALERTS") }

// rotationKey is the key of the rotation of an organization's webhook secret.
func rotationKey(o id.Org) primary { return inOrg(o, "WEBHOOK") }

func outboxKey(o id.Org, e id.Event) primary {
	pk, err := join("ORG", string(o), "OUTBOX", string(e))
	return in(pk, err, "EVENT")
}

func statsPartition(o id.Org) (string, error) { return solePart(o, ofStats) }

func statsKey(o id.Org, a id.Agent) primary {
	pk, err := statsPartition(o)
	return in(pk, err, "AGENT", string(a))
}

// marksKey is the key of a page of marks, which sorts the pages of an agent by their
// newest mark.
func marksKey(o id.Org, a id.Agent, newest time.Time, rev int64) primary {
	pk, err := statsPartition(o)
	return in(pk, err, "COUNTED", string(a), second(newest), strconv.FormatInt(rev, 10))
}

func actPartition(o id.Org) (string, error) { return solePart(o, ofActs) }

// auditKey sorts the entries of an organization by time.
func auditKey(e audit.Entry) primary {
	pk, err := actPartition(e.Org)
	return in(pk, err, e.At.UTC().Format(dueFormat), string(e.ID))
}

// jobKey sorts the jobs of an organization by the time in their ids.
func jobKey(o id.Org, j id.Job) primary {
	pk, err := solePart(o, ofJobs)
	return in(pk, err, "JOB", string(j))
}

func argsKey(o id.Org, j id.Job) primary {
	pk, err := solePart(o, ofJobs)
	return in(pk, err, "ARGS", string(j))
}

func resultKey(o id.Org, j id.Job) primary {
	pk, err := solePart(o, ofJobs)
	return in(pk, err, "RESULT", string(j))
}

// openJobKey is the key of the name of the open job of a kind.
func openJobKey(o id.Org, kind job.Kind) primary {
	pk, err := solePart(o, ofJobs)
	return in(pk, err, "OPEN", string(kind))
}

// jobOf returns the job of an entry of the index open.
func jobOf(i item) (o id.Org, j id.Job, ok bool) {
	pk := strings.Split(textOf(i, schema.PartitionKey), "#")
	name, found := strings.CutPrefix(textOf(i, schema.SortKey), "JOB#")
	if len(pk) != 3 || pk[0] != "ORG" || pk[2] != string(ofJobs) || !found {
		return "", "", false
	}
	return id.Org(pk[1]), id.Job(name), true
}

// The partitions of the indexes.

// actsOf returns the list of the entries with one actor, object or kind.
func actsOf(o id.Org, list, value string) (string, error) {
	return join("ORG", string(o), "AUDIT", list, value)
}

// partsOfOrg lists the items that only their own name leads to, so that an erasure
// finds them.
func partsOfOrg(o id.Org) (string, error) { return join("ORG", string(o), "PARTS") }

func runsOfOrg(o id.Org) (string, error) { return join("ORG", string(o), "RUNS") }

func runsOfAgent(o id.Org, a id.Agent) (string, error) { return agentPartition(o, a) }

func approvalsOfOrg(o id.Org) (string, error) { return join("ORG", string(o), "APPROVALS") }

func runsOfStatus(o id.Org, st execution.Status) (string, error) {
	return join("ORG", string(o), "RUNS", string(st))
}

func runsOfAgentStatus(o id.Org, a id.Agent, st execution.Status) (string, error) {
	return join("ORG", string(o), "AGENT", string(a), string(st))
}

func approvalsOfStatus(o id.Org, st approval.Status) (string, error) {
	return join("ORG", string(o), "APPROVALS", string(st))
}

// shards is the number of partitions of the index of open runs; a partition
// takes 1,000 writes a second.
const shards = 4

func shardOf(x id.Execution) string { return shard(int(id.Hash(string(x))[0]) % shards) }

func shard(n int) string { return fmt.Sprintf("OPEN#%d", n) }

func outboxShardOf(e id.Event) string { return outboxShard(int(id.Hash(string(e))[0]) % shards) }

// searches is the partition of the index open that lists the organizations whose
// open runs are searched. There are only a few at a time.
const searches = "SEARCH#0"

// erasures is the partition of the index open that lists the erasures under way.
const erasures = "ERASE#0"

// jobs is the partition of the index open that lists the open jobs.
const jobs = "JOB#0"

func outboxShard(n int) string { return fmt.Sprintf("OUTBOX#%d", n) }

// sortKey returns the position of an entry in a list: its time in whole
// seconds, as the API shows it, then its id.
func sortKey(t time.Time, name string) string { return second(t) + "#" + name }

const secondFormat = "2006-01-02T15:04:05Z"

func second(t time.Time) string { return t.UTC().Format(secondFormat) }

// secondOf returns the time of a position.
func secondOf(position string) (time.Time, error) {
	at, _, _ := strings.Cut(position, "#")
	return time.Parse(secondFormat, at)
}

// up rounds t up to a whole second.
func up(t time.Time) time.Time {
	if s := t.Truncate(time.Second); !s.Equal(t) {
		return s.Add(time.Second)
	}
	return t
}

// dueFormat has a fixed width, so that times sort as texts.
const dueFormat = "2006-01-02T15:04:05.000000000Z"

func dueOf(x execution.Execution) string {
	if x.Due.IsZero() {
		return ""
	}
	return x.Due.UTC().Format(dueFormat)
}
