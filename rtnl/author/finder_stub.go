package author

import "kernelroutes/rtnl/conn"

type Finder struct{}

func Open(ns conn.Namespace) (*Finder, error) { return &Finder{}, nil }
func (f *Finder) Find(port uint32) (*Author, Certainty) {
	if port == 0 {
		return nil, Kernel
	}
	return nil, Unknown
}
func (f *Finder) Close() {}
