package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/tables"
)

// standard is the name that stands for standard output and standard input.
const standard = "-"

func captureCommand() *cobra.Command {
	var follow string
	cmd := &cobra.Command{
		Use:   "capture FILE",
		Short: "Write the kernel's routing state to a file",
		Long: `Writes all routes, policy rules, interfaces with their settings and nexthop
objects to a file, as the kernel sends them, with the host's name, kernel release
and network namespace, and its names of tables, protocols, scopes and realms.
With --from FILE, query, show and routes answer from it, and diff compares it with
another or with now, on any host with the same byte order, but for look-ups, which
take the kernel itself. The file is a pcap file (LINKTYPE_NETLINK): Wireshark opens it, and
what Wireshark saves can be read too, as can a recording of an nlmon interface that
holds a whole dump of routes.

With --follow it has the changes of some time as well, with who made them, which
--from FILE shows as rows of kernel_route_events. A signal (Ctrl-C) ends that
early: the file is whole, and has what changed until then.

FILE - is standard output. An existing file is replaced when the capture is
whole, and stays as it is if something fails; a FIFO waits for its reader.`,
		Example: named(`  kernel_routes.ext capture routes.pcap
  kernel_routes.ext query --from routes.pcap "SELECT dst, gateway, dev FROM kernel_routes"
  ssh router kernel_routes.ext capture - | kernel_routes.ext routes --from - --summary
  kernel_routes.ext capture --follow 600 changes.pcap
  kernel_routes.ext capture - | tshark -r - -V`),
		ValidArgsFunction: completeFile,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usage(cmd, "give the name of one file to write")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := followed(cmd, follow)
			if err != nil {
				return err
			}
			ctx, name := cmd.Context(), args[0]
			k := rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}
			if d > 0 {
				err = captureChanges(ctx, &k, name, d)
			} else {
				k.Progress = doing.kernel()
				defer tellProgress(ctx)()
				err = writeTo(ctx, name, func(w io.Writer) error { return capture.Write(ctx, &k, w) })
			}
			if name == standard {
				name = "to standard output"
			}
			return captureError(name, err)
		},
	}
	cmd.Flags().StringVar(&follow, "follow", "",
		"record what changes for so many `seconds`, or for a duration such as 10m")
	return cmd
}

// followed returns for how long --follow wants changes to be recorded; 0: not at all.
func followed(cmd *cobra.Command, text string) (time.Duration, error) {
	if !cmd.Flags().Changed("follow") {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if _, number := strconv.ParseUint(text, 10, 64); number == nil {
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil || d < time.Second {
		return 0, usage(cmd, "--follow %q is no time: give a number of seconds, at least 1, or a duration such as 10m",
			text)
	}
	return d, nil
}

// captureChanges writes a capture with the changes of some time. A signal ends that early: what has
// been recorded is in the file all the same, but the error is the signal's.
func captureChanges(ctx context.Context, k *rtnl.Kernel, name string, d time.Duration) error {
	const grace = 5 * time.Second // for what is left to write, if there is a reader
	writing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var begun atomic.Bool
	defer context.AfterFunc(ctx, func() {
		if begun.Load() {
			time.AfterFunc(grace, cancel)
			return
		}
		cancel()
	})()
	err := writeTo(writing, name, func(w io.Writer) error {
		return capture.Follow(ctx, k, w, d, func() { begun.Store(true) })
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
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

// defineFrom gives a command the flag that withSource reads.
func defineFrom(cmd *cobra.Command) {
	cmd.Flags().String("from", "", "read a capture or recording, not the kernel: a `file`, or - for standard input")
	completeFlag(cmd, "from", completeFiles)
}

// errNeedsLinux is why the program, which builds on other systems too, reads there
// only what a Linux host has written.
var errNeedsLinux = errors.New("reading the kernel's routes needs Linux; " +
	"elsewhere query, show and routes answer from a capture (--from FILE), and diff compares two")

// withSource calls f with what routes are read from.
func withSource(cmd *cobra.Command, f func(context.Context, tables.Source) error) error {
	name, err := fromFlag(cmd)
	if err != nil {
		return err
	}
	defer tellProgress(cmd.Context())()
	src, err := openSource(cmd.Context(), name, warn)
	if err != nil {
		return err
	}
	return f(cmd.Context(), src)
}

// fromFlag returns the value of --from, "" for the kernel.
func fromFlag(cmd *cobra.Command) (name string, err error) {
	name, err = cmd.Flags().GetString("from")
	if err != nil || cmd.Flags().Changed("from") && name == "" {
		return "", usage(cmd, "--from is empty: give the name of a capture file")
	}
	return name, nil
}

// openSource returns what routes are read from: the capture or recording that a file is, - for standard
// input, or the kernel if name is "". warn is told of what should be known of a capture.
func openSource(ctx context.Context, name string, warn func(string)) (tables.Source, error) {
	if name == "" {
		return kernelSource()
	}
	c, _, err := openCapture(ctx, name, warn)
	return c, err
}

// kernelSource reads from the kernel.
func kernelSource() (tables.Source, error) {
	if runtime.GOOS != "linux" {
		return nil, failed(errNeedsLinux)
	}
	return &commandSource{rtnl.Cache{Kernel: rtnl.Kernel{Logger: stderrLog(slog.LevelWarn),
		Counters: new(rtnl.Counters), Progress: doing.kernel()}}}, nil
}

// openCapture reads a capture. warn is told of what should be known of it; said is how messages name it.
func openCapture(ctx context.Context, name string, warn func(string)) (c *capture.Capture, said string, err error) {
	in, said := os.Stdin, "from standard input"
	if name != standard {
		said = name
		in, err = interruptible(ctx, func() (*os.File, error) { return os.Open(name) })
		if err != nil {
			return nil, said, captureError(said, withRemedy(err))
		}
		defer in.Close()
	}
	c, err = capture.Read(doing.file(reader{ctx, in}, said))
	doing.file(nil, "")
	if err != nil {
		return nil, said, captureError(said, withRemedy(err))
	}
	for _, note := range c.Notes() {
		warn(fmt.Sprintf("capture %s: %s", said, note))
	}
	return c, said, nil
}

// withRemedy says what to do about the name of a file that is none.
func withRemedy(err error) error {
	for _, reason := range []syscall.Errno{syscall.ENOENT, syscall.EISDIR, syscall.ENOTDIR} {
		if errors.Is(err, reason) {
			return fmt.Errorf("%w; name a file that the capture command has written", reason)
		}
	}
	return err
}
