package httpapi

import (
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	specagents "theoneagents.app/agents/shared/httpapi/spec/agents"
	specapprovals "theoneagents.app/agents/shared/httpapi/spec/approvals"
	specaudit "theoneagents.app/agents/shared/httpapi/spec/audit"
	speccredits "theoneagents.app/agents/shared/httpapi/spec/credits"
	specevents "theoneagents.app/agents/shared/httpapi/spec/events"
	specexecutions "theoneagents.app/agents/shared/httpapi/spec/executions"
	specjobs "theoneagents.app/agents/shared/httpapi/spec/jobs"
	speckeys "theoneagents.app/agents/shared/httpapi/spec/keys"
	specpause "theoneagents.app/agents/shared/httpapi/spec/pause"
	specsettings "theoneagents.app/agents/shared/httpapi/spec/settings"
)

// The table of routes: every endpoint with its permission, the reader of its
// request, its operation and the writer of its response. A new endpoint is a line
// here; the tests iterate over the table. A route that changes something names
// the acts that it records in the audit log; one that stops something marks them
// with withReserve. A read that pages repeat is polled.

func (g agents) routes() []route {
	return []route{
		{"GET /api/agents", caller.See, false, nil, serve(readListAgents, g.ListAgents, specagents.ListAgentsResponseObject.VisitListAgentsResponse)},
		{"POST /api/agents", caller.Edit, false, records(audit.AgentCreated), serve(readCreateAgent, g.CreateAgent, specagents.CreateAgentResponseObject.VisitCreateAgentResponse)},
		{"POST /api/agents/validate", caller.Edit, false, changesNothing(), serve(readValidateAgent, g.ValidateAgent, specagents.ValidateAgentResponseObject.VisitValidateAgentResponse)},
		{"GET /api/agents/{id}", caller.See, false, nil, serve(readGetAgent, g.GetAgent, specagents.GetAgentResponseObject.VisitGetAgentResponse)},
		{"PUT /api/agents/{id}", caller.Edit, false, records(audit.AgentUpdated, audit.AgentStatusChanged, audit.SystemAgentPaused, audit.SystemAgentResumed, audit.SystemAgentPinned, audit.SystemAgentFreed).withReserveIf(pauses), serve(readUpdateAgent, g.UpdateAgent, specagents.UpdateAgentResponseObject.VisitUpdateAgentResponse)},
		{"DELETE /api/agents/{id}", caller.Delete, false, records(audit.AgentDeleted), serve(readDeleteAgent, g.DeleteAgent, specagents.DeleteAgentResponseObject.VisitDeleteAgentResponse)},
		{"POST /api/agents/{id}/clone", caller.Edit, false, records(audit.AgentCloned), serve(readCloneAgent, g.CloneAgent, specagents.CloneAgentResponseObject.VisitCloneAgentResponse)},
		{"POST /api/agents/{id}/test", caller.Edit, false, records(audit.JobStarted), serve(readTestAgent, g.TestAgent, specagents.TestAgentResponseObject.VisitTestAgentResponse)},
		{"GET /api/agents/{id}/activity", caller.See, false, nil, serve(readListActivity, g.ListActivity, specagents.ListActivityResponseObject.VisitListActivityResponse)},
		{"GET /api/templates", caller.See, false, nil, serve(readListTemplates, g.ListTemplates, specagents.ListTemplatesResponseObject.VisitListTemplatesResponse)},
		{"GET /api/templates/{id}", caller.See, false, nil, serve(readGetTemplate, g.GetTemplate, specagents.GetTemplateResponseObject.VisitGetTemplateResponse)},
		{"POST /api/templates/{id}/clone", caller.Edit, false, records(audit.AgentCloned), serve(readCloneTemplate, g.CloneTemplate, specagents.CloneTemplateResponseObject.VisitCloneTemplateResponse)},
		{"POST /api/templates/{id}/test", caller.Edit, false, changesNothing(), serve(readTestTemplate, g.TestTemplate, specagents.TestTemplateResponseObject.VisitTestTemplateResponse)},
		{"GET /api/agents/{id}/versions", caller.See, false, nil, serve(readListAgentVersions, g.ListAgentVersions, specagents.ListAgentVersionsResponseObject.VisitListAgentVersionsResponse)},
		{"GET /api/agents/{id}/versions/{version}", caller.See, false, nil, serve(readGetAgentVersion, g.GetAgentVersion, specagents.GetAgentVersionResponseObject.VisitGetAgentVersionResponse)},
		{"GET /api/agents/{id}/capabilities", caller.See, false, nil, serve(readGetCapabilities, g.GetCapabilities, specagents.GetCapabilitiesResponseObject.VisitGetCapabilitiesResponse)},
	}
}

