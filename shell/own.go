package shell

import (
	"context"
	"strings"

	"kernelroutes/tables"
)

// A Relation is what a statement can read from.
type Relation struct {
	Name    string
	Columns []string // none of a view that cannot be read
	SQL     string   // what has made it; "": it is one of the tables
}

// RelationOf returns a table as what a statement can read from.
func RelationOf(t *tables.Table) Relation {
	r := Relation{Name: t.Name}
	for _, c := range t.Columns {
		r.Columns = append(r.Columns, c.Name)
	}
	return r
}

// Own returns the views and the tables that statements of the session have made, in the order of their names.
// It is not to be called during a Run.
func (s *Session) Own() []Relation {
	if s.db == nil {
		return nil
	}
	return s.db.own
}

// findOwn has db.own be what there is, also if the context has ended: a statement may have had its effect before
// SQLite heard of that. If SQLite fails, it is less: names that are known are a help, no more.
func (db *database) findOwn() {
	const made = " WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*'"
	defer db.SetInterrupt(db.SetInterrupt(context.Background()))
	refused := db.refused
	defer func() { db.refused = refused }() // a view that cannot be read says why
	db.own = nil
	for _, row := range db.texts("SELECT name, sql FROM sqlite_temp_schema"+made+
		" UNION SELECT name, sql FROM sqlite_schema"+made+" ORDER BY name", 2) {
		r := Relation{Name: row[0], SQL: row[1]}
		name := strings.ReplaceAll(r.Name, "'", "''")
		for _, c := range db.texts("SELECT name FROM pragma_table_info('"+name+"')", 1) {
			r.Columns = append(r.Columns, c[0])
		}
		db.own = append(db.own, r)
	}
}

// relations are all that a statement can read from, the tables first.
func (db *database) relations() (all []Relation) {
	for _, t := range db.tables {
		all = append(all, RelationOf(t.Table))
	}
	return append(all, db.own...)
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
