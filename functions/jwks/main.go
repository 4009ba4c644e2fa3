// Command jwks serves the public keys that verify our calls of products, without
// authentication. It is apart from docs, which answers every other path, because it
// reads the secret with the private keys when it starts.
package main

import (
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.ServeCallKeys()) }
