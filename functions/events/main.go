// Command events answers the API's requests about the catalogue.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("events")) }
