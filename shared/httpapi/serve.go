//go:build ignore

// Serve writes openapi.gen.json, the document that GET /api/openapi.json serves. It
// does not need package httpapi, which does not compile while the handler of a new
// operation is missing.
package main

import (
	"log"
	"os"

	"theoneagents.app/agents/shared/httpapi/spec/document"
)

func main() {
	source, err := os.ReadFile("openapi.yaml")
	if err != nil {
		log.Fatal(err)
	}
	data, err := document.JSON(source)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("openapi.gen.json", data, 0o644); err != nil {
		log.Fatal(err)
	}
}
