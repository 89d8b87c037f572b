package command

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kernelroutes/internal/logging"
	"kernelroutes/internal/nstest"
)

// TestJSONErrors: as JSON errors and warnings of commands say the same, with the addresses that were typed.
func TestJSONErrors(t *testing.T) {
	nstest.New(t)
	for args, want := range map[string]string{
		"get|x":                "it is like 192.0.2.1 or 2001:db8::1 (names",
		"get|10.0.0.0/24":      "'10.0.0.0/24' is no IP address for ADDRESS: give one",
		"diff|10.1.0.1.pcap":   "capture 10.1.0.1.pcap: no such file",
		"query|SELECT fe80::1": "texts are in quotes: 'fe80::1'",
		"query|SELECT 1 FROM kernel_routes WHERE dst = '10.1.2.3/8'": "did you mean '10.0.0.0/8'?",
	} {
		_, text, status := command(t, nil, strings.Split(args, "|")...)
		cmd := exec.Command(binary(t), strings.Split(args, "|")...)
		cmd.Env = append(os.Environ(), logging.Variable+"=json")
		var said bytes.Buffer
		cmd.Stderr = &said
		cmd.Run()
		var line struct{ Msg string }
		if err := json.Unmarshal(said.Bytes(), &line); err != nil || !strings.Contains(line.Msg, want) ||
			!strings.HasSuffix(text, ": "+line.Msg+"\n") || cmd.ProcessState.ExitCode() != status {
			t.Errorf("%s: %v, %s, and as text %s", args, err, &said, text)
		}
	}
}
