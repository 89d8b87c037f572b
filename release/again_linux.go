package main

import (
	"os"
	"os/exec"
	"syscall"
)

// elsewhere runs a command as another user of another host, where that can be tried without rights.
func elsewhere(cmd *exec.Cmd) {
	attr := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if os.Getuid() == 0 {
		attr.UidMappings[0].ContainerID, attr.GidMappings[0].ContainerID = 4711, 4711
	}
	try := exec.Command("true")
	try.SysProcAttr = attr
	if try.Run() == nil {
		cmd.SysProcAttr = attr
	}
}
