package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
)

// A jobItem is a job. It is in the index open until it has ended.
type jobItem struct {
	primary

	Kind     string `dynamodbav:"kind"`
	By       string `dynamodbav:"actor"`
	Status   string `dynamodbav:"st"`
	Created  int64  `dynamodbav:"created"`
	Started  int64  `dynamodbav:"started,omitempty"`
	Ended    int64  `dynamodbav:"ended,omitempty"`
	Cursor   string `dynamodbav:"position,omitempty"`
	Done     int    `dynamodbav:"done,omitempty"`
	Of       int    `dynamodbav:"total,omitempty"`
	Code     string `dynamodbav:"code,omitempty"`
	Message  string `dynamodbav:"message,omitempty"`
	Owner    string `dynamodbav:"lease_owner,omitempty"`
	Until    int64  `dynamodbav:"lease_until,omitempty"`
	Begins   int    `dynamodbav:"begins,omitempty"`
	Revision int64  `dynamodbav:"rev"`

	Shard   string `dynamodbav:"open_shard,omitempty"`
	Due     string `dynamodbav:"due,omitempty"`
	Expires int64  `dynamodbav:"expires,omitempty"`
}

// A jobDocument has the arguments or the result of a job: they may have hundreds of KB,
// and the record of the job is written often.
type jobDocument struct {
	primary

	Text    string `dynamodbav:"document"` // JSON
	Expires int64  `dynamodbav:"expires"`
}

// An openJobItem names the open job of a kind, until it has ended.
type openJobItem struct {
	primary

	Job string `dynamodbav:"job,omitempty"`
}

// jobWrite returns the write of a job at its next revision.
func jobWrite(j job.Job) write {
	i := jobItem{
		primary: jobKey(j.Org, j.ID), Kind: string(j.Kind), By: string(j.By), Status: string(j.Status),
		Created: nanos(j.Created), Started: nanos(j.Started), Ended: nanos(j.Ended), Cursor: j.Cursor, Done: j.Done, Of: j.Of,
		Owner: j.Lease.Owner, Until: nanos(j.Lease.Until), Begins: j.Begins, Revision: j.Revision + 1, Expires: seconds(j.Expires),
	}
	if j.Failure != nil {
		i.Code, i.Message = j.Failure.Code, j.Failure.Message
	}
	if !j.Due.IsZero() {
		i.Shard, i.Due = jobs, j.Due.UTC().Format(dueFormat)
	}
	cond, args := revised(j.Revision)
	return put(i, cond, args)
}

func (i jobItem) job(o id.Org, name id.Job) (job.Job, error) {
	j := job.Job{
		ID: name, Org: o, Kind: job.Kind(i.Kind), By: id.Actor(i.By), Status: job.Status(i.Status),
		Created: timeOf(i.Created), Started: timeOf(i.Started), Ended: timeOf(i.Ended),
		Progress: job.Progress{Cursor: i.Cursor, Done: i.Done, Of: i.Of}, Lease: job.Lease{Owner: i.Owner, Until: timeOf(i.Until)},
		Begins: i.Begins, Revision: i.Revision, Expires: secondsOf(i.Expires),
	}
	if i.Code != "" {
		j.Failure = &job.Failure{Code: i.Code, Message: i.Message}
	}
	return j, readDue(i.Due, &j.Due)
}

// keptArgs is how long the arguments of a job are kept: longer than any job is open, and
// than its record after its end.
const keptArgs = 2 * job.Kept

// CreateJob implements job.Store.
func (s *Store) CreateJob(ctx context.Context, j job.Job, args string, acts ...audit.Entry) (id.Job, error) {
	ws := []write{
		put(openJobItem{openJobKey(j.Org, j.Kind), string(j.ID)}, "attribute_not_exists(job)", nil),
		jobWrite(j),
		put(jobDocument{argsKey(j.Org, j.ID), args, j.Created.Add(keptArgs).Unix()}, "", nil),
	}
	err := s.write(ctx, append(ws, auditWrites(acts)...)...)
	if r := refused(err); r != nil {
		if open, failed := r.at(0); failed {
			return id.Job(textOf(open, "job")), job.ErrRunning
		}
		return "", job.ErrStale
	}
	return "", err
}

