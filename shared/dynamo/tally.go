package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tally"
)

// A contributionText is the contribution of the last change of a run, in the run's
// record: "7e u2603s20" is that of revision 7, which ended the run and charged 20
// credits of March 2026 for an answer of the tier standard. The rest follows from the
// record. It is short, so that the record at its end stays below 1 KB.
type contributionText struct {
	revision int64 // a release before 0.2 keeps the text when it changes the record
	end      bool
	used     []credit.Hold // without the thresholds that they have reached
}

// contributionOf returns the contribution of a change as text; "" for none.
func contributionOf(c execution.Change) string {
	d, ok := c.Contribution()
	if !ok {
		return ""
	}
	first := strconv.FormatInt(d.Revision, 10)
	if d.Runs > 0 {
		first += "e"
	}
	words := []string{first}
	sums := map[string]int64{}
	for _, h := range d.Used {
		sums[usedName(h.Month, h.Tier)] += h.Amount
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		words = append(words, name+strconv.FormatInt(sums[name], 10))
	}
	return strings.Join(words, " ")
}

// errContribution says that a record has a contribution in another form.
var errContribution = errors.New(`dynamo: a contribution is like "7e u2603s20"`)

// readContribution is the reverse of contributionOf.
func readContribution(text string) (contributionText, error) {
	words := strings.Split(text, " ")
	first, end := strings.CutSuffix(words[0], "e")
	t := contributionText{end: end}
	var err error
	if t.revision, err = strconv.ParseInt(first, 10, 64); err != nil {
		return t, fmt.Errorf("%w, got %q", errContribution, text)
	}
	for _, word := range words[1:] {
		name := word[:min(len(word), usedNameSize)]
		m, tier, known := usedOf(name)
		amount, err := strconv.ParseInt(word[len(name):], 10, 64)
		if !known || err != nil {
			return t, fmt.Errorf("%w, got %q", errContribution, text)
		}
		t.used = append(t.used, credit.Hold{Month: m, Tier: tier, Amount: amount})
	}
	return t, nil
}

// Contribution returns what a change of an item, which the table's stream delivers,
// adds to the statistics of an agent; false if it adds nothing. before is empty when
// the change made the item. Only a change that brings another contribution into a run's
// record adds one: a write that leaves the contribution there, such as a decision about
// an approval or any change by a release before 0.2, does not.
func Contribution(before, after map[string]types.AttributeValue) (execution.Contribution, bool, error) {
	text := textOf(after, schema.ContributionAttribute)
	if text == "" || text == textOf(before, schema.ContributionAttribute) {
		return execution.Contribution{}, false, nil
	}
	pk := textOf(after, schema.PartitionKey)
	o, exec, ok := runOf(pk)
	if !ok || textOf(after, schema.SortKey) != schema.RunKey {
		return execution.Contribution{}, false, fmt.Errorf("dynamo: %s %s has a contribution and is no run", pk, textOf(after, schema.SortKey))
	}
	var i runItem
	t, textErr := readContribution(text)
	if err := errors.Join(textErr, attributevalue.UnmarshalMap(after, &i)); err != nil {
		return execution.Contribution{}, false, fmt.Errorf("read the contribution of %s: %w", pk, err)
	}
	x, err := i.execution(o, exec)
	if err != nil {
		return execution.Contribution{}, false, fmt.Errorf("read %s: %w", pk, err)
	}
	if t.revision != x.Revision {
		return execution.Contribution{}, false, nil
	}
	return x.Contributed(t.end, t.used), true, nil
}

// A statsItem has the counters of an agent and the marks of the contributions in them.
// The counters of credits have names of their own; see usedName.
type statsItem struct {
	primary

	Runs      int64  `dynamodbav:"runs"`
	Completed int64  `dynamodbav:"completed"`
	Failed    int64  `dynamodbav:"failed"`
	Duration  int64  `dynamodbav:"ns"`
	Latest    int64  `dynamodbav:"latest"`
	Marks     []byte `dynamodbav:"mk"`
	Filed     int64  `dynamodbav:"fi"`
	Revision  int64  `dynamodbav:"tr"` // of the marks
}

