package shell

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kernelroutes/internal/nearest"
)

// otherNames are what columns are called elsewhere: in ip, in osquery's tables, by people.
var otherNames = map[string][]string{
	"gw":             {"gateway"},
	"nexthop":        {"gateway"},
	"next_hop":       {"gateway"},
	"nh":             {"gateway"},
	"via":            {"gateway"},
	"nhid":           {"nexthop_id"},
	"nh_id":          {"nexthop_id"},
	"interface":      {"dev"},
	"interface_name": {"dev"},
	"iface":          {"dev"},
	"ifname":         {"dev"},
	"intf":           {"dev"},
	"nic":            {"dev"},
	"device":         {"dev"},
	"link":           {"dev"},
	"out_if":         {"dev"},
	"oif":            {"dev"},
	"index":          {"dev_index"},
	"ifindex":        {"dev_index"},
	"if_index":       {"dev_index"},
	"table":          {"table_name", "table_id"},
	"rtable":         {"table_name", "table_id"},
	"tableid":        {"table_id"},
	"to":             {"dst", "destination"},
	"dest":           {"dst", "destination"},
	"destination":    {"dst"},
	"dst":            {"destination"},
	"prefix":         {"dst"},
	"network":        {"dst"},
	"cidr":           {"dst"},
	"netmask":        {"dst_len"},
	"mask":           {"dst_len", "fwmask"},
	"prefixlen":      {"dst_len"},
	"prefix_len":     {"dst_len"},
	"from":           {"src"},
	"source":         {"src", "prefsrc"},
	"src_ip":         {"prefsrc", "src"},
	"proto":          {"protocol"},
	"priority":       {"metric"},
	"prio":           {"priority", "metric"},
	"preference":     {"priority", "pref", "metric"},
	"pref":           {"priority"},
	"metric":         {"priority"},
	"cost":           {"metric"},
	"mark":           {"fwmark"},
	"lookup":         {"table_name"},
	"goto":           {"goto_priority"},
	"not":            {"inverted"},
	"multipath":      {"nexthop_count"},
	"nexthops":       {"nexthop_count"},
	"id":             {"route_id", "rule_id", "nexthop_id"},
	"state":          {"dev_operstate"},
	"operstate":      {"dev_operstate"},
	"namespace":      {"netns"},
}

// columnsMeant returns the columns of tables that may have been meant by a name, and the first of the
// tables that has them; or else the first one, "" if there is none.
func columnsMeant(reads []tableRead, name string) (meant []string, table string) {
	var all []string
	for _, t := range reads {
		all = append(all, t.Columns...)
	}
	for _, other := range otherNames[strings.ToLower(name)] {
		if slices.Contains(all, other) {
			meant = append(meant, other)
		}
	}
	if meant == nil {
		meant = nearest.Of(name, all)
	}
	for _, t := range reads {
		if t.Name != "" && (len(meant) == 0 || slices.Contains(t.Columns, meant[0])) {
			return meant, t.Name
		}
	}
	return meant, ""
}

// noSuchColumn names the columns that may have been meant, or says what else is wrong.
func (f *fault) noSuchColumn(name string) error {
	f.locate(name)
	reads, column := f.reads(), name
	var qualifier string
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		qualifier, column = name[:i], name[i+1:]
		qualifier = qualifier[strings.LastIndexByte(qualifier, '.')+1:] // without the schema
		reads = f.qualified(reads, qualifier)
	}
	hint := f.insteadOfColumn(reads, qualifier, column)
	if hint == "" {
		meant, table := columnsMeant(reads, column)
		for i := range meant {
			if qualifier != "" {
				meant[i] = reads[0].as + "." + meant[i]
			}
		}
		meant = slices.DeleteFunc(meant, func(m string) bool { return strings.EqualFold(m, name) })
		schema := ".schema"
		if table != "" {
			schema += " " + table
		}
		hint = question(meant) + schema + " lists the columns"
	}
	return fmt.Errorf("no such column: %s; %s", shorten(name), hint)
}

