package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// standard is the name that stands for standard output and standard input.
const standard = "-"

func captureCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "capture FILE",
		Short: "Write what the kernel says of its routes to a file",
		Long: `Writes all routes, interfaces and nexthop objects to a file, as the kernel sends
them, with the host's name, kernel release and network namespace, and its names
of tables, protocols, scopes and realms. With --from FILE, query and routes
answer from it on any host with the same byte order. The file is a pcap file
(LINKTYPE_NETLINK): Wireshark opens it, and what Wireshark saves can be read too,
as can a recording of an nlmon interface that holds a whole dump of routes.

FILE - is standard output. An existing file is replaced when the capture is
whole, and stays as it is if something fails; a FIFO waits for its reader.`,
		Example: `  kernel_routes.ext capture routes.pcap
  kernel_routes.ext query --from routes.pcap "SELECT dst, gateway, dev FROM kernel_routes"
  ssh router kernel_routes.ext capture - | kernel_routes.ext routes --from - --summary
  kernel_routes.ext capture - | tshark -r - -V`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usage(cmd, "give the name of one file to write")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, name := cmd.Context(), args[0]
			k := rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}
			err := writeTo(ctx, name, func(w io.Writer) error { return k.Capture(ctx, w) })
			if name == standard {
				name = "to standard output"
			}
			return captureError(name, err)
		},
	}
}

// captureError makes an error with a capture file one that names it once.
func captureError(name string, err error) error {
	if err == nil {
		return nil
	}
	path, link := (*fs.PathError)(nil), (*os.LinkError)(nil)
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return failed(fmt.Errorf("capture %s: %w", name, err))
}

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

// defineFrom gives a command the flag that withSource reads.
func defineFrom(cmd *cobra.Command) {
	cmd.Flags().String("from", "", "read a capture or recording, not the kernel: a `file`, or - for standard input")
}

// withSource calls f with what routes are read from.
func withSource(cmd *cobra.Command, f func(context.Context, tables.Source) error) error {
	ctx := cmd.Context()
	if !cmd.Flags().Changed("from") {
		return f(ctx, &rtnl.Cache{Kernel: rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}})
	}
	name, err := cmd.Flags().GetString("from")
	if err != nil || name == "" {
		return usage(cmd, "--from is empty: give the name of a capture file")
	}
	in, said := os.Stdin, "from standard input"
	if name != standard {
		said = name
		in, err = interruptible(ctx, func() (*os.File, error) { return os.Open(name) })
		if err != nil {
			return captureError(said, err)
		}
		defer in.Close()
	}
	c, err := rtnl.ReadCapture(reader{ctx, in})
	if err != nil {
		return captureError(said, err)
	}
	for _, note := range c.Notes() {
		fmt.Fprintf(os.Stderr, "%s: warning: capture %s: %s\n", program, said, note)
	}
	return f(ctx, c)
}
