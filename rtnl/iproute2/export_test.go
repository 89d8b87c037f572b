package iproute2

// Builtin returns the names compiled in.
var Builtin = builtin

// Equal reports whether two have the same names.
func (n *Names) Equal(o *Names) bool { return n.equal(o) }
