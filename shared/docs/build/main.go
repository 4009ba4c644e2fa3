// Command build writes the pages of the documentation into a folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/docs"
)

func main() {
	contract := flag.String("contract", "shared/httpapi/openapi.gen.json", "the OpenAPI document of the API")
	packages := flag.String("packages", "", "the folder into which npm installed the packages")
	out := flag.String("out", "", "the folder of the pages, which is replaced")
	flag.Parse()
	if err := build(*contract, *packages, *out); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func build(contract, packages, out string) error {
	document, err := os.ReadFile(contract) //nolint:gosec // named on the command line.
	if err != nil {
		return err
	}
	all, err := catalog.Load(events.Files)
	if err != nil {
		return err
	}
	files, err := docs.Build(document, all, os.DirFS(packages))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // public files.
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil { //nolint:gosec // public files.
			return err
		}
	}
	return nil
}
