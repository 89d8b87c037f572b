package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/tables"
)

// standard is the name that stands for standard output and standard input.
const standard = "-"

func captureCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "capture FILE",
		Short: "Write the kernel's routing state to a file",
		Long: `Writes all routes, policy rules, interfaces with their settings and nexthop
objects to a file, as the kernel sends them, with the host's name, kernel release
and network namespace, and its names of tables, protocols, scopes and realms.
With --from FILE, query and routes answer from it on any host with the same byte
order, but for look-ups, which take the kernel itself. The file is a pcap file
(LINKTYPE_NETLINK): Wireshark opens it, and what Wireshark saves can be read too,
as can a recording of an nlmon interface that holds a whole dump of routes.

FILE - is standard output. An existing file is replaced when the capture is
whole, and stays as it is if something fails; a FIFO waits for its reader.`,
		Example: named(`  kernel_routes.ext capture routes.pcap
  kernel_routes.ext query --from routes.pcap "SELECT dst, gateway, dev FROM kernel_routes"
  ssh router kernel_routes.ext capture - | kernel_routes.ext routes --from - --summary
  kernel_routes.ext capture - | tshark -r - -V`),
		ValidArgsFunction: completeFile,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usage(cmd, "give the name of one file to write")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, name := cmd.Context(), args[0]
			k := rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}
			err := writeTo(ctx, name, func(w io.Writer) error { return capture.Write(ctx, &k, w) })
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

// defineFrom gives a command the flag that withSource reads.
func defineFrom(cmd *cobra.Command) {
	cmd.Flags().String("from", "", "read a capture or recording, not the kernel: a `file`, or - for standard input")
	completeFlag(cmd, "from", completeFiles)
}

// errNeedsLinux is why the program, which builds on other systems too, reads there
// only what a Linux host has written.
var errNeedsLinux = errors.New("reading the kernel's routes needs Linux; " +
	"elsewhere query and routes answer from a capture (--from FILE)")

// withSource calls f with what routes are read from.
func withSource(cmd *cobra.Command, f func(context.Context, tables.Source) error) error {
	ctx := cmd.Context()
	if !cmd.Flags().Changed("from") {
		if runtime.GOOS != "linux" {
			return failed(errNeedsLinux)
		}
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
	c, err := capture.Read(reader{ctx, in})
	if err != nil {
		return captureError(said, err)
	}
	for _, note := range c.Notes() {
		fmt.Fprintf(os.Stderr, "%s: warning: capture %s: %s\n", program, said, note)
	}
	return f(ctx, c)
}
