package rtnl

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// A nameFile is one kind of names under the name of its file in /etc/iproute2.
type nameFile struct {
	file string
	*NameSet
}

// files returns the four kinds of names.
func (n *Names) files() []nameFile {
	return []nameFile{
		{"rt_tables", &n.tables}, {"rt_protos", &n.protocols}, {"rt_scopes", &n.scopes}, {"rt_realms", &n.realms},
	}
}

// appendText appends a line "NUMBER NAME" for each name, in such an order that the
// last one of a number is the one that is shown.
func (s *NameSet) appendText(b []byte) []byte {
	var list []nameGiven
	for id, name := range s.All() {
		list = append(list, nameGiven{id, name})
	}
	shown := func(g nameGiven) int {
		if g.name == s.Name(g.id) {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b nameGiven) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(shown(a), shown(b)), cmp.Compare(a.name, b.name))
	})
	for _, g := range slices.Compact(list) {
		b = strconv.AppendUint(b, uint64(g.id), 10)
		b = append(append(append(b, ' '), g.name...), '\n')
	}
	return b
}

// readText reads what appendText wrote.
func (s *NameSet) readText(text []byte) error {
	for line := range bytes.Lines(text) {
		number, name, _ := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
		id, err := strconv.ParseUint(string(number), 10, 32)
		if err != nil || len(name) == 0 {
			return fmt.Errorf("%q is no line", line)
		}
		s.give(uint32(id), string(name))
	}
	return nil
}
