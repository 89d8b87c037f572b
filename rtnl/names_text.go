package rtnl

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
)

// A nameFile is one kind of names in the form of its file in /etc/iproute2.
type nameFile struct {
	file string                    // "rt_tables", ...
	all  iter.Seq2[uint32, string] // every name, shown or not, in any order
	show func(uint32) string       // the name that is shown
	set  func(uint32, string)      // gives a number a name, which is shown from then on
}

// noNames returns a Names in which no number has a name yet.
func noNames() *Names { return &Names{highTables: map[uint32]string{}} }

// files returns the four kinds of names.
func (n *Names) files() []nameFile {
	kind := func(file string, names *[256]string) nameFile {
		all := func(yield func(uint32, string) bool) {
			for id, name := range names {
				if name != "" && !yield(uint32(id), name) {
					return
				}
			}
		}
		return nameFile{file, all, func(id uint32) string { return names[id] }, setName(names)}
	}
	tables := kind("rt_tables", &n.tables)
	low := tables.all
	tables.all = func(yield func(uint32, string) bool) {
		for id, name := range low {
			if !yield(id, name) {
				return
			}
		}
		for id, name := range n.highTables {
			if !yield(id, name) {
				return
			}
		}
	}
	tables.show = n.table
	tables.set = func(id uint32, name string) {
		if id < 256 {
			n.tables[id] = name
		} else {
			n.highTables[id] = name
		}
	}
	return []nameFile{tables,
		kind("rt_protos", &n.protocols), kind("rt_scopes", &n.scopes), kind("rt_realms", &n.realms)}
}

// appendTo appends a line "NUMBER NAME" for each name, in such an order that the
// last one of a number is the one that is shown.
func (f *nameFile) appendTo(b []byte) []byte {
	type entry struct {
		id   uint32
		last int // 1: the name that is shown
		name string
	}
	var list []entry
	for id, name := range f.all {
		e := entry{id: id, name: name}
		if name == f.show(id) {
			e.last = 1
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.last, b.last), cmp.Compare(a.name, b.name))
	})
	for _, e := range slices.Compact(list) {
		b = strconv.AppendUint(b, uint64(e.id), 10)
		b = append(append(append(b, ' '), e.name...), '\n')
	}
	return b
}

// read reads what appendTo wrote.
func (f *nameFile) read(text []byte) error {
	for line := range bytes.Lines(text) {
		number, name, _ := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
		id, err := strconv.ParseUint(string(number), 10, 32)
		if err != nil || len(name) == 0 {
			return fmt.Errorf("%q is no line of %s", line, f.file)
		}
		f.set(uint32(id), string(name))
	}
	return nil
}
