package diff

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kernelroutes/shell/iptext"
)

// What has happened to an object, as the text and the JSON have it.
const (
	appeared = "appeared"
	vanished = "vanished"
	changed  = "changed"
)

// none stands for a value that is absent.
const none = "none"

// printText prints a line for each difference, and how many there are.
func (d *differ) printText(w *bufio.Writer, all []*difference) error {
	count := map[string]int{}
	for _, x := range all {
		count[x.change]++
		w.Write(append(x.line, '\n'))
	}
	last := "no differences"
	if len(all) > 0 {
		last = fmt.Sprintf("%d appeared, %d vanished, %d changed", count[appeared], count[vanished], count[changed])
	}
	_, err := fmt.Fprintln(w, last)
	return err
}

// appendText appends the difference as text.
func (x *difference) appendText(b []byte) []byte {
	b = append(append(b, x.change...), ' ')
	switch x.change {
	case appeared:
		b = append(b, strings.Join(x.now.words, " ")...)
	case vanished:
		b = append(b, strings.Join(x.own.words, " ")...)
	default:
		b = x.appendChanged(b)
	}
	return iptext.Visible(b, 0)
}

// tells are the columns that a word of what describes an object tells, beside one of its name.
var tells = map[string][]string{
	"via":    {"gateway", "gateway_family"},
	"encap":  {"encap_type"},
	"as":     {"newdst"},
	"nhid":   {nexthopID},
	"proto":  {"protocol"},
	"src":    {"prefsrc"},
	"lookup": {"action", tableID, "table_name", "l3mdev"},
	"goto":   {"action", "goto_priority"},
	"group":  {"members"},
	"nexthop": {"nexthops", hopCount, "gateway", "gateway_family", dev, "weight", "ttl_threshold", "encap",
		"encap_type", "newdst", nexthopID},
}

// appendChanged appends what is there now, what of it was otherwise, and the columns that this does
// not tell.
func (x *difference) appendChanged(b []byte) []byte {
	b = append(b, strings.Join(x.now.words, " ")...)
	others := iptext.Others(x.was.words, x.now.words)
	if len(others) > 0 {
		b = append(append(b, ", was "...), strings.Join(others, " ")...)
	}
	shown := map[string]bool{}
	for _, part := range others {
		word, value, _ := strings.Cut(part, " ")
		shown[word] = true
		for _, column := range tells[word] {
			shown[column] = true
		}
		if value == "" { // a type or an action
			shown["type"], shown["action"] = true, true
		}
	}
	change := func(name, was, now string) {
		b = append(b, ", "+name+" "+cmp.Or(was, none)+" -> "+cmp.Or(now, none)...)
	}
	names := x.changed()
	shown["flags"] = slices.Contains(names, "flag_names") // which tell all of them
	for _, name := range names {
		if i := x.place(name); !shown[name] && i >= 0 {
			change(name, x.was.cells[i], x.now.cells[i])
		}
		shown[name] = shown[name] || name != x.called
	}
	if x.moved != [2]int{} {
		was, now := x.places()
		change(placed, was, now)
	}
	was, now := x.sortedParts(x.was), x.sortedParts(x.now)
	if !slices.Contains(names, x.called) || shown[x.called] || len(was) != len(now) && len(others) > 0 {
		return b
	}
	for i, name := range x.partNames() {
		old, current := values(was, i), values(now, i)
		differ := !slices.Equal(old, current)
		if len(old) != len(current) { // more of the same is no more than how many there are
			differ = !slices.Equal(distinct(old), distinct(current))
		}
		if differ && !shown[name] {
			change("nexthop "+name, strings.Join(old, ","), strings.Join(current, ","))
		}
	}
	return b
}

// A jsonDifference is a difference as an object.
type jsonDifference struct {
	Change  string         `json:"change"`
	Table   string         `json:"table"`
	Columns []string       `json:"columns,omitempty"`
	Was     map[string]any `json:"was,omitempty"`
	Now     map[string]any `json:"now,omitempty"`
}

// printJSON prints an array with an object a line.
func (d *differ) printJSON(w *bufio.Writer, all []*difference) error {
	separator, end := "[\n", "[]\n"
	for _, x := range all {
		w.WriteString(separator)
		w.Write(x.line)
		separator, end = ",\n", "\n]\n"
	}
	_, err := w.WriteString(end)
	return err
}

// appendJSON appends the difference as an object.
func (x *difference) appendJSON(b []byte) []byte {
	one := jsonDifference{Change: x.change, Table: x.Name, Was: x.object(x.own), Now: x.object(x.now)}
	if x.change == changed {
		one.Columns = x.changed()
	}
	if x.moved != [2]int{} {
		one.Was[placed], one.Now[placed] = x.places()
	}
	b, err := iptext.AppendJSON(b, one)
	if err != nil {
		panic(err) // texts and maps of them can be encoded
	}
	return b
}

// object returns the columns that are not empty, as text, and the parts of an object that has several:
// of each those columns that it does not have in common with the object.
func (x *difference) object(r *record) map[string]any {
	if r == nil {
		return nil
	}
	values := map[string]any{}
	for i, c := range x.columns {
		if r.cells[i] != "" {
			values[x.Columns[c].Name] = r.cells[i]
		}
	}
	if len(r.parts) < 2 && x.parts != nil {
		return values
	}
	from := x.ofParts()
	var parts []map[string]any
	for _, p := range r.parts {
		part := map[string]any{}
		for i, c := range x.partColumns {
			if name := from.Columns[c].Name; p[i] != "" && values[name] != p[i] {
				part[name] = p[i]
			}
		}
		if len(part) > 0 {
			parts = append(parts, part)
		}
	}
	if parts != nil {
		values[x.called] = parts
	}
	return values
}
