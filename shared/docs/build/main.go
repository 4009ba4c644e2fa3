// Command build writes the pages of the documentation into a folder, each beside its
// compressed form.
package main

import (
	"compress/gzip"
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
		if err := compress(filepath.Join(out, name+".gz"), data); err != nil {
			return err
		}
	}
	return nil
}

// compress writes the compressed form of a file. Its bytes depend on the data alone, so
// that an unchanged page is not deployed again.
func compress(name string, data []byte) error {
	file, err := os.Create(name) //nolint:gosec // a file of the build.
	if err != nil {
		return err
	}
	w, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("compress %s: %w", name, err)
	}
	if err := w.Close(); err != nil {
		return err
	}
	return file.Close()
}
