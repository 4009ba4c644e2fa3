// Command settings answers the API's requests about the settings of organizations.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("settings")) }
