// Command agents answers the API's requests about agents, their activity and
// templates.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("agents")) }
