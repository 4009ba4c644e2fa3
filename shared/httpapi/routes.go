package httpapi

import (
	"theoneagents.app/agents/shared/caller"
	specagents "theoneagents.app/agents/shared/httpapi/spec/agents"
	specapprovals "theoneagents.app/agents/shared/httpapi/spec/approvals"
	speccredits "theoneagents.app/agents/shared/httpapi/spec/credits"
	specevents "theoneagents.app/agents/shared/httpapi/spec/events"
	specexecutions "theoneagents.app/agents/shared/httpapi/spec/executions"
	speckeys "theoneagents.app/agents/shared/httpapi/spec/keys"
)

// The table of routes: every endpoint with its permission, the reader of its
// request, its operation and the writer of its response. A new endpoint is a line
// here; the tests iterate over the table.

func (g agents) routes() []route {
	return []route{
		{"GET /api/agents", caller.See, false, serve(readListAgents, g.ListAgents, specagents.ListAgentsResponseObject.VisitListAgentsResponse)},
		{"POST /api/agents", caller.Edit, false, serve(readCreateAgent, g.CreateAgent, specagents.CreateAgentResponseObject.VisitCreateAgentResponse)},
		{"GET /api/agents/{id}", caller.See, false, serve(readGetAgent, g.GetAgent, specagents.GetAgentResponseObject.VisitGetAgentResponse)},
		{"PUT /api/agents/{id}", caller.Edit, false, serve(readUpdateAgent, g.UpdateAgent, specagents.UpdateAgentResponseObject.VisitUpdateAgentResponse)},
		{"DELETE /api/agents/{id}", caller.Delete, false, serve(readDeleteAgent, g.DeleteAgent, specagents.DeleteAgentResponseObject.VisitDeleteAgentResponse)},
		{"POST /api/agents/{id}/clone", caller.Edit, false, serve(readCloneAgent, g.CloneAgent, specagents.CloneAgentResponseObject.VisitCloneAgentResponse)},
		{"GET /api/agents/{id}/activity", caller.See, false, serve(readListActivity, g.ListActivity, specagents.ListActivityResponseObject.VisitListActivityResponse)},
		{"GET /api/templates", caller.See, false, serve(readListTemplates, g.ListTemplates, specagents.ListTemplatesResponseObject.VisitListTemplatesResponse)},
		{"GET /api/templates/{id}", caller.See, false, serve(readGetTemplate, g.GetTemplate, specagents.GetTemplateResponseObject.VisitGetTemplateResponse)},
		{"POST /api/templates/{id}/clone", caller.Edit, false, serve(readCloneTemplate, g.CloneTemplate, specagents.CloneTemplateResponseObject.VisitCloneTemplateResponse)},
		{"GET /api/agents/{id}/versions", caller.See, false, serve(readListAgentVersions, g.ListAgentVersions, specagents.ListAgentVersionsResponseObject.VisitListAgentVersionsResponse)},
		{"GET /api/agents/{id}/versions/{version}", caller.See, false, serve(readGetAgentVersion, g.GetAgentVersion, specagents.GetAgentVersionResponseObject.VisitGetAgentVersionResponse)},
	}
}

func (g executions) routes() []route {
	return []route{
		{"GET /api/executions", caller.See, false, serve(readListExecutions, g.ListExecutions, specexecutions.ListExecutionsResponseObject.VisitListExecutionsResponse)},
		{"GET /api/executions/{id}", caller.See, false, serve(readGetExecution, g.GetExecution, specexecutions.GetExecutionResponseObject.VisitGetExecutionResponse)},
		{"POST /api/executions/{id}/cancel", caller.Edit, false, serve(readCancelExecution, g.CancelExecution, specexecutions.CancelExecutionResponseObject.VisitCancelExecutionResponse)},
		{"POST /api/executions/{id}/retry", caller.Edit, false, serve(readRetryExecution, g.RetryExecution, specexecutions.RetryExecutionResponseObject.VisitRetryExecutionResponse)},
	}
}

func (g approvals) routes() []route {
	return []route{
		{"GET /api/approvals", caller.See, false, serve(readListApprovals, g.ListApprovals, specapprovals.ListApprovalsResponseObject.VisitListApprovalsResponse)},
		{"GET /api/approvals/{id}", caller.See, false, serve(readGetApproval, g.GetApproval, specapprovals.GetApprovalResponseObject.VisitGetApprovalResponse)},
		{"POST /api/approvals/{id}/decision", caller.Decide, false, serve(readDecideApproval, g.DecideApproval, specapprovals.DecideApprovalResponseObject.VisitDecideApprovalResponse)},
	}
}

func (g keys) routes() []route {
	return []route{
		{"GET /api/keys", caller.Manage, false, serve(readListKeys, g.ListKeys, speckeys.ListKeysResponseObject.VisitListKeysResponse)},
		{"POST /api/keys", caller.Manage, false, serve(readCreateKey, g.CreateKey, speckeys.CreateKeyResponseObject.VisitCreateKeyResponse)},
		{"DELETE /api/keys/{id}", caller.Manage, false, serve(readDeleteKey, g.DeleteKey, speckeys.DeleteKeyResponseObject.VisitDeleteKeyResponse)},
		{"GET /api/webhook-secret", caller.Manage, false, serve(readGetWebhookSecret, g.GetWebhookSecret, speckeys.GetWebhookSecretResponseObject.VisitGetWebhookSecretResponse)},
	}
}

func (g credits) routes() []route {
	return []route{
		{"GET /api/credits", caller.See, false, serve(readGetCredits, g.GetCredits, speccredits.GetCreditsResponseObject.VisitGetCreditsResponse)},
		{"GET /api/credits/history", caller.See, false, serve(readGetCreditHistory, g.GetCreditHistory, speccredits.GetCreditHistoryResponseObject.VisitGetCreditHistoryResponse)},
	}
}

func (g events) routes() []route {
	return []route{
		{"GET /api/events", caller.See, false, serve(g.readListEvents, g.ListEvents, specevents.ListEventsResponseObject.VisitListEventsResponse)},
		{"GET /api/actions", caller.See, false, serve(g.readListActions, g.ListActions, specevents.ListActionsResponseObject.VisitListActionsResponse)},
	}
}

// documents need no authentication.
func documents(callKeys []byte) []route {
	return []route{
		{"GET /.well-known/jwks.json", "", true, file("application/json", callKeys, "default-src 'none'")},
		{"GET /api/openapi.json", "", true, contract()},
		{"GET /docs", "", true, docs()},
	}
}
