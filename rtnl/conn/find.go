package conn

// A Found is a network namespace that there is.
type Found struct {
	Namespace Namespace // the path of a file that stands for it; "" for that of the calling thread
	ID        uint64    // its inode
}
