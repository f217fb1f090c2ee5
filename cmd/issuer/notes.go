package main

import (
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/sanad-id/sanad/programme"
)

// notesName is the file of a batch that lists values which the programme let be
// left out or simplified, by line, column and claim, never by content.
const notesName = "notes.csv"

// notes writes that file as a batch goes along. A batch that is resumed goes on
// with it; records that are issued anew after a crash stand in it twice.
type notes struct {
	mu    sync.Mutex
	path  string
	file  *os.File // nil until there is something to note
	csv   *csv.Writer
	count int
	err   error
}

func newNotes(folder string) *notes { return &notes{path: filepath.Join(folder, notesName)} }

// add notes the values of one record.
func (n *notes) add(problems []programme.Problem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.file == nil && n.err == nil {
		n.open()
	}
	for _, p := range problems {
		n.count++
		if n.err == nil {
			n.err = n.csv.Write([]string{strconv.Itoa(p.Line), p.Column, p.Claim, p.Code, p.Detail})
		}
	}
}

func (n *notes) open() {
	if n.file, n.err = os.OpenFile(n.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); n.err != nil {
		return
	}
	n.csv = csv.NewWriter(n.file)
	if info, err := n.file.Stat(); err == nil && info.Size() == 0 {
		n.err = n.csv.Write([]string{"line", "column", "claim", "code", "detail"})
	}
}

// close ends the file; a second call does nothing.
func (n *notes) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.file == nil {
		return n.err
	}
	n.csv.Flush()
	err := errors.Join(n.err, n.csv.Error(), n.file.Close())
	n.file = nil
	return err
}
