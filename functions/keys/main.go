// Command keys answers the API's requests about integration keys and the secret
// of webhooks.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Serve("keys")) }
