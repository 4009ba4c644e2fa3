package definition

import (
	"slices"
	"strings"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/tenant"
)

// Uses returns the kinds of objects that the definition's actions make and that its
// events are about, sorted and without duplicates.
func (r Rules) Uses(d Definition) []tenant.Use {
	var all []tenant.Use
	d.eachNeed(func(n need) {
		product, name, _ := strings.Cut(n.name, ":")
		if action, ok := r.Catalog.Action(product, name); ok && n.kind == "action" && action.Makes != nil {
			all = append(all, tenant.Makes(catalog.Kind(product, action.Makes.Object)))
		}
		if event, ok := r.Catalog.Event(n.name); ok && n.kind == "event" {
			for _, o := range event.Objects {
				all = append(all, tenant.Hears(catalog.Kind(product, o.Object)))
			}
		}
	})
	slices.Sort(all)
	return slices.Compact(all)
}
