package shell

import "strings"

// A Relation is a view or a table that statements of a session have made.
type Relation struct {
	Name    string
	Columns []string // none if a view cannot be read
	SQL     string   // what made it
}

// Own returns the views and the tables that statements of the session have made where somebody types, in the
// order of their names. It is not to be called during a Run.
func (s *Session) Own() []Relation {
	if s.db == nil {
		return nil
	}
	return s.db.own
}

// changesOwn reports whether a statement may make a view or a table, or have one vanish.
func changesOwn(sql string) bool {
	for _, word := range []string{"CREATE", "DROP"} {
		if len(sql) > len(word) && strings.EqualFold(sql[:len(word)], word) {
			return true
		}
	}
	return false
}

// findOwn has db.own be what there is. If SQLite fails, that is less: names that are known are a help, no more.
func (db *database) findOwn() {
	const made = " WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*'"
	var own []Relation
	for _, row := range db.texts("SELECT name, sql FROM sqlite_temp_schema"+made+
		" UNION SELECT name, sql FROM sqlite_schema"+made+" ORDER BY name", 2) {
		r := Relation{Name: row[0], SQL: row[1]}
		name := strings.ReplaceAll(r.Name, "'", "''")
		for _, c := range db.texts("SELECT name FROM pragma_table_info('"+name+"')", 1) {
			r.Columns = append(r.Columns, c[0])
		}
		own = append(own, r)
	}
	if db.ctx.Err() == nil { // else SQLite may have ended in the middle
		db.own = own
	}
}

// texts returns the columns of the rows of a statement, as far as there are some.
func (db *database) texts(sql string, columns int) (rows [][]string) {
	stmt, _, err := db.Prepare(sql)
	if err != nil {
		return nil
	}
	defer stmt.Close()
	for stmt.Step() {
		row := make([]string, columns)
		for i := range row {
			row[i] = stmt.ColumnText(i)
		}
		rows = append(rows, row)
	}
	return rows
}