// A marksItem is a page of marks that were filed.
type marksItem struct {
	primary

	Marks   []byte `dynamodbav:"mk"`
	Expires int64  `dynamodbav:"expires"`
}

// AddStats implements tally.Store. One update adds to the counters and to the marks,
// on condition that no other has changed the marks since they were read.
func (s *Store) AddStats(ctx context.Context, o id.Org, a id.Agent, all []execution.Contribution) error {
	for try := range tries {
		done, err := s.addStats(ctx, o, a, all)
		if done || err != nil {
			return err
		}
		if err := s.pause(ctx, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("statistics of %s: %w", a, errBusy)
}

// addStats makes one try, and reports whether nothing is left to do.
func (s *Store) addStats(ctx context.Context, o id.Org, a id.Agent, all []execution.Contribution) (done bool, err error) {
	var i statsItem
	found, err := s.get(ctx, statsKey(o, a), &i)
	if err != nil {
		return false, err
	}
	marks := tally.Marks{List: tally.Unpacked(i.Marks), Filed: i.Filed}
	paged, err := s.paged(ctx, o, a, marks.InPages(all))
	if err != nil {
		return false, err
	}
	fresh := marks.New(all, paged)
	if len(fresh) == 0 {
		return true, nil
	}
	stay, pages := marks.File()
	for _, p := range pages { // a repeat stores an equal page
		if err := s.write(ctx, put(marksItem{
			primary: marksKey(o, a, p.Newest(), i.Revision), Marks: tally.Packed(p), Expires: p.Newest().Add(2 * tally.Kept).Unix(),
		}, "", nil)); err != nil {
			return false, err
		}
	}
	w := statsWrite(statsKey(o, a), i, fresh)
	stay = stay.With(fresh)
	w.set["mk"], w.set["fi"], w.set["tr"] = tally.Packed(stay.List), stay.Filed, i.Revision+1
	if found {
		err = s.write(ctx, w)
		return refused(err) == nil, withoutRefusal(err)
	}
	// Only the first contribution of an agent asks whether the organization was deleted.
	err = s.write(ctx, w, write{op: opCheck, key: tenantKey(o), cond: "attribute_not_exists(erasing)"})
	_, erased := refusedAt(err, 1)
	return erased || refused(err) == nil, withoutRefusal(err)
}

// refusedAt is at of the refusal in err, if there is one.
func refusedAt(err error, part int) (item, bool) {
	if r := refused(err); r != nil {
		return r.at(part)
	}
	return nil, false
}

// withoutRefusal returns nil for a refusal.
func withoutRefusal(err error) error {
	if refused(err) != nil {
		return nil //nolint:nilerr // the write is tried again.
	}
	return err
}

// paged returns the marks of the pages that may name contributions.
func (s *Store) paged(ctx context.Context, o id.Org, a id.Agent, unsure []execution.Contribution) (map[tally.Mark]bool, error) {
	if len(unsure) == 0 {
		return nil, nil //nolint:nilnil // no page is asked.
	}
	first, last := unsure[0].At, unsure[0].At
	for _, c := range unsure {
		if c.At.Before(first) {
			first = c.At
		}
		if c.At.After(last) {
			last = c.At
		}
	}
	pk, err := statsPartition(o)
	prefix, prefixErr := join("COUNTED", string(a))
	q := query{
		partition: pk, err: errors.Join(err, prefixErr), strong: true,
		from: prefix + "#" + second(first), to: prefix + "#" + second(last.Add(tally.PageSpan)) + "\U0010ffff",
	}
	known := map[tally.Mark]bool{}
	for {
		items, next, err := s.page(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			var page marksItem
			if err := attributevalue.UnmarshalMap(i, &page); err != nil {
				return nil, err
			}
			for _, m := range tally.Unpacked(page.Marks) {
				known[m] = true
			}
		}
		if next == nil {
			return known, nil
		}
		q.start = next
	}
}

// keptMonths is the number of months of usage that stats keep.
const keptMonths = 14

// statsWrite adds contributions to the counters of an agent, as they are after
// before. The time of the last run moves only forwards; a release before 0.2 may move
// it meanwhile.
func statsWrite(key primary, before statsItem, all []execution.Contribution) write {
	w := write{op: opUpdate, key: key, add: map[string]int64{}, set: map[string]any{}, args: map[string]any{}}
	add := func(name string, n int64) {
		if n != 0 {
			w.add[name] += n
		}
	}
	var latest int64
	newest := credit.Month("")
	for _, c := range all {
		add("runs", c.Runs)
		add("completed", c.Completed)
		add("failed", c.Failed)
		add("ns", int64(c.Duration))
		for _, h := range c.Used {
			add(usedName(h.Month, h.Tier), h.Amount)
			newest = max(newest, h.Month)
		}
		if !c.LastRun.IsZero() {
			latest = max(latest, nanos(c.LastRun))
		}
	}
	if newest != "" {
		w.remove = slices.DeleteFunc(outdated(newest), func(name string) bool { return w.add[name] != 0 })
	}
	conds := []string{"attribute_exists(pk)", "attribute_not_exists(tr)"}
	switch {
	case before.PK == "":
		conds = []string{"attribute_not_exists(pk)"}
	case before.Revision > 0:
		conds[1], w.args[":tr"] = "tr = :tr", before.Revision
	}
	if latest > before.Latest {
		w.set["latest"], w.args[":latest"] = latest, latest
		conds = append(conds, "(attribute_not_exists(latest) OR latest <= :latest)")
	}
	w.cond = strings.Join(conds, " AND ")
	return w
}

// outdated returns the counters of the year before the kept months.
func outdated(newest credit.Month) []string {
	var old []string
	for n := keptMonths; n < keptMonths+12; n++ {
		for _, t := range credit.Tiers() {
			old = append(old, usedName(newest.Before(n), t))
		}
	}
	return old
}

const usedNameSize = len("u2611s")

// usedName returns the attribute that counts the usage of a tier in a month. It
// is short, so that an item with all of them is below 1 KB.
func usedName(m credit.Month, t credit.Tier) string {
	return "u" + strings.TrimPrefix(strings.ReplaceAll(string(m), "-", ""), "20") + string(t[:1])
}

// usedOf is the reverse of usedName.
func usedOf(name string) (m credit.Month, t credit.Tier, ok bool) {
	if len(name) != usedNameSize || name[0] != 'u' {
		return "", "", false
	}
	for _, t := range credit.Tiers() {
		if name[5:] == string(t[:1]) {
			return credit.Month("20" + name[1:3] + "-" + name[3:5]), t, true
		}
	}
	return "", "", false
}

// Stats implements agent.Store.
func (s *Store) Stats(ctx context.Context, o id.Org) (map[id.Agent]agent.Stats, error) {
	pk, err := statsPartition(o)
	from, to := begins("AGENT#")
	items, err := s.all(ctx, query{partition: pk, err: err, from: from, to: to, strong: true})
	if err != nil {
		return nil, err
	}
	all := make(map[id.Agent]agent.Stats, len(items))
	for _, i := range items {
		stats, err := statsOf(i)
		if err != nil {
			return nil, err
		}
		all[id.Agent(strings.TrimPrefix(textOf(i, "sk"), "AGENT#"))] = stats
	}
	return all, nil
}

func statsOf(i item) (agent.Stats, error) {
	var n statsItem
	if err := attributevalue.UnmarshalMap(i, &n); err != nil {
		return agent.Stats{}, err
	}
	s := agent.Stats{
		Runs: n.Runs, Completed: n.Completed, Failed: n.Failed,
		Duration: time.Duration(n.Duration), LastRun: timeOf(n.Latest),
		Credits: map[credit.Month]map[credit.Tier]int64{},
	}
	for name, v := range i {
		m, t, ok := usedOf(name)
		if !ok {
			continue
		}
		if s.Credits[m] == nil {
			s.Credits[m] = make(map[credit.Tier]int64)
		}
		var used int64
		if err := attributevalue.Unmarshal(v, &used); err != nil {
			return agent.Stats{}, err
		}
		s.Credits[m][t] = used
	}
	return s, nil
}
