package shell

import "sync/atomic"

// Progress is how far a statement is, for others while it runs.
type Progress struct {
	Rows  atomic.Int64 // of tables that it has gone through, by the thousand or so
	Scans atomic.Int64 // of tables, by which it goes through them
	// Begin, if not nil, is called when a statement or a command begins, and nothing is being written of those
	// before.
	Begin func()
}

// begins notes that a statement or a command begins.
func (s *Session) begins() error {
	if s.Progress == nil {
		return nil
	}
	if err := s.out.wait(); err != nil {
		return err
	}
	s.db.passed = 0
	s.Progress.Rows.Store(0)
	s.Progress.Scans.Store(0)
	if s.Progress.Begin != nil {
		s.Progress.Begin()
	}
	return nil
}
