package consistency

import "kernelroutes/rtnl/object"

// A place is what objects share that replace each other.
type place struct {
	table    object.Table
	position object.Position
}

func placeOf(m *object.Message) place { return place{m.Kind().Table(m), m.Kind().Position(m)} }

// Complete completes the objects that a dump saw while the kernel was adding to them, as
// they were neither before nor after (an IPv6 multipath route with some of its nexthops):
// in the place of each comes the newest message that was heard in which it is
// whole. heard are messages that tell of such objects, of those that match.
func Complete(list, heard []object.Run, match func(*object.Message) bool) []object.Run {
	whole, tables := map[place][]object.Run{}, map[object.Table]bool{}
	object.Each(heard, func(m *object.Message) bool {
		if match(m) {
			p := placeOf(m)
			whole[p] = append(whole[p], object.RunOf(m))
			tables[p.table] = true
		}
		return true
	})
	if len(whole) == 0 {
		return list
	}
	var out []object.Run
	var m object.Message
	for _, run := range list {
		from, off := 0, 0
		for left := run; left.Next(&m); {
			next := run.Len() - left.Len()
			if tables[m.Kind().Table(&m)] {
				if newest, found := completed(&m, whole[placeOf(&m)]); found {
					out = object.AppendRun(out, run.Cut(from, off))
					out = object.AppendRun(out, newest)
					from = next
				}
			}
			off = next
		}
		out = object.AppendRun(out, run.Cut(from, run.Len()))
	}
	return out
}

// completed returns the newest of the messages in which a part of an object is whole.
func completed(part *object.Message, messages []object.Run) (_ object.Run, found bool) {
	if len(messages) == 0 {
		return object.Run{}, false // of most objects, with no need for a Message, which is allocated
	}
	var m object.Message
	for i := len(messages) - 1; i >= 0; i-- {
		left := messages[i]
		if left.Next(&m) && m.Kind().Within(part, &m) {
			return messages[i], true
		}
	}
	return object.Run{}, false
}
