package shell

import (
	"fmt"
	"strings"
)

// command answers a dot command. As in osqueryi, its argument is the beginning
// of a table's name.
func (s *Session) command(line string) error {
	args := strings.Fields(line)
	if len(args) > 2 || args[0] != ".tables" && args[0] != ".schema" {
		return fmt.Errorf("unknown command %q: there are .tables [TABLE] and .schema [TABLE]", shorten(line))
	}
	prefix, found := strings.Join(args[1:], ""), false
	for _, t := range s.db.tables {
		if !strings.HasPrefix(t.Name, prefix) {
			continue
		}
		found = true
		if args[0] == ".tables" {
			s.out.buf = append(s.out.buf, "  => "+t.Name+"\n"...)
		} else {
			s.out.buf = append(s.out.buf, schema(t.Table)+";\n"...)
		}
	}
	if !found {
		return s.db.noSuchTable(prefix)
	}
	return nil
}
