package shell

// A Terminal is where a statement's rows go, if that is one: somebody looks at them. There, Pretty
// leaves out the columns that SELECT * has and that are empty, cuts what is too wide, and prints a
// value a line where not even that makes it fit.
type Terminal struct {
	Width int               // in columns; 0: not known
	Color bool              // text may have colors
	Wide  bool              // all columns are shown, however wide they are
	Note  func(text string) // is told what is not shown, and how it can be
	Typed bool              // that is by a command, as somebody is at the prompt, and not by a flag
}

// remedy is how to have all columns shown.
func (t *Terminal) remedy() string {
	if t.Typed {
		return ".wide on"
	}
	return "--wide"
}

// fits reports whether what is printed is to fit.
func (t *Terminal) fits() bool { return t != nil && !t.Wide }

// style returns what a terminal shows of values that matter; nil: nothing.
func (t *Terminal) style() styler {
	if t == nil || !t.Color {
		return nil
	}
	return colors
}
