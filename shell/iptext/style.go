package iptext

// A Style is how a text stands out at a terminal (ECMA-48's SGR); "": it does not.
type Style string

// What stands out: what refuses packets, and default routes.
const (
	Red  Style = "31"
	Bold Style = "1"
)

// Append appends a text in the style.
func (s Style) Append(b, text []byte) []byte {
	if s == "" {
		return append(b, text...)
	}
	b = append(append(append(b, "\x1b["...), s...), 'm')
	return append(append(b, text...), "\x1b[0m"...)
}
