//go:build !linux

package author

import "kernelroutes/rtnl/conn"

// A Finder finds nobody: only Linux has RTNetlink.
type Finder struct{}

// Open fails if the namespace is not "".
func Open(ns conn.Namespace) (*Finder, error) {
	if err := ns.Do(func() error { return nil }); err != nil {
		return nil, err
	}
	return &Finder{}, nil
}

// Find returns nil, and Unknown.
func (f *Finder) Find(uint32) (*Author, Certainty) { return nil, Unknown }

// Direct returns the same.
func (f *Finder) Direct(uint32) (a *Author, c Certainty, known bool) { return nil, Unknown, true }

// Close has nothing to do.
func (f *Finder) Close() {}
