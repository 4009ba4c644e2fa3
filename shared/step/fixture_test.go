package step_test

import (
	"sync"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
)

// loaded returns the catalogue.
var loaded = sync.OnceValues(func() (catalog.Catalog, error) { return catalog.Load(events.Files) })
