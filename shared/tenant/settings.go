package tenant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
)

// The faults of settings.
var (
	ErrChanged = fault.New(fault.Stale, "precondition_failed", "The settings have changed since you read them; read them again.")
	ErrBusy    = fault.New(fault.Stale, "conflict", "The settings are being changed by others; try again.")
)

// A Policy is a choice that an organization makes for itself. The API has it as a
// field below policy.
type Policy string

// The policies.
const (
	// SelfApproval says whether owners and admins may decide approvals of runs
	// that they started, or of agents that they wrote or activated.
	SelfApproval Policy = "self_approval"
	// ModelContent says whether an action of risk outward, money or access with a
	// model's text in its content needs an approval gate.
	ModelContent Policy = "model_content"
	// DispatchNotes says who reads the note that Dispatch adds to a new ticket.
	DispatchNotes Policy = "dispatch_notes"
)

// A Choice is a value of a policy.
type Choice string

// The choices.
const (
	Allow Choice = "allow"
	Deny  Choice = "deny"

	Gate     Choice = "gate"
	Public   Choice = "public"
	Internal Choice = "internal"
)

// A policyRow is a row of the table of policies.
type policyRow struct {
	policy  Policy
	choices []Choice // the first is the default
}

// policies returns the table of policies, by name. A new policy is a row here, its
// constants above, and its property of the schema Policy in openapi.yaml.
func policies() []policyRow {
	return []policyRow{
		{DispatchNotes, []Choice{Public, Internal}},
		{ModelContent, []Choice{Gate, Allow}},
		{SelfApproval, []Choice{Allow, Deny}},
	}
}

// Policies returns all policies, by name.
func Policies() []Policy {
	rows := policies()
	all := make([]Policy, len(rows))
	for i, row := range rows {
		all[i] = row.policy
	}
	return all
}

// Choices returns the possible values of a policy, the default first; none for
// an unknown policy.
func (p Policy) Choices() []Choice {
	rows := policies()
	if i := slices.IndexFunc(rows, func(r policyRow) bool { return r.policy == p }); i >= 0 {
		return rows[i].choices
	}
	return nil
}

// Settings are the choices of an organization. The zero value has every default.
type Settings struct {
	Chosen        map[Policy]Choice // without defaults
	RetentionDays int               // for which a run is kept after its end; 0 for the platform's default
	Pins          map[id.Agent]int  // the versions at which system agents stay
	JournalDays   int               // for which a received event is kept; 0, the default, keeps none
	JournalSince  time.Time         // since when events are kept without a gap; zero when none is
	Revision      int64             // counts the changes of the settings
}

// Pinning returns the settings with a system agent pinned to a version; 0 lets it follow
// the releases again.
func (s Settings) Pinning(agent id.Agent, version int) Settings {
	pins := maps.Clone(s.Pins)
	delete(pins, agent)
	if version > 0 {
		if pins == nil {
			pins = make(map[id.Agent]int)
		}
		pins[agent] = version
	}
	s.Pins, s.Revision = pins, s.Revision+1
	return s
}

// The bounds of RetentionDays.
const (
	MinRetentionDays = 30
	MaxRetentionDays = 3650
)

// MaxJournalDays bounds JournalDays.
const MaxJournalDays = 90

// KeptSince returns the time since when every received event is in the journal; ok is
// false when none is kept.
func (s Settings) KeptSince(now time.Time) (since time.Time, ok bool) {
	if s.JournalDays == 0 {
		return time.Time{}, false
	}
	since = now.AddDate(0, 0, -s.JournalDays)
	if s.JournalSince.After(since) {
		since = s.JournalSince
	}
	return since, true
}

// Retention returns how long a run is kept after its end.
func (s Settings) Retention(byDefault time.Duration) time.Duration {
	if s.RetentionDays == 0 {
		return byDefault
	}
	return time.Duration(s.RetentionDays) * 24 * time.Hour
}

// Policy returns the choice for a policy. A stored choice that the policy no
// longer has counts as the default.
func (s Settings) Policy(p Policy) Choice {
	choices := p.Choices()
	if c := s.Chosen[p]; slices.Contains(choices, c) {
		return c
	}
	if len(choices) == 0 {
		return ""
	}
	return choices[0]
}

// Tag identifies this state of the settings among those of the organization. It
// is never 0.
func (s Settings) Tag() int64 { return s.Revision + 1 }