func (g executions) routes() []route {
	return []route{
		{"GET /api/executions", caller.See, false, nil, polled(serve(readListExecutions, g.ListExecutions, specexecutions.ListExecutionsResponseObject.VisitListExecutionsResponse))},
		{"GET /api/executions/{id}", caller.See, false, nil, polled(serve(readGetExecution, g.GetExecution, specexecutions.GetExecutionResponseObject.VisitGetExecutionResponse))},
		{"GET /api/executions/{id}/story", caller.See, false, nil, polled(serve(readGetExecutionStory, g.GetExecutionStory, specexecutions.GetExecutionStoryResponseObject.VisitGetExecutionStoryResponse))},
		{"POST /api/executions/{id}/cancel", caller.Edit, false, records(audit.ExecutionCancelled).withReserve(), serve(readCancelExecution, g.CancelExecution, specexecutions.CancelExecutionResponseObject.VisitCancelExecutionResponse)},
		{"POST /api/executions/{id}/retry", caller.Edit, false, records(audit.ExecutionRetried), serve(readRetryExecution, g.RetryExecution, specexecutions.RetryExecutionResponseObject.VisitRetryExecutionResponse)},
	}
}

func (g approvals) routes() []route {
	return []route{
		{"GET /api/approvals", caller.See, false, nil, polled(serve(readListApprovals, g.ListApprovals, specapprovals.ListApprovalsResponseObject.VisitListApprovalsResponse))},
		{"GET /api/approvals/{id}", caller.See, false, nil, polled(serve(readGetApproval, g.GetApproval, specapprovals.GetApprovalResponseObject.VisitGetApprovalResponse))},
		{"POST /api/approvals/{id}/decision", caller.Decide, false, records(audit.ApprovalApproved, audit.ApprovalDenied).withReserve(), serve(readDecideApproval, g.DecideApproval, specapprovals.DecideApprovalResponseObject.VisitDecideApprovalResponse)},
	}
}

func (g keys) routes() []route {
	return []route{
		{"GET /api/keys", caller.Manage, false, nil, serve(readListKeys, g.ListKeys, speckeys.ListKeysResponseObject.VisitListKeysResponse)},
		{"POST /api/keys", caller.Manage, false, records(audit.KeyCreated), serve(readCreateKey, g.CreateKey, speckeys.CreateKeyResponseObject.VisitCreateKeyResponse)},
		{"DELETE /api/keys/{id}", caller.Manage, false, records(audit.KeyRevoked).withReserve(), serve(readDeleteKey, g.DeleteKey, speckeys.DeleteKeyResponseObject.VisitDeleteKeyResponse)},
		{"GET /api/webhook-secret", caller.Manage, false, nil, serve(readGetWebhookSecret, g.GetWebhookSecret, speckeys.GetWebhookSecretResponseObject.VisitGetWebhookSecretResponse)},
		{"POST /api/webhook-secret/rotate", caller.Manage, false, records(audit.WebhookSecretRotated).withReserve(), serve(readRotateWebhookSecret, g.RotateWebhookSecret, speckeys.RotateWebhookSecretResponseObject.VisitRotateWebhookSecretResponse)},
	}
}

