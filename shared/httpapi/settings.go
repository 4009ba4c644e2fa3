package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strconv"

	spec "theoneagents.app/agents/shared/httpapi/spec/settings"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/tenant"
)

// settings are the operations on the settings of an organization.
type settings struct {
	Edge

	svc       *tenant.SettingsService
	retention int // days, where an organization chose none
}

var _ spec.StrictServerInterface = settings{}

// Settings returns the handler of the endpoints of settings. retention is the number
// of days for which runs are kept where an organization chose none.
func Settings(svc *tenant.SettingsService, retention int, edge Edge) http.Handler {
	return edge.mount(settings{edge, svc, retention}.routes())
}

func readGetSettings(*request) spec.GetSettingsRequestObject { return spec.GetSettingsRequestObject{} }

// GetSettings implements the contract.
func (g settings) GetSettings(ctx context.Context, _ spec.GetSettingsRequestObject) (spec.GetSettingsResponseObject, error) {
	s, err := g.svc.Get(ctx, callerIn(ctx))
	if err != nil {
		return nil, err
	}
	return spec.GetSettings200JSONResponse{Body: g.view(s), Headers: spec.GetSettings200ResponseHeaders{ETag: settingsTag(s)}}, nil
}

func readUpdateSettings(in *request) spec.UpdateSettingsRequestObject {
	q := spec.UpdateSettingsRequestObject{Body: readSettings(in.object())}
	q.Params.IfMatch = in.ifMatch()
	return q
}

// readSettings returns the changes in a body.
func readSettings(body input.Object) *tenant.SettingsPatch {
	p := &tenant.SettingsPatch{}
	if _, given := body.OptionalAny("retention_days"); given {
		days := int(body.Int("retention_days", tenant.MinRetentionDays, tenant.MaxRetentionDays))
		p.RetentionDays = &days
	}
	if _, given := body.OptionalAny("journal_days"); given {
		days := int(body.Int("journal_days", 0, tenant.MaxJournalDays))
		p.JournalDays = &days
	}
	p.Policies = readPolicies(body)
	return p
}

// readPolicies returns the policies that a body changes, with an empty choice for
// each that is null.
func readPolicies(body input.Object) map[tenant.Policy]tenant.Choice {
	changes := make(map[tenant.Policy]tenant.Choice)
	v, given := body.OptionalAny("policy")
	if !given {
		return changes
	}
	if v == nil {
		for _, p := range tenant.Policies() {
			changes[p] = ""
		}
		return changes
	}
	o := body.Object("policy", v)
	for _, p := range tenant.Policies() {
		if _, given := o.OptionalAny(string(p)); given {
			changes[p] = input.Choice(o, string(p), "", p.Choices()...)
		}
	}
	o.Done()
	return changes
}

// UpdateSettings implements the contract.
func (g settings) UpdateSettings(ctx context.Context, q spec.UpdateSettingsRequestObject) (spec.UpdateSettingsResponseObject, error) {
	patch := *q.Body
	match, err := matched(q.Params.IfMatch, func() (int64, error) {
		s, err := g.svc.Get(ctx, callerIn(ctx))
		return s.Tag(), err
	})
	if err != nil {
		return nil, err
	}
	patch.Match = match
	s, err := g.svc.Update(ctx, callerIn(ctx), patch)
	if err != nil {
		return nil, err
	}
	return spec.UpdateSettings200JSONResponse{Body: g.view(s), Headers: spec.UpdateSettings200ResponseHeaders{ETag: settingsTag(s)}}, nil
}

func (g settings) view(s tenant.Settings) spec.Settings {
	v := spec.Settings{Policy: make(spec.Policy), JournalDays: s.JournalDays, RetentionDays: cmp.Or(s.RetentionDays, g.retention)}
	for _, p := range tenant.Policies() {
		v.Policy[p] = s.Policy(p)
	}
	return v
}

func settingsTag(s tenant.Settings) string { return strconv.Quote(strconv.FormatInt(s.Tag(), 10)) }
