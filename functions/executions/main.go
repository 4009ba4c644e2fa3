// Command executions answers the API's requests about executions.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("executions")) }