// with returns the settings after a change. It returns s when nothing changes.
func (s Settings) with(change SettingsPatch, now time.Time) Settings {
	after := s
	after.Chosen, after.Revision = make(map[Policy]Choice), s.Revision+1
	if change.RetentionDays != nil {
		after.RetentionDays = *change.RetentionDays
	}
	if change.JournalDays != nil {
		after = after.journalled(*change.JournalDays, now)
	}
	maps.Copy(after.Chosen, s.Chosen)
	for p, to := range change.Policies {
		after.Chosen[p] = to
		if byDefault := p.Choices()[0]; to == byDefault || to == "" {
			delete(after.Chosen, p)
		}
	}
	if from, _ := differences(s, after); from == "" {
		return s
	}
	return after
}

// journalled returns the settings with a journal of some days. When they become more,
// events that were kept for fewer days still disappear after these.
func (s Settings) journalled(days int, now time.Time) Settings {
	switch {
	case days == 0:
		s.JournalSince = time.Time{}
	case days > s.JournalDays:
		s.JournalSince = now
	}
	s.JournalDays = days
	return s
}

// differences returns what differs between two settings, as the audit log shows it.
func differences(before, after Settings) (from, to string) {
	var was, is []string
	for _, p := range Policies() {
		if b, a := before.Policy(p), after.Policy(p); b != a {
			was, is = append(was, fmt.Sprintf("%s %s", p, b)), append(is, fmt.Sprintf("%s %s", p, a))
		}
	}
	if b, a := before.RetentionDays, after.RetentionDays; b != a {
		was, is = append(was, "retention_days "+daysOf(b)), append(is, "retention_days "+daysOf(a))
	}
	if b, a := before.JournalDays, after.JournalDays; b != a {
		was, is = append(was, fmt.Sprintf("journal_days %d", b)), append(is, fmt.Sprintf("journal_days %d", a))
	}
	return strings.Join(was, ", "), strings.Join(is, ", ")
}

// daysOf returns a number of days as the audit log shows it.
func daysOf(n int) string {
	if n == 0 {
		return "default"
	}
	return strconv.Itoa(n)
}

// SettingsStore keeps the settings of organizations.
type SettingsStore interface {
	// Tenant returns the organization, or ErrUnknown.
	Tenant(ctx context.Context, org id.Org) (Tenant, error)

	// SaveSettings writes the settings of t, and nothing else of it, with the acts
	// in one transaction, if the stored revision is still t.Revision. Otherwise it
	// returns ErrStale.
	SaveSettings(ctx context.Context, t Tenant, acts ...audit.Entry) error
}

// SettingsService reads and changes the settings of callers' organizations.
type SettingsService struct {
	Store SettingsStore
	Now   func() time.Time
}

// Get returns the settings of the caller's organization.
func (s *SettingsService) Get(ctx context.Context, who caller.Caller) (Settings, error) {
	t, err := s.Store.Tenant(ctx, who.Org)
	return t.Settings, err
}

// A SettingsPatch is a change of settings.
type SettingsPatch struct {
	Policies map[Policy]Choice // the policies to change; an empty choice means the default
	// RetentionDays is the new retention, 0 for the default; nil to leave it.
	RetentionDays *int
	// JournalDays is the new number of days of the journal; nil to leave it.
	JournalDays *int
	Match       int64 // the tag of the settings that the caller has read; 0 matches any
}

// Update changes settings of the caller's organization and leaves the others. It
// returns ErrChanged if the tag does not match.
func (s *SettingsService) Update(ctx context.Context, who caller.Caller, p SettingsPatch) (Settings, error) {
	var after Settings
	err := retry.Races(ErrStale, func() (err error) {
		after, err = s.update(ctx, who, p)
		return err
	})
	if errors.Is(err, retry.ErrLost) {
		err = ErrBusy.Because(fmt.Errorf("change the settings of %s: %w", who.Org, err))
	}
	return after, err
}

func (s *SettingsService) update(ctx context.Context, who caller.Caller, p SettingsPatch) (Settings, error) {
	t, err := s.Store.Tenant(ctx, who.Org)
	if err != nil {
		return Settings{}, err
	}
	before := t.Settings
	if p.Match != 0 && p.Match != before.Tag() {
		return Settings{}, ErrChanged
	}
	t.Settings = before.with(p, s.Now())
	if t.Settings.Revision == before.Revision {
		return before, nil
	}
	from, to := differences(before, t.Settings)
	act := audit.Of(who, audit.Change{Kind: audit.SettingsChanged, Object: string(who.Org), From: from, To: to}, s.Now())
	return t.Settings, s.Store.SaveSettings(ctx, t, act)
}
