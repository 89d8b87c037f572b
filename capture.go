package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

func captureCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "capture FILE",
		Short: "Write what the kernel says of its routes to a file",
		Long: `Writes all routes, interfaces and nexthop objects to a file, as the kernel sends
them. With --from FILE, query and routes answer from it, on any host with the
same byte order; names of tables, protocols, scopes and realms are then those of
that host. The file is a pcap file (LINKTYPE_NETLINK): Wireshark opens it.`,
		Example: `  kernel_routes.ext capture routes.pcap
  kernel_routes.ext query --from routes.pcap "SELECT dst, gateway, dev FROM kernel_routes"
  kernel_routes.ext capture /dev/stdout | tshark -r - -V`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usage(cmd, "give the name of one file to write")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, stop := untilSignal()
			defer stop()
			f := lateFile{name: args[0]}
			k := rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}
			return captureError(args[0], errors.Join(k.Capture(ctx, &f), f.Close()))
		},
	}
}

// captureError makes an error with a capture file one that names it once.
func captureError(name string, err error) error {
	if err == nil {
		return nil
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return failed(fmt.Errorf("capture %s: %w", name, err))
}

// A lateFile is created, and what was in it is lost, when something is written.
type lateFile struct {
	name string
	file *os.File
}

func (f *lateFile) Write(b []byte) (n int, err error) {
	if f.file == nil {
		if f.file, err = os.Create(f.name); err != nil {
			return 0, err
		}
	}
	return f.file.Write(b)
}

func (f *lateFile) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// defineFrom gives a command the flag that withSource reads.
func defineFrom(cmd *cobra.Command) {
	cmd.Flags().String("from", "", "read a `file` made by the capture command, not the kernel")
}

// withSource calls f with what routes are read from, in a context that ends on
// SIGINT and SIGTERM.
func withSource(cmd *cobra.Command, f func(context.Context, tables.Source) error) error {
	ctx, stop := untilSignal()
	defer stop()
	if !cmd.Flags().Changed("from") {
		return f(ctx, &rtnl.Cache{Kernel: rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}})
	}
	name, err := cmd.Flags().GetString("from")
	if err != nil || name == "" {
		return usage(cmd, "--from is empty: give the name of a capture file")
	}
	c, err := readCapture(name)
	if err != nil {
		return captureError(name, err)
	}
	return f(ctx, c)
}

func readCapture(name string) (*rtnl.Capture, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return rtnl.ReadCapture(f)
}
