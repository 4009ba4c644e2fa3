package catalog

import "theoneagents.app/agents/shared/jsonvalue"

// An ObjectField says in which field of a payload, or of a reply, the id of an
// object stands.
type ObjectField struct {
	Object string `json:"object"` // the kind, such as ticket
	ID     string `json:"id"`     // the field, such as ticket_id
}

// An ObjectID identifies an object that a product keeps, such as a ticket.
type ObjectID struct {
	Kind string // qualified, such as psa:ticket
	ID   string
}

// Kind returns the qualified kind of an object of a product.
func Kind(product, object string) string { return product + ":" + object }

// ObjectsIn returns the objects that an event with this payload is about, the most
// specific first.
func (t EventType) ObjectsIn(payload map[string]any) []ObjectID {
	var all []ObjectID
	for _, f := range t.Objects {
		if name, ok := objectID(payload[f.ID]); ok {
			all = append(all, ObjectID{Kind: Kind(t.Product, f.Object), ID: name})
		}
	}
	return all
}

// MadeIn returns the object that the action made, by the reply of the product: its
// id stands in the field of the catalogue or else in the field id.
func (a Action) MadeIn(reply map[string]any) (ObjectID, bool) {
	if a.Makes == nil {
		return ObjectID{}, false
	}
	for _, field := range []string{a.Makes.ID, "id"} {
		if name, ok := objectID(reply[field]); ok {
			return ObjectID{Kind: Kind(a.Product, a.Makes.Object), ID: name}, true
		}
	}
	return ObjectID{}, false
}

// objectID returns the id of an object as a text: products use strings and whole
// numbers.
func objectID(v any) (string, bool) {
	text, ok := v.(string)
	if n, whole := v.(int64); whole {
		text, ok = jsonvalue.NumberText(n)
	}
	return text, ok && text != ""
}
