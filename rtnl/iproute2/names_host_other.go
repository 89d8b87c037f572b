//go:build !linux

package iproute2

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

const openFile, openFolder = 0, 0

// A fileStamp tells one state of a path from another: that it changed shows in its size or
// its time.
type fileStamp struct {
	gone  bool
	mode  fs.FileMode // fs.ModeIrregular: it cannot be looked at
	size  int64
	mtime int64 // in nanoseconds
}

func stampFile(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{gone: errors.Is(err, fs.ErrNotExist), mode: fs.ModeIrregular}
	}
	return fileStamp{mode: info.Mode(), size: info.Size(), mtime: info.ModTime().UnixNano()}
}

func (s fileStamp) missing() bool      { return s.gone }
func (s fileStamp) regular() bool      { return s.mode.IsRegular() }
func (s fileStamp) folder() bool       { return s.mode.IsDir() }
func (s fileStamp) changed() time.Time { return time.Unix(0, s.mtime) }