// insteadOfColumn says what is wrong if it is not the column's name; "" if it is.
func (f *fault) insteadOfColumn(reads []tableRead, qualifier, column string) string {
	isColumn := reads != nil // the table is there
	if qualifier == "" {
		isColumn = isNearly(reads, column, 1)
		if f.clauseOf(f.word) == "ON" { // columns are compared there, rather than texts
			isColumn = isNearly(reads, column, (len(column)+1)/3) || otherNames[strings.ToLower(column)] != nil
		}
	}
	if text := f.text(); text != "" && !isColumn {
		return text
	}
	if table := f.withoutFrom(); table != "" {
		return "FROM is missing before " + table
	}
	if t := f.named(qualifier, nil); reads == nil && t.Name != "" && f.here() != nil {
		return t.Name + " is not in FROM"
	}
	if len(reads) > 0 && !slices.ContainsFunc(reads, func(t tableRead) bool { return !t.derived }) {
		what := "a subquery"
		if len(reads) == 1 && reads[0].as != "" {
			what = reads[0].as
		}
		return shorten(what) + " has only the columns that it selects"
	}
	return ""
}

// isNearly reports whether a name differs from a column's in a few characters.
func isNearly(reads []tableRead, name string, few int) bool {
	const least, most = 4, 64 // characters of the name
	return len(name) >= least && len(name) <= most && slices.ContainsFunc(reads, func(t tableRead) bool {
		return slices.ContainsFunc(t.Columns, func(c string) bool {
			return nearest.Distance(strings.ToLower(name), strings.ToLower(c)) <= few
		})
	})
}

// qualified returns the table that is meant by what stands before a column's dot, nil if there is none.
func (f *fault) qualified(reads []tableRead, qualifier string) []tableRead {
	var names []string
	for _, t := range reads {
		names = append(names, t.as)
	}
	i := slices.IndexFunc(reads, func(t tableRead) bool { return strings.EqualFold(t.as, qualifier) })
	if i < 0 {
		i = slices.IndexFunc(reads, func(t tableRead) bool { return strings.EqualFold(t.Name, qualifier) })
	}
	if i < 0 && f.named(qualifier, nil).Name == "" { // else it is not misspelt, but not read
		if near := nearest.Of(qualifier, names); near != nil {
			i = slices.Index(names, near[0])
		}
	}
	if i < 0 {
		return nil
	}
	return reads[i : i+1]
}

// ambiguous says how a column is named that several tables have.
func (f *fault) ambiguous(name string) error {
	name = strings.TrimSpace(name)
	var named []string
	for _, t := range f.reads() {
		if slices.ContainsFunc(t.Columns, func(c string) bool { return strings.EqualFold(c, name) }) {
			named = append(named, t.as+"."+name)
		}
	}
	if len(named) < 2 || named[0] == named[1] {
		return fmt.Errorf("ambiguous column name: %s; write TABLE.COLUMN", shorten(name))
	}
	return fmt.Errorf("ambiguous column name: %s; write %s", shorten(name), strings.Join(named[:2], " or "))
}

// notInBoth names the columns that may have been meant by one of USING, which are in two tables.
func (f *fault) notInBoth(msg, said string) error {
	name, _, _ := strings.Cut(said, " ")
	var seen, both []string
	for _, t := range f.reads() {
		for _, c := range t.Columns {
			if slices.Contains(seen, c) {
				both = append(both, c)
			}
		}
		seen = append(seen, t.Columns...)
	}
	meant, _ := columnsMeant([]tableRead{{Relation: Relation{Columns: both}}}, name)
	meant = slices.DeleteFunc(meant, func(m string) bool { return strings.EqualFold(m, name) })
	if q := nearest.Question(meant); q != "" {
		return errors.New(shorten(msg) + "; " + q)
	}
	return errors.New(shorten(msg))
}
