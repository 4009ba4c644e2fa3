package httpapi

import (
	"context"
	"net/http"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
	spec "theoneagents.app/agents/shared/httpapi/spec/credits"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
)

// Balances reads the credit balances of an organization. A month without use has
// the allocation of the plan.
type Balances interface {
	execution.Balances

	// Balances returns the balances of n months up to last, newest first, in one
	// or two reads.
	Balances(ctx context.Context, org id.Org, last credit.Month, n int) ([]credit.Balance, error)
}

// A AgentStats returns the stats, with the credits used, of each agent of an
// organization.
type AgentStats interface {
	Stats(ctx context.Context, org id.Org) (map[id.Agent]agent.Stats, error)
}

// Quotas returns the use of every quota of an organization.
type Quotas interface {
	Usage(ctx context.Context, org id.Org, plan credit.Plan) ([]quota.Usage, error)
}

// credits are the operations on credits, quotas and the caller's organization.
type credits struct {
	Edge

	balances Balances
	stats    AgentStats
	tenants  execution.Tenants
	quotas   Quotas
}

var _ spec.StrictServerInterface = credits{}

// Credits returns the handler of the endpoints of credits and quotas, and of the
// caller.
func Credits(balances Balances, tally AgentStats, tenants execution.Tenants, quotas Quotas, edge Edge) http.Handler {
	return edge.mount(credits{edge, balances, tally, tenants, quotas}.routes())
}

func readGetCredits(*request) spec.GetCreditsRequestObject { return spec.GetCreditsRequestObject{} }

// GetCredits implements the contract.
func (g credits) GetCredits(ctx context.Context, _ spec.GetCreditsRequestObject) (spec.GetCreditsResponseObject, error) {
	org, month := callerIn(ctx).Org, credit.MonthOf(g.Now())
	// The statistics are read first: a charge that they have is not in the balance any
	// more, so that no credit is counted twice.
	stats, err := g.stats.Stats(ctx, org)
	if err != nil {
		return nil, err
	}
	b, err := g.balances.Balance(ctx, org, month)
	if err != nil {
		return nil, err
	}
	used := usedIn(stats, month)
	byTier := used.ByTier()
	view := spec.GetCredits200JSONResponse{
		OrgID: string(org), Month: string(month), TotalUsed: used.Total(), Allocation: b.Allocation,
		Remaining: max(b.Remaining, 0), Reserved: max(b.Allocation-b.Remaining-used.Total(), 0), ByAgent: map[string]int64{}, UpdatedAt: changed(b),
		ByModel: spec.CreditsByModel{
			Quick: byTier[credit.Quick], Standard: byTier[credit.Standard],
			Premium: byTier[credit.Premium], Expert: byTier[credit.Expert],
		},
	}
	for a, n := range used.ByAgent() {
		view.ByAgent[string(a)] = n
	}
	return view, nil
}

// changed returns when a balance last changed: the beginning of its month for a
// balance that never did.
func changed(b credit.Balance) time.Time {
	if !b.Updated.IsZero() {
		return whole(b.Updated)
	}
	begin, err := time.Parse("2006-01", string(b.Month))
	if err != nil {
		panic(err) // a credit.Month always has this format
	}
	return begin
}

func readGetCreditHistory(*request) spec.GetCreditHistoryRequestObject {
	return spec.GetCreditHistoryRequestObject{}
}

// months is the length of the history, the current month included.
const months = 12

// GetCreditHistory implements the contract.
func (g credits) GetCreditHistory(
	ctx context.Context, _ spec.GetCreditHistoryRequestObject,
) (spec.GetCreditHistoryResponseObject, error) {
	org := callerIn(ctx).Org
	stats, err := g.stats.Stats(ctx, org)
	if err != nil {
		return nil, err
	}
	balances, err := g.balances.Balances(ctx, org, credit.MonthOf(g.Now()), months)
	if err != nil {
		return nil, err
	}
	view := spec.GetCreditHistory200JSONResponse{History: make([]spec.CreditMonth, 0, months)}
	for _, b := range balances {
		view.History = append(view.History, spec.CreditMonth{
			Month: string(b.Month), TotalUsed: usedIn(stats, b.Month).Total(), Allocation: b.Allocation,
		})
	}
	return view, nil
}

// usedIn returns the credits used in a month.
func usedIn(stats map[id.Agent]agent.Stats, m credit.Month) credit.Used {
	used := credit.Used{}
	for a, s := range stats {
		used[a] = s.Credits[m]
	}
	return used
}

func readGetQuotas(*request) spec.GetQuotasRequestObject { return spec.GetQuotasRequestObject{} }

// GetQuotas implements the contract.
func (g credits) GetQuotas(ctx context.Context, _ spec.GetQuotasRequestObject) (spec.GetQuotasResponseObject, error) {
	org := callerIn(ctx).Org
	t, err := g.tenants.Tenant(ctx, org)
	if err != nil {
		return nil, err
	}
	usage, err := g.quotas.Usage(ctx, org, t.Plan)
	if err != nil {
		return nil, err
	}
	view := spec.GetQuotas200JSONResponse{Plan: spec.Plan(t.Plan), Quotas: make([]spec.Quota, 0, len(usage))}
	for _, u := range usage {
		view.Quotas = append(view.Quotas, spec.Quota{
			Name: spec.QuotaName(u.Name), Limit: u.Limit, Used: u.Used, ResetsAt: when(u.Reset),
		})
	}
	return view, nil
}
