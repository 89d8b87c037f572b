package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// writeTo lets write fill the file with a name. A regular file, or one that does
// not exist, is written beside its place and takes it when it is whole: on any
// failure what was there stays. Everything else (a FIFO, a device) is written as it
// is, once it can be opened: a FIFO waits for a reader.
func writeTo(ctx context.Context, name string, write func(io.Writer) error) error {
	if name == standard || name == "/dev/stdout" {
		return write(stdout{ctx})
	}
	place, direct, err := follow(name)
	if err != nil {
		return err
	}
	old, err := os.Stat(place)
	if direct || err == nil && !old.Mode().IsRegular() {
		f, err := interruptible(ctx, func() (*os.File, error) { return os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0) })
		if err != nil {
			return err
		}
		return errors.Join(write(writer{ctx, f}), f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replace(ctx, place, old, write)
}

// replace writes a file beside its place and moves it there. old is what is there,
// nil for nothing.
func replace(ctx context.Context, place string, old fs.FileInfo, write func(io.Writer) error) (err error) {
	if old != nil {
		// A file that may not be written must not be replaced either.
		if err := unix.Faccessat(unix.AT_FDCWD, place, unix.W_OK, unix.AT_EACCESS); err != nil {
			return err
		}
	}
	folder, _ := filepath.Split(place)
	temp := folder + ".kernel_routes-" + strconv.FormatUint(rand.Uint64(), 36)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if path := (*fs.PathError)(nil); old != nil && errors.As(err, &path) {
		return notReplaced("which cannot be made in its folder", path.Err)
	}
	if err != nil {
		return err
	}
	defer func() {
		f.Close() // a second time, if all went well
		if temp != "" {
			os.Remove(temp)
		}
	}()
	if old != nil {
		st := old.Sys().(*syscall.Stat_t)
		_ = f.Chown(int(st.Uid), int(st.Gid)) // who may not keeps the file for himself
		if err := f.Chmod(old.Mode()); err != nil {
			return err
		}
	}
	if err := write(writer{ctx, f}); err != nil {
		return err
	}
	if _, err := interruptible(ctx, func() (any, error) { return nil, f.Sync() }); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp, place); err != nil {
		if link := (*os.LinkError)(nil); old != nil && errors.As(err, &link) { // a mount point, another's file in /tmp
			return notReplaced("which cannot take its place", link.Err)
		}
		return err
	}
	temp = ""
	return nil
}

// notReplaced is the error that a file is left as it was.
func notReplaced(why string, err error) error {
	return fmt.Errorf("it is replaced by a new file when that is whole, %s: %w; "+
		"give another name, or - and redirect standard output to it", why, err)
}

// follow follows symbolic links to the file that they stand for, which need not
// exist. direct: it is an open file of a process (/dev/fd/3), which has no place.
func follow(name string) (place string, direct bool, err error) {
	const maxLinks = 40 // the kernel's
	for range maxLinks {
		to, err := os.Readlink(name)
		if err != nil {
			return name, false, nil
		}
		folder, _ := filepath.Split(name)
		var st unix.Statfs_t
		if unix.Statfs(folder+".", &st) == nil && st.Type == unix.PROC_SUPER_MAGIC {
			return name, true, nil
		}
		if !filepath.IsAbs(to) {
			to = folder + to
		}
		name = to
	}
	return "", false, unix.ELOOP
}
