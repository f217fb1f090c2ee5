//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package durable

import "os"

func tryLock(*os.File) error { return ErrNoLocks }

func unlock(*os.File) error { return ErrNoLocks }

func keepOwner(*os.File, os.FileInfo) error { return nil }
