// Command pause answers the API's requests about the pauses of organizations.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("pause")) }