// Job implements job.Store.
func (s *Store) Job(ctx context.Context, o id.Org, name id.Job) (job.Job, error) {
	var i jobItem
	switch found, err := s.get(ctx, jobKey(o, name), &i); {
	case err != nil:
		return job.Job{}, err
	case !found:
		return job.Job{}, job.ErrNotFound
	}
	return i.job(o, name)
}

// Jobs implements job.Store.
func (s *Store) Jobs(ctx context.Context, o id.Org, q job.Query) (job.Page, error) {
	pk, err := solePart(o, ofJobs)
	from, to := begins("JOB#")
	limit := max(q.Limit, 1)
	if q.After != "" {
		to = jobKey(o, q.After).SK
	}
	rows := query{partition: pk, err: err, from: from, to: to, backwards: true, strong: true, limit: limit + 2}
	items, next, err := s.page(ctx, rows)
	if err != nil {
		return job.Page{}, err
	}
	var p job.Page
	for _, row := range items {
		var i jobItem
		if err := attributevalue.UnmarshalMap(row, &i); err != nil {
			return job.Page{}, err
		}
		_, name, _ := jobOf(row)
		if name == q.After {
			continue
		}
		if len(p.Jobs) == limit {
			p.Next = p.Jobs[limit-1].ID
			return p, nil
		}
		j, err := i.job(o, name)
		if err != nil {
			return job.Page{}, err
		}
		if !j.Gone(q.Now) {
			p.Jobs = append(p.Jobs, j)
		}
	}
	if next != nil && len(items) > 0 {
		_, p.Next, _ = jobOf(items[len(items)-1])
	}
	return p, nil
}

// SaveJob implements job.Store.
func (s *Store) SaveJob(ctx context.Context, j job.Job) error {
	if j.Revision == 0 {
		return job.ErrStale // it was never stored
	}
	return staleJob(s.write(ctx, jobWrite(j)))
}

// EndJob implements job.Store.
func (s *Store) EndJob(ctx context.Context, j job.Job, result string, acts ...audit.Entry) error {
	ws := []write{jobWrite(j), put(openJobItem{openJobKey(j.Org, j.Kind), ""}, "job = :job", map[string]any{":job": string(j.ID)})}
	if result != "" {
		ws = append(ws, put(jobDocument{resultKey(j.Org, j.ID), result, j.Expires.Unix()}, "", nil))
	}
	return staleJob(s.write(ctx, append(ws, auditWrites(acts)...)...))
}

func staleJob(err error) error {
	if refused(err) != nil {
		return job.ErrStale
	}
	return err
}

// JobArgs implements job.Store.
func (s *Store) JobArgs(ctx context.Context, o id.Org, j id.Job) (string, error) {
	return s.jobDocument(ctx, argsKey(o, j))
}

// JobResult implements job.Store.
func (s *Store) JobResult(ctx context.Context, o id.Org, j id.Job) (string, error) {
	return s.jobDocument(ctx, resultKey(o, j))
}

func (s *Store) jobDocument(ctx context.Context, k primary) (string, error) {
	var d jobDocument
	switch found, err := s.get(ctx, k, &d); {
	case err != nil:
		return "", err
	case !found:
		return "", job.ErrNotFound
	}
	return d.Text, nil
}

// OverdueJobs implements job.Store.
func (s *Store) OverdueJobs(ctx context.Context, now time.Time, limit int) ([]job.Call, error) {
	index := schema.Open()
	items, _, err := s.page(ctx, query{
		index: &index, partition: jobs, from: first, limit: limit, to: now.UTC().Add(-time.Nanosecond).Format(dueFormat),
	})
	if err != nil {
		return nil, err
	}
	var calls []job.Call
	for _, i := range items {
		if o, name, ok := jobOf(i); ok {
			calls = append(calls, job.Call{Org: o, Job: name})
		}
	}
	return calls, nil
}
