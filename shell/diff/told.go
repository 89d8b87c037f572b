package diff

import (
	"fmt"
	"slices"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// What a kernel does not tell, or a capture does not hold, has not changed. A column is not compared
// where one state tells it of no object of a class and the other one of all, if it is one that a
// kernel tells of all or none: a setting, or one that the kernel of the state is too old for.

// told says what cannot be compared.
type told struct {
	*thing
	skip    map[string][]bool // by class: places of columns
	unknown map[string]bool   // classes that one state tells nothing of
}

// class is what columns are told of: a family; and for settings an interface, all or default.
func (t *thing) class(r *reader) string {
	class := string(r.value(family))
	if t.Table == tables.InterfaceConfig && len(r.value(devIndex)) == 0 {
		class += " of " + string(r.value(dev)) // all, default
	}
	return class
}

// of returns the class of an object and which of its columns are not compared.
func (t *told) of(r *reader) (class string, skip []bool) {
	if t.skip == nil {
		return "", nil
	}
	class = t.class(r)
	return class, t.skip[class]
}

// isSetting reports whether a column is a setting, which the kernel tells of all interfaces or of none.
func isSetting(name string) bool {
	name = strings.TrimPrefix(name, "effective_")
	return slices.ContainsFunc(object.Settings[:], func(s object.Setting) bool { return s.Name == name })
}

// suspects returns the places of the columns that a state may not tell.
func (t *thing) suspects(s *state) (places []int) {
	for i, c := range t.columns {
		c := &t.Columns[c]
		old := s.Kernel != "" && c.Since != "" && older(s.Kernel, c.Since)
		if old || t.Table == tables.InterfaceConfig && isSetting(c.Name) {
			places = append(places, i)
		}
	}
	return places
}

func older(kernel, since string) bool {
	r := object.ParseRelease(since)
	return object.ParseRelease(kernel).Before(r.Major, r.Minor, r.Patch)
}

// leaveOutDevices has routes compared without interfaces if a state, as some recording, has none: there
// are always some.
func (d *differ) leaveOutDevices(t *thing, l *layout, s *state, snap *rtnl.Snapshot) {
	place := t.place(dev)
	if t.Table == tables.InterfaceConfig || place < 0 || snap.Count(object.Links.Kind) > 0 {
		return
	}
	d.warn(fmt.Sprintf("%s: %s has no interfaces: dev cannot be compared", t.Name, s.Name))
	l.compared[place] = false
	l.alike = slices.DeleteFunc(l.alike, func(i int) bool { return i == place })
	for i, c := range t.partColumns {
		if t.ofParts().Columns[c].Name == dev {
			l.partsCompared[i] = false
		}
	}
}

// A tally is of how many objects of a class there are and how many tell each column.
type tally struct {
	objects int
	tell    []int
}

// told finds out what cannot be compared, and warns of it.
func (d *differ) told(t *thing, states [2]*state, snaps [2]*rtnl.Snapshot) (*told, error) {
	out := &told{thing: t}
	suspects := [2][]int{t.suspects(states[0]), t.suspects(states[1])}
	if len(suspects[0])+len(suspects[1]) == 0 {
		return out, nil
	}
	out.skip, out.unknown = map[string][]bool{}, map[string]bool{}
	var tallies [2]map[string]*tally
	for i, s := range states {
		var err error
		if tallies[i], err = d.tallies(t, s, snaps[i]); err != nil {
			return nil, err
		}
	}
	for i, s := range states {
		lacking := map[string][]string{} // names of columns, by class
		for class, theirs := range tallies[1-i] {
			mine := tallies[i][class]
			if mine == nil {
				if strings.Contains(class, " ") { // there are always all and default
					out.unknown[class] = true
					lacking[class] = []string{"the settings"}
				}
				continue
			}
			for _, c := range suspects[i] {
				if mine.tell[c] == 0 && theirs.tell[c] == theirs.objects {
					out.leaveOut(class, c)
					lacking[class] = append(lacking[class], t.Columns[t.columns[c]].Name)
				}
			}
		}
		d.warnLacking(t, s, lacking)
	}
	if t.Table == tables.InterfaceConfig && states[0].Kernel != states[1].Kernel {
		// Settings by their numbers, of which a newer kernel has more.
		for class := range tallies[0] {
			out.leaveOut(class, t.place("unknown_attrs"))
		}
	}
	return out, nil
}

func (t *told) leaveOut(class string, column int) {
	if t.skip[class] == nil {
		t.skip[class] = make([]bool, len(t.columns))
	}
	t.skip[class][column] = true
}

func (d *differ) tallies(t *thing, s *state, snap *rtnl.Snapshot) (map[string]*tally, error) {
	r, err := d.open(t, "looking through", s, snap, d.names)
	if err != nil {
		return nil, err
	}
	all := map[string]*tally{}
	for i := 0; r.next(true); i++ {
		if i%1024 == 0 && d.ctx.Err() != nil {
			return nil, d.ctx.Err()
		}
		class := t.class(r)
		one := all[class]
		if one == nil {
			one = &tally{tell: make([]int, len(r.columns))}
			all[class] = one
		}
		one.objects++
		for c := range one.tell {
			if len(r.cell(c)) > 0 {
				one.tell[c]++
			}
		}
	}
	return all, nil
}

// warnLacking says which columns a state does not tell.
func (d *differ) warnLacking(t *thing, s *state, lacking map[string][]string) {
	const most = 5
	byNames := map[string][]string{}
	for class, names := range lacking {
		if d.opts.Family != 0 && class != "" && !strings.HasPrefix(class, d.opts.Family.String()) {
			continue
		}
		if more := len(names) - most; more > 1 {
			names = append(names[:most:most], fmt.Sprintf("%d more columns", more))
		}
		list := tables.Listed(names)
		byNames[list] = append(byNames[list], class)
	}
	var lines []string
	for list, classes := range byNames {
		slices.Sort(classes)
		line := fmt.Sprintf("%s: %s does not tell %s", t.Name, s.Name, list)
		if named := slices.DeleteFunc(classes, func(c string) bool { return c == "" }); len(named) > 0 {
			line += " for " + tables.Listed(named)
		}
		lines = append(lines, line+", which cannot be compared")
	}
	slices.Sort(lines)
	for _, line := range lines {
		d.warn(line)
	}
}
