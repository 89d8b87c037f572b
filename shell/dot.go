package shell

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/internal/nearest"
	"kernelroutes/shell/iptext"
	"kernelroutes/tables"
)

// A Command is one that begins with a dot.
type Command struct {
	Name string // with the dot
	// Args are its arguments as its help has them: [in brackets] what may be left out, with ... what may be
	// repeated. The words are TABLE, COMMAND, MODE, FILE, N, or what is to be written itself: on|off.
	Args  string
	Help  string
	Files bool // it opens a file, which it does where somebody types only

	run func(s *Session, args []string) error
}

// Commands are those that there are, in the order of the alphabet.
func Commands() []Command {
	return []Command{
		{".examples", "[TABLE]", "show what to ask of the tables", false, (*Session).examples},
		{".exit", "", "end the session, as .quit does", false, quit},
		{".from", "[FILE]", "answer from a capture; without FILE, from the kernel again", true, (*Session).from},
		{".headers", "on|off", "print the names of the columns in csv and list, or do not", false, (*Session).headers},
		{".help", "[COMMAND]", "show the commands", false, (*Session).help},
		{".mode", "[MODE]", "print rows as " + choice(FormatNames()), false,
			(*Session).setMode},
		{".output", "[FILE]", "write what is printed to a file; without FILE, to the terminal again", true,
			(*Session).output},
		{".quit", "", "end the session, as Ctrl-D does", false, quit},
		{".read", "FILE", "run the statements and commands of a file", true, (*Session).read},
		{".schema", "[TABLE]", "show the columns of the tables", false, (*Session).schemas},
		{".tables", "[TABLE]", "list the tables", false, (*Session).listTables},
		{".timer", "on|off", "say after each statement how long it took, or do not", false, (*Session).setTimer},
		{".wide", "on|off", "at a terminal, show all columns in full width, or make them fit", false,
			(*Session).setWide},
		{".width", "[N...]", "set the widths of pretty's columns; 0: automatic, -N: to the right", false,
			(*Session).width},
	}
}

// arguments are how many arguments a command has, at least and at most.
func (c Command) arguments() (least, most int) {
	for _, arg := range strings.Fields(c.Args) {
		if most++; arg[0] != '[' {
			least++
		}
		if strings.Contains(arg, "...") {
			most = 1000
		}
	}
	return least, most
}

// usage is how a command is written.
func (c Command) usage() string { return strings.TrimSpace(c.Name + " " + c.Args) }

// command answers a dot command.
func (s *Session) command(line string) error {
	args, err := Words(line)
	if err != nil {
		return fmt.Errorf("%w: %s", err, shorten(line))
	}
	c, err := FindCommand(args[0])
	if err != nil {
		return err
	}
	args = args[1:]
	if least, most := c.arguments(); len(args) < least || len(args) > most {
		return fmt.Errorf("%s is to be written %s; a name with blanks is to be in quotes", c.Name, c.usage())
	}
	if c.Files && s.Files == nil {
		return fmt.Errorf("%s opens a file, which SQL that is not typed at the prompt may not: use %s", c.Name,
			map[string]string{".read": "query < FILE", ".output": "query > FILE", ".from": "query --from FILE"}[c.Name])
	}
	return c.run(s, args)
}

// FindCommand returns the command with a name, or with the only one that begins so.
func FindCommand(name string) (Command, error) {
	var found []Command
	var names, like []string
	for _, c := range Commands() {
		names = append(names, c.Name)
		if c.Name == name {
			return c, nil
		}
		if len(name) > 1 && strings.HasPrefix(c.Name, name) {
			found, like = append(found, c), append(like, c.Name)
		}
	}
	switch near := nearest.Question(nearest.Of(name, names)); {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Command{}, fmt.Errorf("%q may be %s", name, choice(like))
	case near != "":
		return Command{}, fmt.Errorf("unknown command %q: %s .help lists the commands", shorten(name), near)
	}
	return Command{}, fmt.Errorf("unknown command %q: the commands are %s", shorten(name), tables.Listed(names))
}

