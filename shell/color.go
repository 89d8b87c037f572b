package shell

// A styler returns how the value of a column is shown (ECMA-48's SGR), "" if as all others; nil: all are.
type styler func(column, value string) string

const (
	red   = "31"
	bold  = "1"
	plain = "\x1b[0m"
)

// colors shows in red what drops packets, and a default route in bold.
func colors(column, value string) string {
	switch column {
	case "type", "rule_type", "action":
		switch value {
		case "blackhole", "unreachable", "prohibit":
			return red
		}
	case "error":
		if value != "" {
			return red
		}
	case "dst":
		switch value {
		case "0.0.0.0/0", "::/0", "default":
			return bold
		}
	}
	return ""
}

// of returns how a value is shown.
func (s styler) of(column string, value []byte) string {
	if s == nil {
		return ""
	}
	return s(column, string(value))
}

// styled appends a value as it is to be shown.
func styled(b, value []byte, sgr string) []byte {
	if sgr == "" {
		return append(b, value...)
	}
	b = append(append(append(b, "\x1b["...), sgr...), 'm')
	return append(append(b, value...), plain...)
}
