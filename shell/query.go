package shell

import (
	"context"
	"io"

	"kernelroutes/tables"
)

func query(ctx context.Context, out io.Writer, src tables.Source, all []relation, sql string, f Format) error {
	db, err := openDatabase(ctx, src, all)
	if err != nil {
		return err
	}
	defer db.Close()
	o, p := newOutput(out), f.printer()
	for sql != "" {
		s, tail, err := db.Prepare(sql)
		if err != nil {
			return err
		}
		sql = tail
		if s == nil {
			break
		}
		names := make([]string, s.ColumnCount())
		for i := range names {
			names[i] = s.ColumnName(i)
		}
		p.begin(o, names)
		for s.Step() {
			p.row(o, s)
			if err := o.rowDone(); err != nil {
				return err
			}
		}
		if err := s.Err(); err != nil {
			return err
		}
		p.end(o)
		s.Close()
	}
	p.finish(o)
	return o.flush()
}