// choice lists words of which one is to be chosen: "a, b or c".
func choice(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Words are the words of a command's line: blanks are between them, but not inside single or double quotes.
func Words(line string) (words []string, err error) {
	for line = strings.TrimLeft(line, " \t\r"); line != ""; line = strings.TrimLeft(line, " \t\r") {
		if quote := line[0]; quote == '\'' || quote == '"' {
			word, rest, found := strings.Cut(line[1:], string(quote))
			if !found {
				return nil, errors.New("a quote is missing")
			}
			words, line = append(words, word), rest
			continue
		}
		end := strings.IndexAny(line, " \t\r")
		if end < 0 {
			end = len(line)
		}
		words, line = append(words, line[:end]), line[end:]
	}
	return words, nil
}

func quit(*Session, []string) error { return ErrQuit }

func (s *Session) print(text string) { s.out.buf = append(s.out.buf, text...) }

// help shows the commands.
func (s *Session) help(args []string) error {
	all, width := Commands(), 0
	if len(args) == 1 {
		c, err := FindCommand("." + strings.TrimPrefix(args[0], "."))
		if err != nil {
			return err
		}
		all = []Command{c}
	}
	for _, c := range all {
		width = max(width, len(c.usage()))
	}
	for _, c := range all {
		s.print(fmt.Sprintf("%-*s  %s\n", width, c.usage(), c.Help))
	}
	return nil
}

// named calls f for every table whose name begins as the argument does, as in osqueryi, and own for those that
// the session has made.
func (s *Session) named(args []string, f func(*tables.Table), own func(Relation)) error {
	prefix, found := strings.Join(args, ""), false
	for _, t := range s.db.tables {
		if strings.HasPrefix(t.Name, prefix) {
			found = true
			f(t.Table)
		}
	}
	for _, r := range s.db.own {
		if strings.HasPrefix(r.Name, prefix) {
			found = true
			own(r)
		}
	}
	if !found {
		return s.db.noSuchTable(prefix)
	}
	return nil
}

func (s *Session) listTables(args []string) error {
	list := func(name string) { s.print("  => " + visible(name) + "\n") }
	return s.named(args, func(t *tables.Table) { list(t.Name) }, func(r Relation) { list(r.Name) })
}

func (s *Session) schemas(args []string) error {
	return s.named(args, func(t *tables.Table) { s.print(schema(t) + ";\n") },
		func(r Relation) { s.print(visible(r.SQL) + ";\n") })
}

// visible is a text of somebody's, of which a terminal is given no control characters but tabs and ends of lines.
func visible(text string) string {
	var b []byte
	for line := range strings.SplitAfterSeq(text, "\n") {
		for part := range strings.SplitAfterSeq(line, "\t") {
			start, words := len(b), strings.TrimRight(part, "\t\n")
			b = append(iptext.Visible(append(b, words...), start), part[len(words):]...)
		}
	}
	return string(b)
}

// examples shows statements that can be run as they are.
func (s *Session) examples(args []string) error {
	return s.named(args, func(t *tables.Table) {
		for _, e := range t.Examples {
			s.print("-- " + e.Shows + "\n" + e.SQL + ";\n\n")
		}
	}, func(Relation) {}) // of what somebody has made there are none
}

func (s *Session) setMode(args []string) error {
	names := FormatNames()
	if len(args) == 0 {
		s.print("current output mode: " + s.Format.String() + "\n")
		return nil
	}
	i := slices.Index(names, args[0])
	if i < 0 {
		return fmt.Errorf("unknown mode %q: %sthe modes are %s", shorten(args[0]),
			question(nearest.Of(args[0], names)), tables.Listed(names))
	}
	s.Format = Format(i)
	s.printer = s.Options.printer()
	return nil
}

// onOff reads the argument of a command that turns something on or off.
func onOff(command, arg string) (bool, error) {
	switch strings.ToLower(arg) {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, fmt.Errorf("%s takes on or off, not %q", command, shorten(arg))
}

func (s *Session) headers(args []string) error {
	on, err := onOff(".headers", args[0])
	if err == nil {
		s.NoHeader = !on
		s.printer = s.Options.printer()
	}
	return err
}

func (s *Session) setTimer(args []string) error {
	on, err := onOff(".timer", args[0])
	if err == nil {
		s.timer = on
	}
	return err
}

func (s *Session) setWide(args []string) error {
	on, err := onOff(".wide", args[0])
	if err == nil {
		s.wide = &on
		if s.file == nil {
			s.Terminal = s.seenAt()
		}
		s.printer = s.Options.printer()
	}
	return err
}

// maxWidth bounds the width of a column.
const maxWidth = 10_000

func (s *Session) width(args []string) error {
	var widths []int
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil || n > maxWidth || n < -maxWidth {
			return fmt.Errorf(".width takes numbers from -%d to %d, not %q", maxWidth, maxWidth, shorten(arg))
		}
		widths = append(widths, n)
	}
	s.Widths = widths
	s.printer = s.Options.printer()
	return nil
}