func (g credits) routes() []route {
	return []route{
		{"GET /api/me", caller.See, false, nil, polled(serve(readGetMe, g.GetMe, speccredits.GetMeResponseObject.VisitGetMeResponse))},
		{"GET /api/credits", caller.See, false, nil, polled(serve(readGetCredits, g.GetCredits, speccredits.GetCreditsResponseObject.VisitGetCreditsResponse))},
		{"GET /api/credits/history", caller.See, false, nil, serve(readGetCreditHistory, g.GetCreditHistory, speccredits.GetCreditHistoryResponseObject.VisitGetCreditHistoryResponse)},
		{"GET /api/quotas", caller.See, false, nil, serve(readGetQuotas, g.GetQuotas, speccredits.GetQuotasResponseObject.VisitGetQuotasResponse)},
	}
}

func (g events) routes() []route {
	return []route{
		{"GET /api/events", caller.See, false, nil, serve(g.readListEvents, g.ListEvents, specevents.ListEventsResponseObject.VisitListEventsResponse)},
		{"GET /api/events/received", caller.See, false, nil, serve(readListReceivedEvents, g.ListReceivedEvents, specevents.ListReceivedEventsResponseObject.VisitListReceivedEventsResponse)},
		{"POST /api/events/explain", caller.See, false, changesNothing(), serve(readSupposeEvent, g.SupposeEvent, specevents.SupposeEventResponseObject.VisitSupposeEventResponse)},
		{"GET /api/events/{id}/explain", caller.See, false, nil, serve(readExplainEvent, g.ExplainEvent, specevents.ExplainEventResponseObject.VisitExplainEventResponse)},
		{"GET /api/actions", caller.See, false, nil, serve(g.readListActions, g.ListActions, specevents.ListActionsResponseObject.VisitListActionsResponse)},
	}
}

func (g auditLog) routes() []route {
	return []route{
		{"GET /api/audit", caller.Manage, false, nil, serve(readListAudit, g.ListAudit, specaudit.ListAuditResponseObject.VisitListAuditResponse)},
	}
}

func (g jobs) routes() []route {
	return []route{
		{"POST /api/backtests", caller.Edit, false, records(audit.JobStarted), serve(readCreateBacktest, g.CreateBacktest, specjobs.CreateBacktestResponseObject.VisitCreateBacktestResponse)},
		{"GET /api/jobs", caller.See, false, nil, serve(readListJobs, g.ListJobs, specjobs.ListJobsResponseObject.VisitListJobsResponse)},
		{"GET /api/jobs/{id}", caller.See, false, nil, serve(readGetJob, g.GetJob, specjobs.GetJobResponseObject.VisitGetJobResponse)},
		{"POST /api/jobs/{id}/cancel", caller.Edit, false, records(audit.JobCancelled), serve(readCancelJob, g.CancelJob, specjobs.CancelJobResponseObject.VisitCancelJobResponse)},
	}
}

func (g pause) routes() []route {
	return []route{
		{"GET /api/pause", caller.See, false, nil, serve(readGetPause, g.GetPause, specpause.GetPauseResponseObject.VisitGetPauseResponse)},
		{"POST /api/pause", caller.Edit, false, records(audit.OrgPaused).withReserve(), serve(readPauseOrg, g.PauseOrg, specpause.PauseOrgResponseObject.VisitPauseOrgResponse)},
		{"DELETE /api/pause", caller.Manage, false, records(audit.OrgResumed), serve(readResumeOrg, g.ResumeOrg, specpause.ResumeOrgResponseObject.VisitResumeOrgResponse)},
	}
}

func (g settings) routes() []route {
	return []route{
		{"GET /api/settings", caller.Manage, false, nil, serve(readGetSettings, g.GetSettings, specsettings.GetSettingsResponseObject.VisitGetSettingsResponse)},
		{"PATCH /api/settings", caller.Manage, false, records(audit.SettingsChanged), serve(readUpdateSettings, g.UpdateSettings, specsettings.UpdateSettingsResponseObject.VisitUpdateSettingsResponse)},
	}
}

// callKeys and documents need no authentication.
func callKeys(set []byte) []route {
	return []route{{"GET /.well-known/jwks.json", "", true, nil, file("application/json", set, "default-src 'none'")}}
}

func documents(p pages) []route {
	return []route{
		{"GET /api/openapi.json", "", true, nil, contract()},
		{"GET /docs", "", true, nil, p.serve},
	}
}
