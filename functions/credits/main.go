// Command credits answers the API's requests about credits.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("credits")) }
