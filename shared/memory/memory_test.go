package memory_test

import (
	"testing"

	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()

	storetest.Run(t, func(*testing.T) storetest.Store { return memory.New() })
}
