// Package option reads what several commands are told in the same way.
package option

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kernelroutes/internal/nearest"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/wire"
)

// An Error is an option whose value means nothing.
type Error struct{ msg string }

func (e *Error) Error() string { return e.msg }

// Errorf makes such an error.
func Errorf(format string, args ...any) *Error { return &Error{fmt.Sprintf(format, args...)} }

// Tables returns the tables that have a name, or the one with a number. A name may
// be written in capitals, as the output has it, if no table has that very name.
func Tables(names *iproute2.Names, s string) ([]uint32, error) {
	set := names.Tables()
	if !utf8.ValidString(s) {
		s = string(wire.AppendName(nil, s)) // the bytes as they are in the file
	}
	ids := set.IDs(s)
	exact := slices.DeleteFunc(slices.Clone(ids), func(id uint32) bool { return !set.Has(id, s) })
	switch id, ok := parseTable(s); {
	case len(exact) > 0:
		return exact, nil
	case len(ids) > 0:
		return ids, nil
	case ok:
		return []uint32{id}, nil
	}
	var known []string
	for _, name := range set.All() {
		known = append(known, name)
	}
	slices.Sort(known)
	hint := nearest.Question(nearest.Of(s, known))
	if hint != "" {
		hint += " It is "
	}
	return nil, &Error{fmt.Sprintf(
		"unknown table %q: %sneither a number up to 4294967295 nor a name in rt_tables, such as main or local",
		s, hint)}
}

// parseTable reads a number as ip does (rtnl_rttable_a2n): in decimal, in
// hexadecimal after 0x, in octal after 0.
func parseTable(s string) (id uint32, ok bool) {
	s = strings.TrimPrefix(strings.TrimLeft(s, " \t\n\v\f\r"), "+")
	base := 10
	if hex, found := strings.CutPrefix(strings.ToLower(s), "0x"); found {
		s, base = hex, 16
	} else if strings.HasPrefix(s, "0") {
		base = 8
	}
	n, err := strconv.ParseUint(s, base, 32)
	return uint32(n), err == nil
}
