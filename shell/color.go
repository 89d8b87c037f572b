package shell

import "kernelroutes/shell/iptext"

// A styler returns how the value of a column is shown, "" if as all others; nil: all are.
type styler func(column, value string) iptext.Style

// colors shows in red what drops packets, and a default route in bold.
func colors(column, value string) iptext.Style {
	switch column {
	case "type", "rule_type", "action":
		switch value {
		case "blackhole", "unreachable", "prohibit":
			return iptext.Red
		}
	case "error":
		if value != "" {
			return iptext.Red
		}
	case "dst":
		switch value {
		case "0.0.0.0/0", "::/0", "default":
			return iptext.Bold
		}
	}
	return ""
}

// of returns how a value is shown.
func (s styler) of(column string, value []byte) iptext.Style {
	if s == nil {
		return ""
	}
	return s(column, string(value))
}
