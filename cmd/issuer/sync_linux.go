package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFolder makes every file of a folder durable in one step, by asking the
// kernel to write out the file system that it is on.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
