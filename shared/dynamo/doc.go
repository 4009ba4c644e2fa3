// Package dynamo keeps everything in one DynamoDB table.
//
// # Items
//
// Each partition key begins with the organization, and what grows without bound
// has partitions of its own below it, so that one busy organization is not one
// busy partition. Keys are made in keys.go alone, of parts that hold no '#'.
//
//	pk                     sk                      item
//	ORG#o                  ORG                     the tenant
//	ORG#o                  AGENT#a                 an agent without its definition
//	ORG#o                  ACTIVE                  how many agents are active
//	ORG#o                  LISTEN#<event>#a        an active agent, or a paused system agent
//	ORG#o                  PAUSE#a                 a paused system agent
//	ORG#o                  ALERTS                  what the owners were told of failures
//	ORG#o                  KEY#k                   an integration key
//	ORG#o                  REVOKED#<digest>        a session that was taken back; kept until it has expired
//	KEY#<hash>             KEY                     an integration key, by its hash
//	ORG#o#AGENT#a          VERSION#000001          a definition, for ever
//	ORG#o#AGENT#a          LIMIT                   when the agent started in the last day
//	ORG#o#AGENT#a          ACT#<time>#<id>         why it did not, or that this was decided late; kept 30 days
//	ORG#o#SEEN#<digest>    SEEN                    what an event told an agent, and which run had it last
//	ORG#o#EXEC#e           META                    a run
//	ORG#o#EXEC#e           STEP#s                  a step of it; STEP#g:outcome: who heard the outcome of gate g
//	ORG#o#APPR#q           APPROVAL                a question
//	ORG#o#CREDIT           MONTH#2026-03           a balance
//	ORG#o#STATS            AGENT#a                 the counters of an agent
//	ORG#o#CLIENT#c         POSTURE                 how secure a client is
//	ORG#o#CLIENT#c         DEVICE#<digest>         a device of it, there or removed
//	ORG#o#CLIENT#c         TICKET#<digest>         a ticket of it; kept 31 days
//	ORG#o#OUTBOX#e         EVENT                   an event of the platform; kept 30 days
//	ORG#o#RATE             MINUTE#<minute>         how many requests were admitted; kept an hour
//
// Five indexes hold keys only. by_org lists the runs (ORG#o#RUNS) and the
// questions (ORG#o#APPROVALS) of an organization, by_agent the runs of an agent
// (ORG#o#AGENT#a), each by <time>#<id>. by_status and by_agent_status list them
// once more for each status (ORG#o#RUNS#failed, ORG#o#APPROVALS#pending,
// ORG#o#AGENT#a#failed), but a run only when it has ended, waits for people or
// has ever rested: most end within seconds and are entered once, at their end.
// open has the runs that are due, in four partitions (OPEN#0 to OPEN#3), by the
// time at which they are, and in four more (OUTBOX#0 to OUTBOX#3) the events of
// the platform that are not published yet. A run has a record of about 700 bytes,
// and about 950 at its end with its last step in it, which leaves some room below
// 1 KB; a retry has about 70 more, for the run that it repeats and the caller who
// asked. Its
// event's payload stands in SEEN once for all runs of the same content, retries
// included.
//
// CloudFormation adds at most one index in an update of a table that exists;
// these come with the table, which has never been deployed without them.
//
// # Access patterns
//
// What each costs in calls, read units and write units, indexes included; for
// items of up to 4 KB read and 1 KB written, and lists of 50. A test measures
// them, among a few runs and among 10,000.
//
//	pattern                          calls  read  write  how
//	Tenant, Plan                     1      1     0      get
//	SaveTenant                       2      1     4      get of the month; transaction: tenant, month
//	Balance                          1      1     0      get
//	Balance of a month without use   2      2     0      get of the month, of the tenant
//	Balances of 12 months            2      2     0      query; get of the tenant if one is without use
//	CreateKey                        1      0     4      transaction: by organization, by hash
//	RevokeKey                        2      1     4      get; transaction: both deleted
//	Keys                             1      1     0      query
//	KeyByHash                        1      1     0      get
//	KeepFact                         1      0     1      put, before an event of a client is judged
//	KeepFact, again                  1      0     1      put that is refused
//	Facts                            1      1     0      query, of all that is known of a client; about 20 facts a unit
//	Revoke                           1      0     1      put
//	Revoked                          1      1     0      get, for every request with a session
//	Lease                            1      0     1      update, for every tenth of the requests of a minute
//	Agent                            2      2     0      get of the head, of the version
//	Version                          1      1     0      get
//	Versions                         1      1     0      query; a page has up to 1 MB
//	Agents                           1      1     0      query; about 12 heads a unit
//	Stats                            1      1     0      query; about 20 agents a unit
//	SaveAgent, new                   1      0     4      transaction: head, version
//	SaveAgent, becoming active       1      0     6      transaction: head, count, listener
//	SaveAgent, active, new version   1      0     6      transaction: head, version, listener
//	SaveAgent, becoming invalid      1      0     9      transaction: head, count, listener, event; 1 is the index
//	SaveRequested                    1      0     6      transaction: head, version, request; only for a request with a key
//	Requested                        1      1     0      get, for the same requests
//	DeleteAgent, active              1      0     6      transaction: head, count, listener
//	Pauses                           1      1     0      query
//	SavePause                        1      0     4      transaction: pause, listener
//	Listeners                        1      1     0      query, of all definitions that listen; others cost nothing
//	DedupHolder                      1      1     0      get of the payload
//	LimitStarts                      1      1     0      get, for an agent with a limit
//	ClaimDedup                       1      0     1      put of the payload
//	ReleaseDedup                     1      0     1      update of the payload, after a race
//	AdmitWithinLimit                 1      0     1      put, on what LimitStarts has seen
//	Create                           1      0     4      put; 3 are the indexes
//	Refuse                           1      0     1      put, of an event whose time is within 10 s of the decision
//	Refuse, again                    1      0     1      put that is refused: the first decision stands
//	Refuse, late                     2      0     2      put of a mark at the event's time, of the entry at the decision's
//	Execution                        2      2     0      query of the run and its steps, get of the payload
//	Header                           1      1     0      get
//	SaveStep                         1      0     1      put
//	Commit: lease                    1      0     1      update
//	Commit: lease after a rest       1      0     5      update; 4 are the indexes by status
//	Commit: renew                    1      0     3      update; 2 are the index of what is due
//	Commit: postpone                 1      0     5      update; 4 are the indexes of what is due and by status
//	Commit: reserve                  1      0     4      transaction: run, balance
//	Commit: reserve, marked          1      0     4      the same transaction, on the balance as it was seen
//	Commit: no answer                1      0     6      transaction: run, step, balance
//	Commit: ask                      1      0     12     transaction: run, step, question; 6 are indexes
//	Commit: end                      1      0     7      transaction: run with its last step, stats; 3 are indexes
//	Commit: end after a rest         1      0     9      the same transaction; 5 are indexes
//	Commit: end, answers paid        1      0     7      the same transaction: what was held becomes used
//	Commit: end, nothing answered    1      0     11     transaction: run, step, balance, stats; 3 are indexes
//	Commit: end, failed              1      0     10     transaction: run with its last step, stats, event; 4 are indexes
//	Published                        1      0     2      update of the event; 1 is the index
//	Unpublished, nothing             4      2     0      query of each part of open
//	Alerts                           1      1     0      get, for a failure that no agent listens for
//	SaveAlerts                       1      0     1      put; more with many failures in an hour
//	Approval                         1      1     0      get
//	SaveDecision                     1      0     8      transaction: question, run; 4 are indexes
//	Executions                       2      51.5  0      query of by_org, get of 50 runs
//	Executions of an agent           2      51.5  0      query of by_agent, get of 50 runs
//	Executions, failed               2      51.5  0      query of by_status, get of 50 runs
//	Executions of an agent, failed   2      51.5  0      query of by_agent_status, get of 50 runs
//	Executions, running, none young  3      52    0      query of by_status, get of 50 runs, query of by_org
//	Approvals                        2      51.5  0      query of by_org, get of 50 questions
//	Approvals, pending               2      51.5  0      query of by_status, get of 50 questions
//	Activity                         3      52.5  0      query of by_agent, get of 50 runs, query of the refusals
//	Overdue, nothing                 4      2     0      query of each part of open
//
// Three patterns depend on how much there is. Counting reads keys, about 40 runs
// a unit and at most 10,001 (250 units), of one status too. Runs that are pending
// or running and have not rested yet are found among those of the last ten
// minutes (execution.Young): a list reads these as well, 100 at a time and at
// most 1,000 in a call, and returns a short page rather than read on; counting
// reads half a unit for each, at most for the newest 10,000. Overdue reads about
// 40 runs a unit.
//
// # Activity
//
// A list of activity is sorted by the time of the decision, and an event that is
// delivered again must find its first decision. One item has one key, which
// cannot be made of both the event and a time that only the first delivery knew.
// So the key of a refusal is made of the event's time, and the list reads 10
// seconds further than its page and sorts what it has read: that is one write,
// and no read before it. Only the refusal of an event whose time is further from
// the decision costs two: the item at its key then keeps the first decision and
// is not listed, and a copy at the decision's time is. The copy is made of that
// item, so a redelivery that finds it writes the same copy, or nothing new.
//
// Starts are runs, which the index sorts by the second of their record. A page
// of activity reads the second in which it ends to its end, so that entries of
// one second are in their order too.
//
// # Races
//
// Every write is conditional on the state it comes from, or the same however
// often it is done. What must change together is one transaction, and so is
// every counter with the record that counts only once. The SDK repeats a call
// whose reply is lost; each write therefore carries a nonce, and one whose
// condition fails because it had been applied already finds it there. Conflicts
// with another transaction are tried again, up to a bound.
//
// Times are numbers of nanoseconds, exact; where they are part of a key they are
// texts of a fixed width. Indexes lag behind: an entry whose item is not there
// is passed over, and whoever is led by one reads the item first. `expires` only
// cleans up.
package dynamo
