// Command jobs answers the API's requests about jobs and back-tests.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("jobs")) }
