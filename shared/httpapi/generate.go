package httpapi

//go:generate go run order.go
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/agents/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/executions/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/approvals/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/events/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/credits/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/keys/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/audit/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/settings/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/pause/gen.yaml openapi.yaml
//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen -config spec/jobs/gen.yaml openapi.yaml
//go:generate go run serve.go
