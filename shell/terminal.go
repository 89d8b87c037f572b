package shell

// A Terminal is where a statement's rows go, if that is one: somebody looks at them.
type Terminal struct {
	Width int               // in columns; 0: not known
	Color bool              // text may have colors
	Wide  bool              // all columns are shown, however wide they are
	Note  func(text string) // is told what is not shown, and how it can be
}
