package iproute2

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// A NameFile is one kind of names under the name of its file in /etc/iproute2.
type NameFile struct {
	File string
	*NameSet
}

// Files returns the four kinds of names.
func (n *Names) Files() []NameFile {
	return []NameFile{
		{"rt_tables", &n.tables}, {"rt_protos", &n.protocols}, {"rt_scopes", &n.scopes}, {"rt_realms", &n.realms},
	}
}

// AppendLines appends a line "NUMBER NAME" for each name, in such an order that the
// last one of a number is the one that is shown.
func (s *NameSet) AppendLines(b []byte) []byte {
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

// ReadLines reads what AppendLines wrote.
func (s *NameSet) ReadLines(text []byte) error {
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

func (s *NameSet) equal(o *NameSet) bool {
	return s.low == o.low && maps.Equal(s.high, o.high) && bytes.Equal(s.AppendLines(nil), o.AppendLines(nil))
}

func (n *Names) equal(o *Names) bool {
	return n.tables.equal(&o.tables) && n.protocols.equal(&o.protocols) && n.scopes.equal(&o.scopes) &&
		n.realms.equal(&o.realms)
}
