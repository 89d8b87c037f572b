package command

import (
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kernelroutes/internal/nearest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
	"kernelroutes/tables"
)

// The scripts are the project's own. Those that cobra writes give what is typed to the
// shell's eval, which runs commands in half-written SQL and fails at its open quote; that
// for bash does nothing without the package bash-completion; and each is for one name.
// What is completed, they ask cobra: kernel-routes __complete WORD...
//
//go:embed completion/kernel-routes.bash
var bashCompletion string

//go:embed completion/kernel-routes.zsh
var zshCompletion string

//go:embed completion/kernel-routes.fish
var fishCompletion string

// powershellCompletion is cobra's script, for the program's other name as well.
func powershellCompletion() string {
	var script strings.Builder
	named := cobra.Command{Use: commandName}
	if err := named.GenPowerShellCompletionWithDesc(&script); err != nil {
		panic(err) // a Builder takes everything
	}
	return script.String() + "Register-ArgumentCompleter -CommandName '" + extensionName +
		"' -ScriptBlock ${__kernel_routesCompleterBlock}\n"
}

func completionCommand() *cobra.Command {
	scripts := []struct {
		shell  string
		script func() string
	}{
		{"bash", func() string { return bashCompletion }},
		{"zsh", func() string { return zshCompletion }},
		{"fish", func() string { return fishCompletion }},
		{"powershell", powershellCompletion},
	}
	var shells []string
	for _, s := range scripts {
		shells = append(shells, s.shell)
	}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script for a shell",
		Long: `Prints a script that makes a shell complete commands, flags, names of tables and
files: for bash (also without the package bash-completion), zsh, fish or powershell.
It is for both names of the program, kernel-routes and kernel_routes.ext, with a
path or without. The packages install it. For one session of a shell:

  bash        source <(` + program + ` completion bash)
  zsh         source <(` + program + ` completion zsh)     (after compinit)
  fish        ` + program + ` completion fish | source
  powershell  ` + program + ` completion powershell | Out-String | Invoke-Expression`,
		Example: named(`  kernel_routes.ext completion bash > kernel-routes.bash
  kernel_routes.ext completion zsh > _kernel-routes
  kernel_routes.ext completion fish > kernel-routes.fish`),
		ValidArgsFunction: completeFirst(shells),
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 || !slices.Contains(shells, args[0]):
				hint := nearest.Question(nearest.Of(strings.Join(args, " "), shells))
				return usage(cmd, "%s", strings.TrimSpace(hint+" give one shell: bash, zsh, fish or powershell"))
			case len(args) > 1:
				return usage(cmd, "unexpected argument %q: give one shell", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := fmt.Fprint(stdout{cmd.Context()}, scripts[slices.Index(shells, args[0])].script())
			return failed(err)
		},
	}
}

// refuseUnknown makes an error of what cobra's own help command would answer with a help
// text and success.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "help" {
			continue
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
				return unknownCommand(cmd, strings.Join(args, " "))
			}
			return nil
		}
	}
}

// completeRoot says what is completed where nothing else is said: no files, which are the
// name of no table and no SQL.
func completeRoot(root *cobra.Command) {
	root.CompletionOptions.DisableDefaultCmd = true // completionCommand is instead
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	completeFlag(root, "socket", completeFiles)
}

// completeFlag says what completes the value of a command's flag.
func completeFlag(cmd *cobra.Command, name string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(name, f); err != nil {
		panic(err) // there is no such flag
	}
}

func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeFile completes one argument that is a file.
func completeFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}

// completeFirst completes one argument that is one of some words.
func completeFirst(words []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return beginning(words, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeTable completes the name of a routing table, as rt_tables of the host has them, or the capture that is asked.
func completeTable(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	host := iproute2.HostNames()
	if valueOf(cmd, "from") != "" {
		src, err := completedSource(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // there is nobody to be told
		}
		host = src.Names()
	}
	var names []string
	for id, name := range host.Tables().All() {
		if id != 0 && typable(name) { // not unspec, in which no route is
			names = append(names, fmt.Sprintf("%s\ttable %d", name, id))
		}
	}
	slices.Sort(names)
	return beginning(slices.Compact(names), typed), cobra.ShellCompDirectiveNoFileComp
}

// completeDevice completes the name of an interface, of those for which wanted is true (nil: of all), in the
// network namespace that --netns names if the command has that flag.
func completeDevice(wanted func(*object.Link) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		const nothing = cobra.ShellCompDirectiveNoFileComp
		ns, err := tables.ParseNetns(valueOf(cmd, "netns"))
		if err != nil {
			return nil, nothing
		}
		src, err := completedSource(cmd)
		if err != nil {
			return nil, nothing
		}
		snap, err := src.Read(cmd.Context(), rtnl.Request{Namespace: ns, Kinds: []*object.Kind{object.Links.Kind}})
		if err != nil {
			return nil, nothing
		}
		var names []string
		for l := range rtnl.All(snap, object.Links) {
			if typable(l.Name) && (wanted == nil || wanted(l)) {
				names = append(names, l.Name)
			}
		}
		slices.Sort(names)
		return beginning(names, typed), nothing
	}
}

// typable tells whether a terminal can be given a name as it is.
func typable(name string) bool { return string(iptext.Visible([]byte(name), 0)) == name }

// maxCompleted bounds the capture that names are taken from while somebody waits for a word.
const maxCompleted = 64 << 20

// completedSource is what the command that is typed would ask: the capture that --from names, or the kernel.
func completedSource(cmd *cobra.Command) (tables.Source, error) {
	from := valueOf(cmd, "from")
	if from != "" {
		info, err := os.Stat(from)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() || info.Size() > maxCompleted {
			return nil, fmt.Errorf("%s is no file, or takes too long to read", from)
		}
	}
	return openSource(cmd.Context(), from, func(string) {})
}

// valueOf returns the value of a flag, "" if the command has none of that name.
func valueOf(cmd *cobra.Command, flag string) string {
	if f := cmd.Flags().Lookup(flag); f != nil {
		return f.Value.String()
	}
	return ""
}

func beginning(words []string, prefix string) (found []string) {
	for _, w := range words {
		if strings.HasPrefix(w, prefix) {
			found = append(found, w)
		}
	}
	return found
}
