// Package dynamo stores all data in one DynamoDB table.
//
// # Items
//
// Each partition key but KEY#<hash> begins with the organization. Items without
// a bound on their number have partitions of their own below it, so that a busy
// organization is spread over many partitions: runs and approvals, which the index
// by_org lists, have one each, and the items of a kind that no index lists are spread
// by their name over 32 partitions, named 0 to v (n below). So every partition of an
// organization is known, and an erasure needs no scan. Only itemkeys.go makes keys;
// no part of a key holds a '#'.
//
//	pk                     sk                      item
//	ORG#o                  ORG                     the tenant with its settings, and a count of the changes of its LISTEN items
//	ORG#o                  ORG                     after the organization was deleted: its erasure, for good
//	ORG#o                  AGENT#a                 an agent without its definition
//	ORG#o                  ACTIVE                  the numbers of active agents, drafts and keys
//	ORG#o                  LISTEN#<event>#a        an active agent, or a paused system agent
//	ORG#o                  REQUEST#<digest>        a create request with an idempotency key
//	ORG#o                  PAUSE#a                 a paused system agent
//	ORG#o                  ALERTS                  the alerts sent to the owners
//	ORG#o                  CLIENT#c                that the client c has facts
//	ORG#o                  LOG#<day>#<event>       that events of a type were received on a day; kept 92 days
//	ORG#o                  LETTER#e                that an event became a dead letter, and why; kept 30 days
//	ORG#o                  KEY#k                   an integration key
//	ORG#o                  WEBHOOK                 the generations of the webhook secret, after its first rotation
//	ORG#o                  REVOKED#<digest>        a revoked session; kept until it expires
//	ORG#o                  DELIVERY#<digest>       the deliveries of an event that crashed their workers; kept 3 days
//	ORG#o#USER#u           REVOKED                 sessions of the user issued before a time are revoked; kept for a year, for votes
//	KEY#<hash>             KEY                     an integration key, by its hash
//	ORG#o#AGENT#a          VERSION#000001          a definition; kept as long as the organization
//	ORG#o#AGENT#a          LIMIT                   the starts of the agent in the last day
//	ORG#o#AGENT#a          ACT#<time>#<id>         why the agent did not start, or the mark of a late decision; kept 30 days
//	ORG#o#SEEN#<digest>    SEEN                    an event payload and its deduplication holder; kept as long as its runs
//	ORG#o#MADE#<digest>    MAKER                   the run that made an object of a product; kept 30 days
//	ORG#o#EXEC#e           META                    a run; kept as the retention says, once it has ended
//	ORG#o#EXEC#e           STEP#s                  a step of the run; STEP#g:outcome: recipients of the outcome of gate g; kept as long as the run
//	ORG#o#APPR#q           APPROVAL                an approval; kept as long as its run
//	ORG#o#CREDIT           MONTH#2026-03           a balance
//	ORG#o#STATS            AGENT#a                 the counters of an agent, and the marks of the contributions in them
//	ORG#o#STATS            COUNTED#a#<time>#<n>    a page of such marks; kept 4 days
//	ORG#o#CLIENT#c         POSTURE                 the security score of a client
//	ORG#o#CLIENT#c         DEVICE#<digest>         a device of the client, present or removed
//	ORG#o#CLIENT#c         TICKET#<digest>         a ticket of the client; kept 31 days
//	ORG#o#LOG#<event>#<day>  <time>#<id>           a received event; kept for journal_days, which is 0 by default: then there is none
//	ORG#o#AUDIT            <time>#<id>             an act of a person or a key; kept as long as the organization
//	ORG#o#JOBS             JOB#j                   a job; kept 30 days after its end
//	ORG#o#JOBS             ARGS#j                  its arguments; kept 60 days
//	ORG#o#JOBS             RESULT#j                its result; kept as long as the job
//	ORG#o#JOBS             OPEN#<kind>             the name of the open job of a kind
//	ORG#o#OUTBOX#e         EVENT                   a platform event; kept 30 days
//	ORG#o#QUOTA            RUNS                    the count of runs in each of the last minutes, and a bound of the open ones
//	ORG#o#QUOTA            DAY#2026-03-09#sms_per_day  the count of a quota of messages on a day; kept 3 days
//	ORG#o#ROOT#e           TREE                    the count of the runs that event e started indirectly; kept 90 days
//	ORG#o#RATE             MINUTE#<minute>#USER#u  the permits leased for the requests of a person; kept an hour
//	ORG#o#RATE             MINUTE#<minute>#KEYS    the same for all keys; MINUTE#<minute>#RESERVE#KEY#k: the reserve of one
//
// Five indexes hold keys only. by_org lists the runs (ORG#o#RUNS) and the
// approvals (ORG#o#APPROVALS) of an organization, and the items that only their own
// name leads to (ORG#o#PARTS), by_agent the runs of an agent
// (ORG#o#AGENT#a), each by <time>#<id>. by_status and by_agent_status list them
// once more by status (ORG#o#RUNS#failed, ORG#o#APPROVALS#pending,
// ORG#o#AGENT#a#failed). A run is in these two only when it has ended, waits
// for approval or was ever parked: most runs end within seconds and are entered
// once, at their end. Completed runs are only in by_agent_status: a list or a count of all
// those of an organization reads one partition of each agent that it has or that has
// statistics. by_org, by_agent and by_status also list the acts of an
// organization by actor, by object and by kind (ORG#o#AUDIT#ACTOR#a,
// ORG#o#AUDIT#OBJECT#x, ORG#o#AUDIT#KIND#k), by <time>#<id>. The index open lists the runs
// that the sweeper may have to repair by their due time in four partitions (OPEN#0 to
// OPEN#3): those that rested, that owe something after their end, or that the watchdog
// found open some 40 seconds after they were recorded. Most runs are never in it. It also
// lists the unpublished platform events in four more (OUTBOX#0 to OUTBOX#3), and the
// organizations whose open runs are searched to be held or released (SEARCH#0), those that
// are erased (ERASE#0), and the open jobs (JOB#0).
//
// The record of a run has about 700 bytes. At its end it holds its contribution to
// the statistics and its last step, if all have less than 2 KB, or 1 KB when it is written
// again. A larger step has an item of its own. A retry has about 70 bytes more, for the
// retried run and the caller. The payload of the event is stored in SEEN once for all runs
// of the same content, retries included.
//
// CloudFormation adds at most one index in an update of an existing table.
// These five are created with the table, which was never deployed without them.
//
// # Access patterns
//
// The table gives calls, read units and write units, indexes included, for
// items of up to 4 KB read and 1 KB written, and lists of 50. A test measures
// them, among a few runs and among 10,000.
//
//	pattern                          calls  read  write  how
//	Tenant, Plan                     1      1     0      get
//	SaveTenant                       2      1     4      get of the month; transaction: tenant, month
//	SaveSettings                     1      0     7      transaction: tenant, act; 3 are the indexes of the act
//	SaveOrgPause                     1      0     8      transaction: tenant, act; 4 are the index open and the indexes of the act
//	Searching, none                  1      0.5   0      query of the part of open for organizations
//	BeginErasure                     1      0     2      put in the place of the tenant; 1 is the index open
//	Erasing, none                    1      0.5   0      query of the part of open for erasures
//	Missed                           1      1     0      query of the refusals of one agent since the pause, for GET /api/pause
//	Balance                          1      1     0      get
//	Balance of a month without use   2      2     0      get of the month, of the tenant
//	Balances of 12 months            2      2     0      query; get of the tenant if one is without use
//	CreateKey                        1      0     6      transaction: by organization, by hash, count
//	RevokeKey                        2      1     6      get; transaction: both deleted, count
//	Keys                             2      1.5   0      query; batch of the last uses, half a unit each
//	KeyByHash                        1      1     0      get
//	MarkUsed                         1      0     1      update, once a day for each key in use
//	Rotation                         1      1     0      get, once a minute for the webhooks of an organization
//	SaveRotation                     1      0     7      transaction: rotation, act; 3 are the indexes of the act
//	SaveFact                         1      0     1      put, before an event of a client is evaluated; another put for the first of the client in an instance
//	SaveFact, again                  1      0     1      put that is refused
//	KeepEvent                        1      0     1      put, if the organization has a journal; each further KB of the event is one more
//	KeepEvent, the first of its type and day  2      0     2      put of the note of the type and day, put; in each instance
//	KeepLetter                       1      0     1      put, for each dead letter that names an organization
//	Letter                           1      1     0      get, for an explanation
//	Received                         5      8     0      query of the latest note, query of the notes of a day; query of each type, strong; 50 of 3 types
//	Received, of a type              1      5     0      query; each day without an event of the type costs one more
//	Received, one event              1      1     0      query of a second
//	Recorded, at 25 agents           1      25    0      batch of the run and the refusal of each agent, half a unit each
//	Exist, 50 runs                   1      25    0      batch, half a unit each, for a list of received events
//	Facts                            1      1     0      query of all facts of a client; about 20 facts a unit
//	Revoke                           1      0     1      put
//	Revoke, user                     1      0     2      put with 1 index, if no later one is there
//	Standing                         1      3     0      batch of the session, its user and the tenant, for every request with a session
//	Revoked                          1      2     0      batch of the session and its user, for an earlier vote on an approval
//	BeginDelivery                    1      0     1      update; for an event that failed twice
//	EndDelivery                      1      0     2      transaction of one deletion
//	Lease                            1      0     1      update; one leases up to a tenth of the requests of a minute
//	Agent                            2      2     0      get of the head, of the version
//	Version                          1      1     0      get, once in the life of an instance
//	Versions                         1      1     0      query; a page has up to 1 MB
//	Agents                           1      1     0      query; about 12 heads a unit
//	AgentNames                       1      0.5   0      batch of the heads, half a unit each
//	Stats                            1      1     0      query; about 5 agents a unit
//	SaveAgent, new                   1      0     6      transaction: head, count, version
//	SaveAgent, becoming active       1      0     10     transaction: head, count, version, listener, tenant
//	SaveAgent, active, new version   1      0     8      transaction: head, version, listener, tenant
//	SaveAgent, becoming invalid      1      0     12     transaction: head, count, listener, tenant, event; 2 are indexes
//	SaveRequested                    1      0     8      transaction: head, count, version, request; only for a request with a key
//	Requested                        1      1     0      get, for the same requests
//	SaveAgent, active, with uses     1      0     10     transaction: head, count, version, listener, tenant; for events about objects that actions make, and such actions
//	DeleteAgent, active              1      0     8      transaction: head, count, listener, tenant
//	DeleteAgent, draft               1      0     4      transaction: head, count
//	CreateKey, with its act          1      0     11     the same transaction and the act, 2; 3 are the indexes of the act
//	SaveDecision, with its act       1      0     13     transaction, as above: every other change of a person or a key has 5 more too
//	CreateRetry                      1      0     11     transaction: run, act, payload, which is kept as long; 5 are indexes
//	Audit                            1      9     0      query of 50 acts; about 6 acts a unit
//	Audit of an object               2      52    0      query of by_agent, get of 50 acts
//	Pauses                           1      1     0      query
//	SavePause                        1      0     6      transaction: pause, listener, tenant
//	DeletePause                      1      0     6      transaction: both deleted, tenant
//	Listeners                        1      1     0      query of the listening definitions only, unless the dispatcher has them in memory
//	DedupHolder                      1      1     0      get of the payload
//	LimitStarts                      1      1     0      get, for an agent with a limit
//	ClaimDedup                       1      0     1      put of the payload
//	ReleaseDedup                     1      0     2      update of the payload, after a race; 1 is the index
//	AdmitWithinLimit                 1      0     1      put, at the revision that LimitStarts read
//	AdmitRuns                        1      0     1      update, one for all runs that an event starts; one for many events in a busy instance
//	AdmitRuns, refused               1      0     1      update that is refused: a quota is reached
//	WithdrawRun                      2      1     1      get; update, after a race
//	SaveOpen                         1      0     1      update, after OpenRuns
//	OpenRuns, few                    12     7     0      queries of the agents, of the statistics, of by_status and by_org, when the bound of the open runs reached the limit; 2 more of by_agent_status for each agent
//	RunTally                         1      1     0      get, before a WithdrawRun
//	AdmitMessages                    1      0     1      update, one for the messages of a notification, and a get of the plan before
//	AdmitMessages, refused           1      0     1      update that is refused: the quota of the day is reached
//	Messages                         1      2     0      batch of each quota of a day, half a unit each, for GET /api/quotas
//	Tree                             1      1     0      get, for an event that an agent caused and that starts runs
//	SaveTree                         1      0     2      put with 1 index, for these runs together; without it when the tree grows
//	Create                           1      0     3      put; 2 are the indexes
//	Maker                            1      1     0      get, for an event about an object of a kind that the organization's agents make
//	SaveMaker                        1      0     2      put with 1 index, after an action that made an object for whose events agents listen
//	SaveMaker, again                 1      0     1      put that is refused: the first run stays
//	AddUses                          1      0     1      update of the tenant, before the first run of a system agent that makes objects of a kind
//	Refuse                           1      0     1      put; the event is within 10 s of the decision
//	Refusal                          1      1     0      get, in an organization that was paused within 30 days
//	Refuse, again                    1      0     1      put that is refused: the first decision stands
//	Refuse, late                     2      0     2      put of a mark at the event's time, put of the entry at the decision's time
//	Execution                        2      2     0      query of the run and its steps, get of the payload
//	ExecutionAt, new run             1      2     0      batch of the run and the payload
//	Header                           1      1     0      get
//	SaveStep                         1      0     1      put
//	SaveNewStep                      1      0     1      put, before the first message of a notification
//	FenceStep                        1      0     1      update, when a worker repeats a step that another had begun
//	Commit: lease                    1      0     1      update
//	Commit: lease after parking      1      0     5      update; 4 are the indexes by status
//	Commit: renew                    1      0     1      update
//	Commit: found open               1      0     2      update; 1 is the index open; for a run that has not ended when the watchdog looks
//	Commit: renew, found open        1      0     3      update; 2 are the index open
//	Commit: end, found open          1      0     3      update of the run, with its last step; 2 are indexes
//	Commit: postpone                 1      0     4      update; 3 are the indexes open and by status
//	Commit: hold                     1      0     3      update; 2 are the indexes by status
//	Commit: reserve                  1      0     4      transaction: run, balance
//	Commit: reserve, marked          1      0     4      the same transaction, if the balance is as it was read
//	Commit: no answer                1      0     6      transaction: run, step, balance
//	Commit: refused answer           1      0     6      the same transaction; the balance counts the grace of the day
//	Commit: wait for approval        1      0     11     transaction: run, step, approval; 5 are indexes
//	Commit: ask again                1      0     8      transaction: run, gate, its earlier round; 2 are the index open
//	Commit: end                      1      0     2      update of the run, with its last step; 1 is the index
//	Commit: end, with a last step of 1 KB  1      0     3      the same update; 2 are the record
//	Commit: end after parking        1      0     5      the same update; 4 are indexes
//	Commit: end, answers charged     1      0     2      the same update; the held credits become charged
//	Commit: end, no answer           1      0     7      transaction: run with its last step, which has more than 1 KB, and balance; 1 is the index
//	Commit: end, failed              1      0     8      transaction: run with its last step, event; 4 are indexes
//	AddStats                         2      1     1      get, update; for the contributions to one agent in a batch of the stream
//	AddStats, first                  2      1     4      get; transaction: stats, check of the tenant
//	AddStats, again                  1      1     0      get: the statistics have them
//	AddStats, filing marks           3      1     2      get, put of a page, update; after every 25th contribution
//	AddStats, late                   3      2     1      get, query of the pages since then, update
//	Published                        1      0     2      update of the event; 1 is the index
//	Unpublished, none                4      2     0      query of each part of open
//	Alerts                           1      1     0      get, for a failure without a listening agent
//	SaveAlerts                       1      0     1      put; more with many failures in an hour
//	Approval                         1      1     0      get
//	SaveDecision                     1      0     8      transaction: approval, run; 4 are indexes
//	Executions                       2      51.5  0      query of by_org, get of 50 runs
//	Executions with payloads         3      76.5  0      and a batch of the payloads, half a unit for each 4 KB; an instance reads each once
//	Executions, of two statuses      3      52    0      each status by itself
//	Executions of an agent           2      51.5  0      query of by_agent, get of 50 runs
//	Executions, failed               2      51.5  0      query of by_status, get of 50 runs
//	Executions of an agent, failed   2      51.5  0      query of by_agent_status, get of 50 runs
//	Executions, completed            5      54    0      queries of the agents and of the statistics, query of by_agent_status for each of 2 agents, get of 50 runs
//	Executions, running, none young  3      52    0      query of by_status, get of 50 runs, query of by_org
//	Approvals                        2      51.5  0      query of by_org, get of 50 approvals
//	Approvals, pending               2      51.5  0      query of by_status, get of 50 approvals
//	Activity                         3      52.5  0      query of by_agent, get of 50 runs, query of the refusals
//	Overdue, none                    4      2     0      query of each part of open
//	CreateJob                        1      0     12     transaction: kind, job, arguments, act; 4 are indexes, and a unit more for each KB
//	Job                              1      1     0      get
//	Jobs                             1      1     0      query; about 10 jobs a unit
//	JobResult                        1      1     0      get; a unit for each 4 KB
//	SaveJob: lease                   1      0     3      put; 2 are the index open
//	SaveJob: progress                1      0     1      put, at most once in 5 s
//	EndJob                           1      0     7      transaction: job, kind, result; 1 is the index open, and two units more for each KB
//	EndJob, cancelled                1      0     10     transaction: job, kind, act; 4 are indexes
//	OverdueJobs, none                1      0.5   0      query of the part of open for jobs
//
// The cost of five patterns depends on the number of runs. Counting reads
// keys, about 40 runs a unit and at most 10,001 (250 units), also for one
// status. Runs that are pending or running and were never parked are found
// among those of the last ten minutes (execution.Young). A list reads these as
// well, 100 at a time and at most 1,000 in a call, and then returns a short
// page. Counting them costs half a unit each, at most for the newest 10,000. A search
// for the runs of a client, an event type or a version reads runs in the same way, for
// each of its statuses, and counts none. The completed runs of an organization are listed
// and counted for each agent: a page reads as many keys of each agent as it has rows, a
// unit or two, and 16 agents at a time.
// Overdue reads about 40 runs a unit, and so does OpenRuns: the open runs that are
// older than ten minutes, and twice all younger runs. An organization that has room
// for open runs pays it once for as many runs as it has room for.
//
// # Activity
//
// A list of activity is sorted by the time of the decision, and a redelivered
// event must find its first decision. An item has one key, and a redelivery
// does not know the time of the first decision. So the key of a refusal is made
// of the event's time. The list reads 10 seconds further than its page and
// sorts the entries: a refusal is one write, with no read before it. Only an
// event more than 10 seconds from its decision costs two writes: the item at
// its key keeps the first decision and is not listed; a copy at the decision's
// time is listed. The copy is made from that item, so a redelivery writes the
// same copy again.
//
// Starts are runs, which the index sorts by the second of their record. For a
// page of activity the store reads the whole second in which the page ends, so
// that the entries of one second are in order.
//
// # Statistics
//
// A change that ends a run or charges for its answers writes its contribution to the
// statistics into the run's own record (attribute cn). The table's stream delivers it to
// the function tally, which adds it to the counters of the agent. The item of the
// counters has a mark of 14 bytes for each contribution in them, so that one update adds
// both and no repeat counts twice. When there are more than 32 marks, all but the newest
// are filed in pages; a contribution that is as old as a filed mark is looked up there.
// Pages expire when the stream has long forgotten the contributions.
//
// A change by a release before 0.2 keeps the attribute cn that it finds, and adds to the
// counters itself. So the revision in the contribution and the image before the change
// tell whether this change contributes.
//
// # Races
//
// Every write is idempotent or conditional on the state that it was computed
// from. Items that must change together change in one transaction; so does a
// counter and the record that it counts. The SDK repeats a call whose reply is
// lost, so each write carries a nonce. When a repeat fails on its condition but
// finds its own nonce in the item, the first call was applied. Conflicts with
// another transaction are retried, up to a bound.
//
// Times are stored as numbers of nanoseconds, which is exact; in keys they are
// texts of a fixed width. Indexes lag behind the table: lists skip an index
// entry without an item, and read the item before they act on an entry. The
// attribute expires only cleans up.
//
// # Journal
//
// The partition of a received event has its type and the day of its publication, so that
// the events of one type are read without the others, and a day spreads over as many
// partitions as it has types. A note of 100 bytes in the organization's partition leads to
// each: a list of all types merges those of a day, and an erasure finds them. The key is
// made of the event alone, so a repeated delivery writes the same item without a
// condition.
//
// # Expiry
//
// When a run is recorded, the time until which it is kept is fixed: the retention, and
// the longest time for which its definition may wait, after its beginning. Its steps,
// its approvals and its payload have that time in the attribute expires from their
// first write; the record has it once the run has ended, and until then in another
// attribute, so that an open run never expires. The attribute is part of writes that
// are made anyway. A later run of the same content keeps the payload longer, and never
// shorter. DynamoDB deletes an expired item within days, each for itself: readers hide
// a run whose time has come, and an ended run without payload is no error.
//
// # Erasure
//
// Every partition of an organization is found without a scan. Erase walks through the
// lists of by_org and through the partitions with known names, and deletes each item
// after the partitions that it leads to:
//
//	from                            to
//	by_org, ORG#o#RUNS              runs, each with its payload, its agent and its client
//	by_org, ORG#o#APPROVALS         approvals
//	by_org, ORG#o#PARTS             makers, trees, events of the outbox, revocations of users,
//	                                and payloads whose run was refused after it had claimed them
//	STATS, AUDIT, AGENT#a of ORG#o  agents, the deleted ones too; those of the platform are told
//	LOG#d#t of ORG#o                received events; each instance notes a type once a day
//	CLIENT#c of ORG#o               clients; each instance of a function notes a client once
//	KEY#k of ORG#o                  the integration keys by their hash
//
// Items that a release before 0.2 stored without a place in PARTS are deleted by their
// attribute expires. Each deletion is a write of its own, a unit and one for each index
// that lists the item; a million runs of three steps cost some 9 million units, about
// $6.
package dynamo
