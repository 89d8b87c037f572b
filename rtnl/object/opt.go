package object

// An Opt is a value that a message may carry or not. The kernel tells absent
// and zero apart, and so does this package.
type Opt[T any] struct {
	V  T    // the zero value where OK is false
	OK bool // whether the message carried it
}

// Get returns the value and whether it is there.
func (o Opt[T]) Get() (T, bool) { return o.V, o.OK }

// Some returns a value that is there.
func Some[T any](v T) Opt[T] { return Opt[T]{v, true} }
